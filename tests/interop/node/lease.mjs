// Takes the exclusive lease of a resource, works under it, and gives it back: lease.mjs REQUESTS RESOURCE STEPS
import { setTimeout as sleep } from 'node:timers/promises'

import { Client, TimedOut, number } from './client.mjs'

const [requests, resource, steps] = process.argv.slice(2)
const bus = new Client(requests, 'lease example')

function fail(text) {
  console.error(text)
  process.exit(1)
}

const claim = number() // names this wish: asked again, it is the same place in the line
let [ticket, granted, asked] = ['0', null, 0]
while (!granted) {
  asked = performance.now()
  const reply = await bus.ask({
    acquire: { resource, mode: 'MODE_EXCLUSIVE', claim, ticket, poll_ms: 500, reason: 'an example in Node' },
  })
  if (reply.code !== 'CODE_OK') fail(`not granted: ${reply.text}`)
  granted = reply.granted
  if (reply.waiting) {
    ticket = reply.waiting.ticket
    console.log('waiting at', reply.waiting.position, 'behind', ...reply.waiting.blockers.map((b) => b.holder))
  }
}
const { token, ttl_ms: ttl } = granted
console.log('granted', token)
for (let step = 0; step < steps; step++) {
  // It lives for its ttl from when it was asked for, less a tenth; after that nothing of the resource may be touched.
  const end = asked + 0.9 * ttl
  await sleep(ttl / 3) // the work stands here, in steps shorter than that; the resource is shown the token
  asked = performance.now()
  const reply = await bus.ask({ renew: { token, claim, resource, mode: 'MODE_EXCLUSIVE' } }, end).catch((error) => {
    fail(error instanceof TimedOut ? `lost: ${error.message}` : error)
  })
  if (reply.code !== 'CODE_OK') fail(`lost: ${reply.text}`)
  console.log('renewed', token)
}
await bus.ask({ release: { token, resource } })
console.log('given back', token)
bus.close()
