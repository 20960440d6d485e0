"""Places an order, exactly once for its key, and waits for its end: order.py REQUESTS EVENTS KEY JSON"""
import sys

import syncbus_pb2 as pb
from client import Client, News

requests, events, key, body = sys.argv[1:]
bus, news = Client(requests, "order example"), News(events, "order.")
order = bus.call("order", "place", pb.PlaceOrder(key=key, body=body, by="an example"), pb.OrderState)
print("accepted", order.key, flush=True)  # from now on it is on disk; placed again under this key it is the same order
under_way = (pb.ORDER_STATUS_ACCEPTED, pb.ORDER_STATUS_SENDING, pb.ORDER_STATUS_UNKNOWN)
while order.status in under_way:
    news.next(wait_ms=1000)
    order = bus.call("order", "show", pb.OrderKey(key=key), pb.OrderState)
print(pb.OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_").lower(), order.erp_id or order.why)
