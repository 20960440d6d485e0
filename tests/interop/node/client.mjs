// The bus from Node, with nothing but zeromq and protobufjs: to read as the manual of its sockets, or to copy.
// Before: npm install, and a copy of proto/syncbus.proto beside this file.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import protobuf from 'protobufjs'
import * as zmq from 'zeromq'

const PATIENCE_MS = 1000 // until a reply counts as lost
const root = new protobuf.Root()
root.loadSync(fileURLToPath(new URL('syncbus.proto', import.meta.url)), { keepCase: true })

// Messages are plain objects here: enums by name, and numbers of 64 bits as strings, as they may be too large for
// a number of JavaScript.
export function encode(type, object) {
  const message = root.lookupType(`syncbus.v1.${type}`)
  return message.encode(message.fromObject(object)).finish()
}

export function decode(type, bytes) {
  const message = root.lookupType(`syncbus.v1.${type}`)
  return message.toObject(message.decode(bytes), { longs: String, enums: String, defaults: true, oneofs: true })
}

// A random number that nobody else is likely to have.
export function number() {
  return String(randomBytes(8).readBigUInt64LE() >> 1n | 1n)
}

// The broker or a service said no; the message says why.
export class Refused extends Error {}

// No broker answered in time.
export class TimedOut extends Error {}

// The next message, or null when none comes within the socket's receiveTimeout.
async function receive(socket) {
  try {
    return await socket.receive()
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error
    return null
  }
}

// Asks one thing after the other, in a session that is made anew when the broker was.
export class Client {
  constructor(requests, name) {
    this.requests = requests
    this.socket = null
    this.hello = { name, instance: number(), process: number(), host: number() }
    this.session = '0'
    this.lastId = 0
  }

  // One request, such as { trigger: { job: 'prices' } }, and what was replied, a refusal included. While no broker
  // answers it goes on asking, but not longer than `until` (of performance.now()): TimedOut.
  async ask(body, until = Infinity) {
    for (;;) {
      if (this.session === '0') {
        const reply = await this.exchange({ hello: this.hello }, until)
        if (reply.code !== 'CODE_OK') throw new Refused(reply.text)
        this.session = reply.welcome.session
      }
      const reply = await this.exchange({ session: this.session, ...body }, until)
      if (reply.code !== 'CODE_NO_SESSION') return reply
      this.session = '0' // the broker was started anew, or had not heard of us for too long
    }
  }

  async exchange(body, until) {
    // The same request again is known by its number: it has one effect.
    const request = encode('Request', { id: ++this.lastId, ...body })
    while (performance.now() < until) {
      const patience = Math.ceil(Math.min(PATIENCE_MS, Math.max(0, until - performance.now())))
      this.socket ??= this.connect()
      this.socket.receiveTimeout = patience
      await this.socket.send(request)
      const frames = await receive(this.socket)
      if (frames) return decode('Reply', frames[0])
      this.close() // a REQ that lost its reply can send no more
    }
    throw new TimedOut('no broker answers')
  }

  connect() {
    const socket = new zmq.Request({ linger: 0 })
    socket.connect(this.requests)
    return socket
  }

  close() {
    this.socket?.close()
    this.socket = null
  }

  // Asks a service behind the broker: the orders, or an entity. One that is away is asked again.
  async call(service, method, [type, body], answer) {
    for (;;) {
      const call = { service, method, body: encode(type, body), timeout_ms: PATIENCE_MS / 2 }
      const reply = await this.ask({ call })
      if (reply.code === 'CODE_OK') return decode(answer, reply.answered.body)
      if (!['CODE_NO_SERVICE', 'CODE_TIMEOUT', 'CODE_BUSY'].includes(reply.code)) throw new Refused(reply.text)
      await sleep(200)
    }
  }
}

// Publications whose topic begins with one of `topics`. They can be lost: they say when to look, and what counts is
// asked for.
export class News {
  constructor(events, ...topics) {
    this.socket = new zmq.Subscriber({ linger: 0 })
    this.socket.subscribe(...topics)
    this.socket.connect(events)
  }

  // The next publication as [topic, bytes], or null when none comes in time.
  async next(waitMs = -1) {
    this.socket.receiveTimeout = waitMs
    const frames = await receive(this.socket)
    return frames && [frames[0].toString(), frames[1]]
  }

  close() {
    this.socket.close()
  }
}
