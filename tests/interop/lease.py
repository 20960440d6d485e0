"""Takes the exclusive lease of a resource with plain REQ and SUB sockets: lease.py REQUESTS EVENTS RESOURCE"""
import random
import sys
import time

import syncbus_pb2 as pb  # protoc --python_out=. syncbus.proto
import zmq

requests, events, resource = sys.argv[1:]
context = zmq.Context()
bus, news = context.socket(zmq.REQ), context.socket(zmq.SUB)
bus.connect(requests)
news.subscribe(f"lease.{resource}")
news.subscribe("beat")
news.connect(events)
news.recv_multipart()  # a beat: from now on nothing is missed
session, count = 0, 0


def ask(**body):
    """One request, one reply."""
    global count
    count += 1
    bus.send(pb.Request(id=count, session=session, **body).SerializeToString())
    return pb.Reply.FromString(bus.recv())


def number():
    return random.getrandbits(63) | 1


session = ask(hello=pb.Hello(name="lease.py", instance=number(), process=number(), host=1)).welcome.session
claim = number()
sent = time.monotonic()
reply = ask(acquire=pb.Acquire(resource=resource, mode=pb.MODE_EXCLUSIVE, claim=claim, reason="an example in Python"))
while reply.code == pb.CODE_OK and reply.HasField("waiting"):
    print("waiting at", reply.waiting.position, flush=True)
    sent = time.monotonic()
    reply = ask(acquire=pb.Acquire(resource=resource, mode=pb.MODE_EXCLUSIVE, claim=claim, poll_ms=500))
if reply.code != pb.CODE_OK:
    sys.exit(f"not granted: {reply.text}")
token = reply.granted.token
# The lease lives from when it was asked for, less a margin.
print("granted", token, "for", round(sent + 0.9 * reply.granted.ttl_ms / 1000 - time.monotonic(), 1), "s", flush=True)
renewed = ask(renew=pb.Renew(token=token, claim=claim, resource=resource, mode=pb.MODE_EXCLUSIVE))
print("renewed" if renewed.code == pb.CODE_OK else renewed.text)
assert ask(release=pb.Release(token=token, resource=resource)).code == pb.CODE_OK
while True:
    topic, data = news.recv_multipart()
    event = pb.Event.FromString(data)
    if event.HasField("lease") and event.lease.token == token:
        print("heard", pb.LeaseChange.Name(event.lease.change))
        if event.lease.change == pb.LEASE_CHANGE_RELEASED:
            break
ask(bye=pb.Bye())
context.destroy(linger=100)
