// Follows all changes of an entity, each once: feed.mjs REQUESTS EVENTS ENTITY [FEED AFTER]
// FEED and AFTER are where an earlier reading ended: the feed's identity and its last number.
import { Client, News } from './client.mjs'

const [requests, events, entity, ...place] = process.argv.slice(2)
const [bus, news] = [new Client(requests, 'feed example'), new News(events, `change.${entity}`)]
let [feed, after] = place.length > 0 ? [BigInt(`0x${place[0]}`).toString(), place[1]] : ['0', '0']

// All records as they are now; the number after which the feed goes on from there.
async function readSnapshot() {
  let last = null
  for (let key = [], more = true; more;) {
    const page = await bus.call(entity, 'list', ['RecordQuery', { after: key, limit: 100 }], 'RecordList')
    for (const record of page.records) {
      console.log('record', ...record.key)
      key = record.key
    }
    // Of the first page: what changes between two pages comes again in the feed, and harms nobody.
    last ??= page.last_seq
    more = page.more
  }
  return last
}

for (;;) {
  const page = await bus.call(entity, 'feed', ['FeedQuery', { feed, after, limit: 100 }], 'FeedList')
  if (page.feed !== feed) console.log('feed', BigInt(page.feed).toString(16).padStart(16, '0'))
  feed = page.feed
  if (page.compacted) {
    // Another feed, as its store was made anew, or its beginning is no more there.
    after = await readSnapshot()
    continue
  }
  for (const item of page.items) {
    console.log(item.seq, item.op.replace('OP_', '').toLowerCase(), ...item.record.key)
    after = item.seq
  }
  if (page.items.length === 0) await news.next(1000)
}
