"""Broker and services on two hosts, as two network namespaces are, and the cable between them is pulled.

Services go on by themselves when it is back; nobody is started again. SYNCBUS_SEED repeats how long it is away.
"""
import os
import random
import time
import unittest

import bus as lib
import link
from bus import Bus
from traffic import Traffic, Verdict, seeded

SEED = int(os.environ.get("SYNCBUS_SEED", "0")) or random.randrange(1, 1 << 30)
ROUNDS = 30 if os.environ.get("SYNCBUS_NIGHTLY") else 4
ROWS = 300


class LinkDown(unittest.TestCase):
    def start(self, *erp, jobs, resource=None, broker=None):
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)", flush=True)
        self.far = link.Link()
        self.addCleanup(self.far.close)
        defaults = {"yield": "abort", "settle": "50ms", "retry_after": "300ms"}
        self.bus = bus = Bus(jobs=jobs, job_defaults=defaults,
                             resource={"lease_ttl": "1s", "grant_delay": "100ms", **(resource or {})},
                             broker={"beat": "200ms", "session_ttl": "2s", "requests": f"tcp://{link.BROKER}:7401",
                                     "events": f"tcp://{link.BROKER}:7402", **(broker or {})},
                             orders={"timeout": "500ms", "visibility_lag": "100ms", "honours_keys": False},
                             erp=("--generate", str(ROWS), "--seed", "1", "--no-keys", *erp))
        self.addCleanup(bus.close)
        bus.within, bus.erp_host = self.far.inside, link.ERP
        bus.start("erp")
        bus.write_config(lambda document: [job["source"].update(full_every="1ms") for job in document["jobs"].values()])
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.programs = {name: bus.start(name) for name in ("order", *(f"sync-{job}" for job in jobs))}
        return bus

    def fetching(self):
        """The token of the run that fetches now, or None."""
        job = self.bus.job("prices")
        fetching = job and job.HasField("current") and job.current.stage == lib.messages().STAGE_FETCHING
        return job.current.token if fetching else None

    def leases(self, subscriber):
        """What has happened to leases since it was last asked: (change, token), in order."""
        pb, told = lib.messages(), []
        while subscriber.poll(0):
            topic, event = subscriber.recv_multipart()
            if topic == b"lease.erp":
                lease = pb.Event.FromString(event).lease
                told.append((pb.LeaseChange.Name(lease.change).removeprefix("LEASE_CHANGE_"), lease.token))
        return told

    def assert_all_live(self):
        for name, process in self.programs.items():
            self.assertIsNone(process.poll(), f"{name} ended: {self.bus.log(name)[-1000:]}")

    def subscribe(self):
        """A subscriber to the leases' changes, which surely hears of them from now on."""
        leases = self.bus.subscriber("lease.erp", "beat")
        self.addCleanup(leases.close)
        self.assertTrue(leases.poll(10000), "no beat comes")
        leases.unsubscribe(b"beat")
        return leases

    def test_down_for_less_than_a_lease_nobody_notices(self):
        # The fetch takes longer than all of it, some 15 KB at 8,000 bytes a second; no two pings remain unanswered.
        bus = self.start("--rate", "8000", jobs={"prices": {}}, resource={"lease_ttl": "6s"},
                         broker={"beat": "2s", "session_ttl": "12s"})
        leases = self.subscribe()
        token = bus.wait_for(self.fetching, "prices to be fetched")
        self.far.down()
        back = time.monotonic() + 0.5
        bus.wait_for(lambda: time.monotonic() >= back, "half a second to pass")
        self.assertEqual(self.fetching(), token)
        self.far.up()
        bus.wait_for(bus.succeeded, "the run to end well")
        last = bus.job("prices").last
        self.assertEqual((last.attempt, last.yields), (1, 0))
        told = bus.wait_for(lambda: self.leases(leases), "the end of the lease to be told")
        self.assertEqual([each for each in told if each[0] != "GRANTED"], [("RELEASED", token)])
        self.assertNotIn("disconnected", bus.log("sync-prices"))
        bus.assert_judge_is_content()

    def test_down_for_longer_than_lease_and_session_the_erp_is_left_before_another_one_gets_it_and_the_run_is_made_up(self):
        bus = self.start("--rate", "2000", jobs={"prices": {}})
        leases = self.subscribe()
        token = bus.wait_for(self.fetching, "prices to be fetched")
        self.far.down()
        # An agent near the broker wants the ERP, too, and uses it as soon as it may: the judge sees whether it was free.
        agent = bus.spawn("agent", [lib.BIN / "syncbus", "run", "--config", bus.config_path, "--timeout", "30s", "--",
                                    "/usr/bin/python3", "-c", SELL, f"{bus.erp_url}/orders"])
        self.assertEqual(agent.wait(timeout=40), 0, bus.log("agent"))
        told = bus.wait_for(lambda: self.leases(leases), "the leases to be told of")
        self.assertIn(("EXPIRED", token), told)
        granted = [each for each in told if each[0] == "GRANTED" and each[1] > token]
        self.assertEqual(len(granted), 1)
        self.assertLess(told.index(("EXPIRED", token)), told.index(granted[0]), "the lease ended first")
        bus.wait_for(lambda: not bus.answers().services, "the services' sessions to end")
        self.assertEqual(bus.job("prices").runs, 0, "no run has ended well meanwhile")
        self.far.up()
        bus.wait_for(lambda: len(bus.answers().services) == 2, "the services to be back")
        self.assert_all_live()
        counts = bus.assert_judge_is_content(stale_presented=True)
        self.assertEqual(counts["orders"], 1)
        bus.wait_for(bus.succeeded, "the run to be made up for", 60)
        self.assertEqual(bus.place("K-1", None, "--wait", "--timeout", "30s").returncode, 0)
        bus.assert_judge_is_content(stale_presented=True)

    def test_down_and_up_again_and_again_no_rule_is_broken(self):
        jobs = {name: {"every": "3s", "offset": f"{n * 500}ms"} for n, name in enumerate(lib.ENTITIES)}
        bus = self.start("--rate", "60000", "--latency", "20ms", jobs=jobs)
        traffic, verdict = Traffic(bus, seeded(SEED, "traffic")), Verdict(bus, ROWS)
        chance, away = seeded(SEED, "link"), []
        verdict.gets_on(traffic.turn)
        for number in range(ROUNDS):
            seconds = chance.uniform(0.05, 0.6) if number % 2 else chance.uniform(2.1, 4.0)
            away.append(round(seconds, 1))
            self.far.down()
            back = time.monotonic() + seconds
            bus.wait_for(lambda: traffic.turn() or time.monotonic() >= back, "the cable to be put back")
            self.far.up()
            verdict.gets_on(traffic.turn)
            self.assert_all_live()
            verdict.ledgers_hold()
        traffic.settle()
        counts = verdict.at_the_end(traffic)
        print(f"away for {away} s; {verdict.placed} orders placed, {verdict.needs_person} for a person, {traffic.unclear} "
              f"times not known at first, {counts['accesses']} uses of the ERP, 0 violations", flush=True)


# Makes one order in the ERP, as whoever holds the exclusive lease may.
SELL = """
import os, sys, urllib.request
request = urllib.request.Request(sys.argv[1], method="POST", data=b"{}", headers={
    "Idempotency-Key": "by-hand", "X-Fencing-Token": os.environ["SYNCBUS_TOKEN"]})
assert urllib.request.urlopen(request, timeout=10).status == 201
"""

if __name__ == "__main__":
    link.enter()
    unittest.main()
