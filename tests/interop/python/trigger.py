"""Starts an extra run of a job and waits for its end: trigger.py REQUESTS EVENTS JOB"""
import sys

import syncbus_pb2 as pb
from client import Client, News

requests, events, job = sys.argv[1:]
bus, news = Client(requests, "trigger example"), News(events, f"run.{job}")
reply = bus.ask(trigger=pb.Trigger(job=job, cause=pb.CAUSE_MANUAL, detail="an example"))
if reply.code != pb.CODE_OK:
    sys.exit(reply.text)
run = reply.triggered.run
print("run", run, flush=True)
while True:
    state = bus.ask(snapshot=pb.Snapshot(job=job)).state.jobs[0]
    if state.last.run >= run and not (state.HasField("current") and state.current.run <= run):
        break
    news.next(wait_ms=1000)
result = state.last.result
print("ended", "well" if result.ok else result.error, "seen", result.seen, "created", result.created,
      "changed", result.changed, "unchanged", result.unchanged, "deleted", result.deleted)
