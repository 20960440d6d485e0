// Shows publications as messages and as JSON, and says what was missed: events.mjs EVENTS TOPIC…
import { News, decode } from './client.mjs'

const [endpoint, ...topics] = process.argv.slice(2)
const news = new News(endpoint, ...topics, ...topics.map((topic) => `json.${topic}`))
const known = new Map() // topic → the epoch and seq of its last publication
for (;;) {
  const [topic, body] = await news.next()
  const event = topic.startsWith('json.') ? JSON.parse(body) : decode('Event', body)
  const [epoch, seq] = [Number(event.epoch), Number(event.seq)]
  const what = event.body ?? Object.keys(event).find((name) => typeof event[name] === 'object')
  const before = known.get(topic) ?? { epoch, seq: seq - 1 }
  // A new epoch counts from 1 again.
  if (before.epoch === epoch && seq > before.seq + 1) console.log('missed', seq - before.seq - 1, 'of', topic)
  known.set(topic, { epoch, seq })
  console.log(topic, seq, what)
}
