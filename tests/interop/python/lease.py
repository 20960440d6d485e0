"""Takes the exclusive lease of a resource, works under it, and gives it back: lease.py REQUESTS RESOURCE STEPS"""
import sys
import time

import syncbus_pb2 as pb
from client import Client, number

requests, resource, steps = sys.argv[1:]
bus = Client(requests, "lease example")
claim, ticket = number(), 0  # the claim names this wish: asked again, it is the same place in the line
while True:
    asked = time.monotonic()
    reply = bus.ask(acquire=pb.Acquire(resource=resource, mode=pb.MODE_EXCLUSIVE, claim=claim, ticket=ticket,
                                       poll_ms=500, reason="an example in Python"))
    if reply.code != pb.CODE_OK:
        sys.exit(f"not granted: {reply.text}")
    if reply.HasField("granted"):
        break
    ticket = reply.waiting.ticket
    print("waiting at", reply.waiting.position, "behind", *(b.holder for b in reply.waiting.blockers), flush=True)
token, ttl = reply.granted.token, reply.granted.ttl_ms / 1000
print("granted", token, flush=True)
for step in range(int(steps)):
    # It lives for its ttl from when it was asked for, less a tenth; after that nothing of the resource may be touched.
    end = asked + 0.9 * ttl
    time.sleep(ttl / 3)  # the work stands here, in steps shorter than that; the resource is shown the token
    asked = time.monotonic()
    try:
        reply = bus.ask(until=end, renew=pb.Renew(token=token, claim=claim, resource=resource, mode=pb.MODE_EXCLUSIVE))
    except TimeoutError:
        sys.exit("lost: no broker answers")
    if reply.code != pb.CODE_OK:
        sys.exit(f"lost: {reply.text}")
    print("renewed", token, flush=True)
bus.ask(release=pb.Release(token=token, resource=resource))
print("given back", token)
