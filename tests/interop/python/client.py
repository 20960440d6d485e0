"""The bus from Python, with nothing but zmq and protobuf: to read as the manual of its sockets, or to copy.

Before: protoc --proto_path=proto --python_out=. syncbus.proto
"""
import random
import time

import syncbus_pb2 as pb
import zmq

PATIENCE_MS = 1000  # until a reply counts as lost


class Refused(Exception):
    """The broker or a service said no; the text says why."""


def number():
    """A random number that nobody else is likely to have."""
    return random.getrandbits(63) | 1


class Client:
    """Asks one thing after the other, in a session that is made anew when the broker was."""

    def __init__(self, requests, name):
        self.requests, self.context, self.socket = requests, zmq.Context.instance(), None
        self.hello = pb.Hello(name=name, instance=number(), process=number(), host=number())
        self.session = self.last_id = 0

    def ask(self, until=float("inf"), **body):
        """One request, such as ask(trigger=pb.Trigger(job="prices")), and what was replied, a refusal included.

        While no broker answers it goes on asking, but not longer than `until` (of time.monotonic): TimeoutError.
        """
        while True:
            if not self.session:
                welcome = self.exchange(until, 0, hello=self.hello)
                if welcome.code != pb.CODE_OK:
                    raise Refused(welcome.text)
                self.session = welcome.welcome.session
            reply = self.exchange(until, self.session, **body)
            if reply.code != pb.CODE_NO_SESSION:
                return reply
            self.session = 0  # the broker was started anew, or had not heard of us for too long

    def exchange(self, until, session, **body):
        self.last_id += 1  # the same request again is known by its number: it has one effect
        request = pb.Request(id=self.last_id, session=session, **body).SerializeToString()
        while time.monotonic() < until:
            if self.socket is None:
                self.socket = self.context.socket(zmq.REQ)
                self.socket.connect(self.requests)
            self.socket.send(request)
            if self.socket.poll(min(PATIENCE_MS, max(0, (until - time.monotonic()) * 1000))):
                return pb.Reply.FromString(self.socket.recv())
            self.socket.close(linger=0)  # a REQ that lost its reply can send no more
            self.socket = None
        raise TimeoutError("no broker answers")

    def call(self, service, method, body, answer):
        """Asks a service behind the broker: the orders, or an entity. One that is away is asked again."""
        while True:
            call = pb.Call(service=service, method=method, body=body.SerializeToString(), timeout_ms=PATIENCE_MS // 2)
            reply = self.ask(call=call)
            if reply.code == pb.CODE_OK:
                return answer.FromString(reply.answered.body)
            if reply.code not in (pb.CODE_NO_SERVICE, pb.CODE_TIMEOUT, pb.CODE_BUSY):
                raise Refused(reply.text)
            time.sleep(0.2)


class News:
    """Publications whose topic begins with one of `topics`, as (topic, bytes).

    They can be lost: they say when to look, and what counts is asked for.
    """

    def __init__(self, events, *topics):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        for topic in topics:
            self.socket.subscribe(topic)
        self.socket.connect(events)

    def next(self, wait_ms=None):
        """The next publication, or None when none comes in time."""
        if not self.socket.poll(wait_ms):
            return None
        topic, body = self.socket.recv_multipart()
        return topic.decode(), body
