"""A TCP proxy between the bus's programs and the broker that delays, cuts, swallows and garbles what passes, from a seed.

    proxy = Proxy({"requests": path, "events": path}, random.Random(seed))
    proxy.address("requests")        # tcp://127.0.0.1:PORT, for the clients' config
    proxy.fault(delay_s=0.2)         # from now on, until the next fault() or heal()
    proxy.cut()                      # ends every connection at once

Clients come by TCP, on any free ports; the broker is reached by its ipc sockets, which speak the same bytes: so no port must
be guessed for it. The work is done in a thread of its own.
"""
import asyncio
import contextlib
import dataclasses
import threading

CHUNK = 4096
# Noise that no reader can take for a message of another meaning: numbers without an end, text that is no UTF-8. A byte that
# is merely changed can make a valid message, which nothing above TCP's own checksums could tell.
NOISE = (24, 64)


@dataclasses.dataclass
class Fault:
    """What is done to what passes."""
    delay_s: float = 0.0     # every chunk arrives so much later
    swallow: bool = False    # half-open, for good: connections are taken, and nothing of theirs arrives any more
    noise: float = 0.0       # share of chunks into which noise is written
    flip: float = 0.0        # share of the clients' chunks in which one bit is changed
    cut: float = 0.0         # share of chunks after which the connection is cut, somewhere in their middle
    to: tuple = ("requests", "events")  # the sockets that it is done to


class Proxy:
    def __init__(self, targets, chance):
        self.targets, self.chance, self.now = targets, chance, Fault()
        self.connections = set()     # writers, of both sides
        self.ports = {}
        self.seen = {"connections": 0, "cut": 0, "garbled": 0, "flipped": 0, "swallowed": 0}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run)
        self.ready = threading.Event()
        self.thread.start()
        self.ready.wait()

    # ------------------------------------------------------------ for the test, in its thread
    def address(self, name):
        return f"tcp://127.0.0.1:{self.ports[name]}"

    def fault(self, **what):
        self._do(lambda: setattr(self, "now", Fault(**what)))

    def heal(self):
        """Nothing more is done to anything; but what is half-open remains so, until its client gives it up."""
        self.fault()

    def cut(self):
        def every():
            self.seen["cut"] += len(self.connections)
            for writer in list(self.connections):
                writer.transport.abort()
        self._do(every)

    def close(self):
        self._do(self.loop.stop)
        self.thread.join()

    def _do(self, what):
        done = threading.Event()

        def run():
            try:
                what()
            finally:
                done.set()
        self.loop.call_soon_threadsafe(run)
        done.wait()

    # ------------------------------------------------------------ in the proxy's thread
    def _run(self):
        asyncio.set_event_loop(self.loop)
        servers = []
        for name in self.targets:
            server = self.loop.run_until_complete(asyncio.start_server(
                lambda reader, writer, name=name: self._serve(name, reader, writer), "127.0.0.1", 0))
            self.ports[name] = server.sockets[0].getsockname()[1]
            servers.append(server)
        self.ready.set()
        self.loop.run_forever()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _serve(self, name, reader, writer):
        self.seen["connections"] += 1
        try:
            to_reader, to_writer = await asyncio.open_unix_connection(self.targets[name])
        except OSError:
            writer.transport.abort()
            return
        self.connections |= {writer, to_writer}
        try:
            await asyncio.gather(self._pass(name, reader, to_writer, True),
                                 self._pass(name, to_reader, writer, False))
        finally:
            for end in (writer, to_writer):
                self.connections.discard(end)
                end.transport.abort()

    async def _pass(self, name, reader, writer, from_client):
        """One direction, until its end is over; then so is the other one."""
        dead = False
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                fault = self.now if name in self.now.to else Fault()
                if fault.delay_s:
                    await asyncio.sleep(fault.delay_s)
                dead = dead or fault.swallow
                if dead:
                    self.seen["swallowed"] += 1
                    continue
                if self.chance.random() < fault.cut:
                    self.seen["cut"] += 1
                    writer.write(data[:self.chance.randrange(len(data) + 1)])
                    await writer.drain()
                    break
                writer.write(self._garble(fault, bytearray(data), from_client))
                await writer.drain()
        writer.close()

    def _garble(self, fault, data, from_client):
        if self.chance.random() < fault.noise:
            self.seen["garbled"] += 1
            at, size = self.chance.randrange(len(data)), self.chance.randrange(*NOISE)
            data[at:at + size] = b"\xff" + bytes(self.chance.randrange(128, 256) for _ in range(size - 1))
        if from_client and self.chance.random() < fault.flip:
            self.seen["flipped"] += 1
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(data)
