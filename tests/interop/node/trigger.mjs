// Starts an extra run of a job and waits for its end: trigger.mjs REQUESTS EVENTS JOB
import { Client, News } from './client.mjs'

const [requests, events, job] = process.argv.slice(2)
const [bus, news] = [new Client(requests, 'trigger example'), new News(events, `run.${job}`)]
const reply = await bus.ask({ trigger: { job, cause: 'CAUSE_MANUAL', detail: 'an example' } })
if (reply.code !== 'CODE_OK') {
  console.error(reply.text)
  process.exit(1)
}
const run = BigInt(reply.triggered.run)
console.log(`run ${run}`)
for (;;) {
  const [state] = (await bus.ask({ snapshot: { job } })).state.jobs
  const ended = state.last && BigInt(state.last.run) >= run && !(state.current && BigInt(state.current.run) <= run)
  if (ended) {
    const { ok, error, seen, created, changed, unchanged, deleted } = state.last.result
    console.log('ended', ok ? 'well' : error, 'seen', seen, 'created', created, 'changed', changed, 'unchanged', unchanged,
      'deleted', deleted)
    break
  }
  await news.next(1000)
}
bus.close()
news.close()
