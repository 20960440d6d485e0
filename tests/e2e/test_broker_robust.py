"""The broker by itself: whatever is sent to it, and however it ends, others are served and nothing recorded is lost."""
import os
import random
import resource
import signal
import socket as sockets
import subprocess
import threading
import time
import unittest

import zmq

import bus as lib
from bus import Bus

SEED = int(os.environ.get("SYNCBUS_SEED", "0")) or random.randrange(1, 1 << 30)


class Session:
    """A client of its own, by the protocol alone: a DEALER with a session, asking one thing after the other."""

    def __init__(self, bus, name, jobs=(), chance=random):
        self.bus, self.chance, self.id, self.session = bus, chance, 0, 0
        self.pb = lib.messages()
        self.socket = bus.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(bus.requests)
        self.hello = {"name": name, "instance": chance.getrandbits(63) | 1, "process": chance.getrandbits(63) | 1,
                      "host": 77, "jobs": list(jobs), "serves": []}

    def close(self):
        self.socket.close()

    def ask(self, timeout=5, **body):
        """The Reply, or None when none came in time; a lost session is made anew first."""
        if not self.session and "hello" not in body:
            welcome = self.ask(hello=self.hello)
            if welcome is None or not welcome.HasField("welcome"):
                return None
            self.session = welcome.welcome.session
        self.id += 1
        number = self.id
        session = 0 if "hello" in body else self.session
        words = {name: Bus._body(self.pb, name, value) for name, value in body.items()}
        self.socket.send(self.pb.Request(id=number, session=session, **words).SerializeToString())
        deadline = time.monotonic() + timeout
        while self.socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            reply = self.pb.Reply.FromString(self.socket.recv())
            if reply.id == number:
                if reply.code == self.pb.CODE_NO_SESSION:
                    self.session = 0
                return reply
        return None

    def ask_all(self, bodies, timeout=1):
        """Sends all of them before it reads an answer; their Replies in order, None for each that did not come in time."""
        if not bodies or (not self.session and self.ask(ping={}) is None):
            return [None] * len(bodies)
        first, replies = self.id + 1, [None] * len(bodies)
        for body in bodies:
            self.id += 1
            words = {name: Bus._body(self.pb, name, value) for name, value in body.items()}
            self.socket.send(self.pb.Request(id=self.id, session=self.session, **words).SerializeToString())
        deadline = time.monotonic() + timeout
        while None in replies and self.socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            reply = self.pb.Reply.FromString(self.socket.recv())
            if first <= reply.id <= self.id:
                replies[reply.id - first] = reply
        return replies

    def exclusive(self, claim):
        """One poll for the exclusive lease: the token, or 0."""
        reply = self.ask(acquire={"resource": "erp", "mode": self.pb.MODE_EXCLUSIVE, "claim": claim, "reason": "test"})
        return reply.granted.token if reply is not None and reply.HasField("granted") else 0


class Robust(unittest.TestCase):
    def setUp(self):
        self.bus = Bus(jobs={"prices": {"every": "1s"}}, resource={"lease_ttl": "1s", "grant_delay": "100ms"})
        self.addCleanup(self.bus.close)
        self.pb = lib.messages()

    def start(self):
        self.bus.write_config()
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")

    def refused(self, name, *args):
        """Starts a broker that must end by itself; (exit code, what it said)."""
        process = self.bus.spawn(name, [lib.BIN / "syncbus-broker", "--config", self.bus.config_path, *args])
        return process.wait(timeout=20), self.bus.log(name)


class Garbage(Robust):
    def test_bytes_that_are_no_request_are_answered_as_such_and_disturb_nobody(self):
        self.start()
        chance = random.Random(SEED)
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)")
        whole = self.pb.Request(id=7, call=self.pb.Call(service="order", method="show", body=b"x" * 40)).SerializeToString()
        bad = [b"", b"\xff" * 30, b"GET / HTTP/1.1\r\n\r\n", self.pb.Request(id=9).SerializeToString()]
        bad += [whole[:length] for length in range(3, len(whole) - 1, 5)]
        bad += [chance.randbytes(chance.randrange(1, 200)) for _ in range(200)]
        with self.bus.requester(zmq.DEALER) as socket:
            for data in bad:
                socket.send(data)
                self.assertTrue(socket.poll(5000), f"no answer to {data!r}")
                reply = self.pb.Reply.FromString(socket.recv())
                self.assertNotIn(reply.code, (self.pb.CODE_OK, self.pb.CODE_UNSPECIFIED), data)
        self.assertIsNotNone(self.bus.answers())

    def test_wrong_frames_are_refused_and_the_next_request_is_served(self):
        self.start()
        ask = self.pb.Request(id=7, snapshot=self.pb.Snapshot()).SerializeToString()
        with self.bus.requester(zmq.DEALER) as socket:
            for frames in ([b"x", ask], [b"", b"", ask], [b"x"] * 100, [b"", ask, ask]):
                socket.send_multipart(frames)
                self.assertTrue(socket.poll(5000), f"no answer to {len(frames)} frames")
                reply = self.pb.Reply.FromString(socket.recv_multipart()[-1])
                self.assertEqual(reply.code, self.pb.CODE_INVALID)
            for frames in ([ask], [b"", ask]):
                socket.send_multipart(frames)
                self.assertTrue(socket.poll(5000))
                self.assertEqual(self.pb.Reply.FromString(socket.recv_multipart()[-1]).id, 7)

    def test_an_oversized_frame_costs_only_its_sender_the_connection(self):
        self.start()
        with self.bus.requester(zmq.DEALER) as bad, self.bus.requester(zmq.DEALER) as good:
            bad.send(b"x" * (2 << 20))
            good.send(self.pb.Request(id=1, snapshot=self.pb.Snapshot()).SerializeToString())
            self.assertTrue(good.poll(5000))
            self.assertFalse(bad.poll(200))
        self.assertIsNotNone(self.bus.answers())

    def test_a_stream_that_is_not_even_zmq_disturbs_nobody(self):
        self.start()
        chance = random.Random(SEED)
        for path in (self.bus.requests, self.bus.events):
            for _ in range(50):
                with sockets.socket(sockets.AF_UNIX) as raw:
                    raw.connect(path[len("ipc://"):])
                    try:
                        raw.sendall(chance.randbytes(chance.randrange(1, 500)))
                    except OSError:
                        pass  # it may be cut off at any byte
        self.assertIsNotNone(self.bus.answers())

    def test_a_thousand_clients_that_come_and_go_are_all_served(self):
        self.start()
        for _ in range(1000):
            reply = self.bus.ask(snapshot={})
            self.assertIsNotNone(reply)
            self.assertEqual(reply.code, self.pb.CODE_OK)

    def test_with_few_descriptors_the_earlier_clients_are_still_served(self):
        self.bus.write_config()
        self.bus.spawn("broker", [lib.BIN / "syncbus-broker", "--config", self.bus.config_path],
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        self.bus.wait_for(self.bus.answers, "the broker to answer")
        ask = self.pb.Request(id=1, snapshot=self.pb.Snapshot()).SerializeToString()
        with self.bus.requester(zmq.DEALER) as first:
            first.send(ask)
            self.assertTrue(first.poll(5000))
            first.recv()
            crowd = []
            try:
                for _ in range(100):
                    crowd.append(sockets.socket(sockets.AF_UNIX))
                    crowd[-1].connect(self.bus.requests[len("ipc://"):])
                for _ in range(5):
                    first.send(ask)
                    self.assertTrue(first.poll(5000), "an earlier client is no longer served")
                    first.recv()
            finally:
                for raw in crowd:
                    raw.close()
        self.bus.wait_for(self.bus.answers, "newcomers to be served again once there is room")


class Start(Robust):
    def test_a_second_broker_on_the_same_data_is_refused(self):
        self.start()
        code, said = self.refused("second")
        self.assertEqual(code, 3, said)
        self.assertIsNotNone(self.bus.answers())

    def test_a_second_broker_on_the_same_sockets_is_refused_and_the_first_keeps_them(self):
        self.start()
        self.bus.write_config(lambda document: document["broker"].update(data=str(self.bus.folder / "other")))
        code, said = self.refused("second")
        self.assertEqual(code, 3, said)
        self.assertIn("another broker listens there", said)
        self.assertIsNotNone(self.bus.answers())

    def test_sockets_that_a_killed_broker_left_are_taken_over(self):
        self.start()
        self.bus.kill("broker")
        self.assertTrue(os.path.exists(self.bus.requests[len("ipc://"):]))
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer again")

    def test_tcp_is_served_on_loopback_and_refused_elsewhere(self):
        with sockets.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.bus.write_config(lambda document: document["broker"].update(requests=f"tcp://0.0.0.0:{port}"))
        code, said = self.refused("open")
        self.assertEqual(code, 2, said)
        self.assertRegex(said, r"syncbus\.yaml:\d+:\d+: broker\.requests: .*until encryption exists")
        self.bus.write_config(lambda document: document["broker"].update(requests=f"tcp://localhost:{port}"))
        self.bus.start("broker")
        with self.bus.context.socket(zmq.REQ) as socket:
            socket.linger = 0
            socket.connect(f"tcp://127.0.0.1:{port}")
            socket.send(self.pb.Request(id=1, snapshot=self.pb.Snapshot()).SerializeToString())
            self.assertTrue(socket.poll(10000))

    def test_each_kind_of_wrong_config_ends_the_start_with_its_place(self):
        def wrong(change, said):
            self.bus.write_config(change)
            code, log = self.refused(f"wrong-{said[:10].replace(' ', '-')}")
            self.assertEqual(code, 2, log)
            self.assertRegex(log, r"syncbus\.yaml:\d+:\d+: .*" + said)

        wrong(lambda d: d["broker"].update(dta="x"), 'did you mean "data"')
        wrong(lambda d: d["jobs"]["prices"].pop("every"), "every is missing")
        wrong(lambda d: d["jobs"]["prices"].update(every="soon"), "every: ")
        wrong(lambda d: d["jobs"]["prices"].update(resource="epr"), 'did you mean "erp"')
        wrong(lambda d: d["jobs"]["prices"].update(data=str(self.bus.folder / "broker")), "is the broker's")
        wrong(lambda d: d["resources"]["erp"].update(capacity=-1), "capacity: ")
        self.bus.config_path.write_text("broker: [\n")
        self.assertEqual(self.refused("broken")[0], 2)
        self.bus.config_path.unlink()
        self.assertEqual(self.refused("none")[0], 2)

    def test_the_config_is_checked_without_starting_anything(self):
        self.bus.write_config()
        done = subprocess.run([lib.BIN / "syncbus-broker", "--config", self.bus.config_path, "--check-config"],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.bus.config_path}: ok (1 job, 1 resource)\n"))
        self.assertFalse((self.bus.folder / "broker").exists())


class Ends(Robust):
    def test_a_clean_stop_ends_with_0_and_the_next_start_grants_at_once(self):
        self.start()
        session = Session(self.bus, "test")
        self.addCleanup(session.close)
        self.bus.wait_for(lambda: session.exclusive(11), "a first lease")
        session.ask(release={"token": session.exclusive(11), "resource": "erp"})
        self.assertEqual(self.bus.stop("broker"), 0)
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to be back")
        session.session = 0
        self.assertGreater(session.exclusive(12), 0)

    def test_killed_under_load_its_epochs_and_tokens_grow_and_no_slot_comes_twice(self):
        chance = random.Random(SEED)
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)")
        self.start()
        session = Session(self.bus, "load", chance=chance)
        self.addCleanup(session.close)
        epoch, token, recorded, grants = 0, 0, {}, 0
        for _ in range(5):
            until = time.monotonic() + chance.uniform(2, 3)
            while time.monotonic() < until:
                reply = session.ask(timeout=1, trigger={"job": "prices"})
                self.assertTrue(reply is None or reply.epoch >= epoch)
                epoch = max(epoch, reply.epoch if reply else 0)
                claim = chance.getrandbits(63) | 1
                got = session.exclusive(claim)
                if got:
                    grants += 1
                    self.assertGreater(got, token, "a token came twice or fell")
                    token = got
                    session.ask(release={"token": got, "resource": "erp"})
                else:
                    session.ask(withdraw={"claim": claim, "resource": "erp"})
            recorded = self.ledger(recorded)
            self.bus.kill("broker", signal.SIGKILL)
            self.bus.start("broker")
            self.bus.wait_for(self.bus.answers, "the broker to be back")
            after = self.bus.ask(snapshot={}).epoch
            self.assertGreater(after, epoch)
            epoch = after
        self.ledger(recorded)
        self.assertGreater(grants, 10)

    def test_what_was_acknowledged_before_a_kill_is_there_after_it(self):
        chance = random.Random(SEED)
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)")
        jobs = [f"job{n}" for n in range(8)]
        bus = Bus(jobs={name: {"every": "1h"} for name in jobs})
        self.addCleanup(bus.close)
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        session = Session(bus, "load", jobs, chance)
        self.addCleanup(session.close)
        acknowledged = {}  # run: (job, whether its result was acknowledged, too)
        for _ in range(6):
            timer = threading.Timer(chance.uniform(0.2, 0.8), bus.kill, ("broker",))
            timer.start()
            while timer.is_alive():
                self.many_at_once(session, jobs, acknowledged)
            timer.join()
            bus.start("broker")
            bus.wait_for(bus.answers, "the broker to be back")
            session.session = 0
            for job in jobs:
                runs = self.runs(bus, job)
                for run, (of, ended) in acknowledged.items():
                    if of == job:
                        self.assertTrue(run in runs, f"run {run} was lost")
                        self.assertTrue(not ended or runs[run] == self.pb.STAGE_SUCCEEDED, f"run {run} lost its result")
        self.assertGreater(len(acknowledged), 50)

    def many_at_once(self, session, jobs, acknowledged):
        """Triggers every job, and reports each run as done, all without waiting in between: they share commits."""
        runs = {}
        for job, reply in zip(jobs, session.ask_all([{"trigger": {"job": job}} for job in jobs])):
            if reply is not None and reply.code == self.pb.CODE_OK:
                runs[job] = reply.triggered.run
                acknowledged.setdefault(reply.triggered.run, (job, False))
        reports = [{"report": {"job": job, "run": run, "attempt": 1, "result": {"ok": True}}} for job, run in runs.items()]
        for (job, run), reply in zip(runs.items(), session.ask_all(reports)):
            if reply is not None and reply.code == self.pb.CODE_OK:
                acknowledged[run] = (job, True)

    def runs(self, bus, job):
        """The stage of every run of a job, from the last page to the first."""
        found, before = {}, 0
        while True:
            page = bus.ask(runs={"job": job, "limit": 1000, "before": before}).run_list.runs
            found.update((run.run, run.stage) for run in page)
            if len(page) < 1000:
                break
            before = min(run.run for run in page)
        current = bus.ask(snapshot={"job": job}).state.jobs[0].current
        return {current.run: current.stage, **found}

    def ledger(self, before):
        """The outcome of each slot; none is there twice, and none that was told before is lost."""
        entries = self.bus.ask(ledger={"job": "prices", "limit": 1000}).ledger_list.entries
        now = {entry.slot_ms: entry.outcome for entry in entries}
        self.assertEqual(len(now), len(entries), "a slot has two outcomes")
        for slot, outcome in before.items():
            self.assertEqual(now.get(slot), outcome, "a recorded outcome was lost")
        return now

    def test_a_full_disk_stops_it_with_a_reason(self):
        self.start()
        pid = self.bus.processes["broker"].pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
        code = self.bus.processes["broker"].wait(timeout=30)
        self.assertNotEqual(code, 0)
        self.assertIn("the journal could not be written", self.bus.log("broker"))


if __name__ == "__main__":
    unittest.main()
