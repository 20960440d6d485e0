// Reads one record of an entity, or all of them: records.mjs REQUESTS ENTITY [KEY…]
import { Client, Refused } from './client.mjs'

const [requests, entity, ...key] = process.argv.slice(2)
const bus = new Client(requests, 'records example')
if (key.length > 0) {
  try {
    console.log((await bus.call(entity, 'get', ['RecordKey', { key }], 'Record')).record)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
} else {
  for (let after = [], more = true; more;) {
    const page = await bus.call(entity, 'list', ['RecordQuery', { after, limit: 25 }], 'RecordList')
    for (const record of page.records) {
      console.log(...record.key, record.record)
      after = record.key
    }
    more = page.more
  }
}
bus.close()
