"""Between the bus's programs and their broker stands a proxy that delays, cuts, swallows and garbles: the bus goes on.

Nobody is started again: sessions come back by themselves. SYNCBUS_SEED repeats what happens.
"""
import json
import os
import random
import time
import unittest

import bus as lib
from bus import Bus
from proxy import Proxy
from traffic import Traffic, Verdict, seeded

SEED = int(os.environ.get("SYNCBUS_SEED", "0")) or random.randrange(1, 1 << 30)
ROUNDS = 8 if os.environ.get("SYNCBUS_NIGHTLY") else 1
ROWS = 300
LEASE_S, SESSION_S = 1.6, 2.0  # how long a lease lives at most without renewals; after which a silent session is gone

# What is done, and for how long: shorter and longer than a lease and a session live.
STORMS = [
    ("late", {"delay_s": 0.1}, 2.0),
    ("later than a lease lives", {"delay_s": 1.2 * LEASE_S}, 2 * LEASE_S),
    ("half-open for less than a lease", {"swallow": True}, 0.4 * LEASE_S),
    ("half-open for longer than a session", {"swallow": True}, 1.7 * SESSION_S),
    ("requests half-open, events not", {"swallow": True, "to": ("requests",)}, 1.3 * LEASE_S),
    ("no events", {"swallow": True, "to": ("events",)}, 1.3 * SESSION_S),
    ("cut at any byte", {"cut": 0.1}, 3.0),
    ("noise", {"noise": 0.1}, 3.0),
]


class BadNetwork(unittest.TestCase):
    def start(self, *programs):
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)", flush=True)
        jobs = {name: {"every": "3s", "offset": f"{n * 500}ms"} for n, name in enumerate(lib.ENTITIES)}
        defaults = {"yield": "abort", "settle": "50ms", "retry_after": "300ms"}
        self.bus = bus = Bus(jobs=jobs, job_defaults=defaults, resource={"lease_ttl": "1s", "grant_delay": "100ms"},
                             broker={"beat": "200ms", "session_ttl": f"{int(SESSION_S * 1000)}ms"},
                             orders={"timeout": "500ms", "visibility_lag": "100ms", "honours_keys": False},
                             erp=("--generate", str(ROWS), "--seed", "1", "--rate", "60000", "--no-keys"))
        self.addCleanup(bus.close)
        bus.start("erp")
        sockets = {name: address[len("ipc://"):] for name, address in (("requests", bus.requests), ("events", bus.events))}
        self.proxy = Proxy(sockets, seeded(SEED, "proxy"))
        self.addCleanup(self.proxy.close)
        bus.reach_broker_by(self.proxy.address("requests"), self.proxy.address("events"))
        bus.write_config(lambda document: [job["source"].update(full_every="1ms") for job in document["jobs"].values()])
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.programs = {name: bus.start(name) for name in programs}
        self.programs["broker"] = bus.processes["broker"]
        return bus

    def assert_all_live(self):
        for name, process in self.programs.items():
            self.assertIsNone(process.poll(), f"{name} ended: {self.bus.log(name)[-1000:]}")

    def last_words(self, name):
        """What a program says at its clean end."""
        self.assertEqual(self.bus.stop(name), 0)
        return json.loads(self.bus.log(name).splitlines()[-1])

    def test_late_cut_swallowed_and_garbled_bytes_break_no_rule_and_each_session_comes_back_by_itself(self):
        bus = self.start("order", *(f"sync-{name}" for name in lib.ENTITIES))
        traffic, verdict = Traffic(bus, seeded(SEED, "traffic")), Verdict(bus, ROWS)
        chance = seeded(SEED, "storms")
        verdict.gets_on(traffic.turn)
        for _ in range(ROUNDS):
            for name, fault, seconds in chance.sample(STORMS, len(STORMS)):
                self.proxy.fault(**fault)
                over = time.monotonic() + seconds
                bus.wait_for(lambda: traffic.turn() or time.monotonic() >= over, "a storm to pass", seconds + 30)
                self.proxy.heal()
                if chance.random() < 0.5 and "swallow" not in fault:
                    self.proxy.cut()
                verdict.gets_on(traffic.turn)
                self.assert_all_live()
                verdict.ledgers_hold()
        traffic.settle()
        self.assertEqual(len(bus.answers().services), len(self.programs) - 1, "each service has one session")
        counts = verdict.at_the_end(traffic)
        seen = self.proxy.seen
        print(f"{seen}; {verdict.placed} orders placed, {verdict.needs_person} for a person, {traffic.unclear} times not "
              f"known at first, {counts['accesses']} uses of the ERP, {verdict.slots} slots, 0 violations", flush=True)
        for what in ("cut", "garbled", "swallowed"):
            self.assertGreater(seen[what], 0, f"nothing was {what}")

    def test_a_changed_bit_ends_nobody_and_requests_that_cannot_be_read_are_counted(self):
        bus = self.start(*(f"sync-{name}" for name in lib.ENTITIES))
        bus.wait_for(bus.succeeded, "every job to succeed", 60)
        self.proxy.fault(flip=0.2)
        bus.wait_for(lambda: self.proxy.seen["flipped"] >= 200, "many bits to be changed", 120)
        self.proxy.heal()
        # One bit can make another message that is as good: what it says is believed, and no more is asked for here.
        self.assertIsNotNone(bus.answers())
        self.assert_all_live()
        words = self.last_words("broker")
        print(f"{self.proxy.seen}; the broker said {words}", flush=True)
        self.assertGreater(int(words["unread"]), 0)


if __name__ == "__main__":
    unittest.main()
