"""Reads one record of an entity, or all of them: records.py REQUESTS ENTITY [KEY…]"""
import sys

import syncbus_pb2 as pb
from client import Client, Refused

requests, entity, *key = sys.argv[1:]
bus = Client(requests, "records example")
if key:
    try:
        print(bus.call(entity, "get", pb.RecordKey(key=key), pb.Record).record)
    except Refused as refused:
        sys.exit(str(refused))
else:
    query, more = pb.RecordQuery(limit=25), True
    while more:
        page = bus.call(entity, "list", query, pb.RecordList)
        for record in page.records:
            print(*record.key, record.record)
            query.after[:] = record.key
        more = page.more
