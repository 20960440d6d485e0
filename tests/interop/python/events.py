"""Shows publications as messages and as JSON, and says what was missed: events.py EVENTS TOPIC…"""
import json
import sys

import syncbus_pb2 as pb
from client import News

endpoint, *topics = sys.argv[1:]
news = News(endpoint, *topics, *("json." + topic for topic in topics))
known = {}  # topic → (epoch, seq) of its last publication
while True:
    topic, body = news.next()
    if topic.startswith("json."):
        event = json.loads(body)
        epoch, seq, what = event["epoch"], event["seq"], next(name for name in event if isinstance(event[name], dict))
    else:
        event = pb.Event.FromString(body)
        epoch, seq, what = event.epoch, event.seq, event.WhichOneof("body")
    before = known.get(topic, (epoch, seq - 1))
    if before[0] == epoch and seq > before[1] + 1:  # a new epoch counts from 1 again
        print("missed", seq - before[1] - 1, "of", topic)
    known[topic] = (epoch, seq)
    print(topic, seq, what, flush=True)
