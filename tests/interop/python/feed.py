"""Follows all changes of an entity, each once: feed.py REQUESTS EVENTS ENTITY [FEED AFTER]

FEED and AFTER are where an earlier reading ended: the feed's identity and its last number.
"""
import sys

import syncbus_pb2 as pb
from client import Client, News

requests, events, entity, *place = sys.argv[1:]
bus, news = Client(requests, "feed example"), News(events, f"change.{entity}")
feed, after = (int(place[0], 16), int(place[1])) if place else (0, 0)


def read_snapshot():
    """All records as they are now; the number after which the feed goes on from there."""
    query, more, last = pb.RecordQuery(limit=100), True, None
    while more:
        page = bus.call(entity, "list", query, pb.RecordList)
        for record in page.records:
            print("record", *record.key)
            query.after[:] = record.key
        # Of the first page: what changes between two pages comes again in the feed, and harms nobody.
        last, more = page.last_seq if last is None else last, page.more
    return last


while True:
    page = bus.call(entity, "feed", pb.FeedQuery(feed=feed, after=after, limit=100), pb.FeedList)
    if page.feed != feed:
        print(f"feed {page.feed:016x}")
    feed = page.feed
    if page.compacted:  # another feed, as its store was made anew, or its beginning is no more there
        after = read_snapshot()
        continue
    for item in page.items:
        print(item.seq, pb.Op.Name(item.op).removeprefix("OP_").lower(), *item.record.key, flush=True)
        after = item.seq
    if not page.items:
        news.next(wait_ms=1000)
