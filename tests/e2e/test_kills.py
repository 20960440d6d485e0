"""A whole bus at work whose programs are killed -9 and frozen at random moments, again and again: no rule is ever broken.

100 kills in all; 2,000 with SYNCBUS_NIGHTLY=1, or as many as SYNCBUS_KILLS says. SYNCBUS_SEED repeats the moments.
"""
import json
import os
import random
import sys
import unittest

import bus as lib
from bus import Bus
from havoc import Havoc
from traffic import Traffic, Verdict, seeded

SEED = int(os.environ.get("SYNCBUS_SEED", "0")) or random.randrange(1, 1 << 30)
KILLS = int(os.environ.get("SYNCBUS_KILLS", "0")) or (2000 if os.environ.get("SYNCBUS_NIGHTLY") else 100)
ROWS = 300  # some 14 KB an export, so that one takes some 0.4 seconds
# Short, so that much happens in a second; a fetch fits into what a lease has left at any moment, as an ERP that goes on
# sending to a frozen client is at work all the same.
LEASE_S = 1.0 + 0.1 + 0.5


class Kills(unittest.TestCase):
    def start(self, honours_keys):
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)", flush=True)
        # Half of the jobs let an order wait for their fetch: so that both are there when the broker dies.
        jobs = {name: {"every": "3s", "offset": f"{n * 500}ms", "yield": ("abort", "finish")[n % 2]}
                for n, name in enumerate(lib.ENTITIES)}
        defaults = {"settle": "50ms", "retry_after": "300ms"}
        self.bus = bus = Bus(jobs=jobs, job_defaults=defaults,
                             resource={"lease_ttl": "1s", "grant_delay": "100ms"},
                             broker={"beat": "200ms", "session_ttl": "2s"},
                             orders={"timeout": "500ms", "visibility_lag": "100ms", "honours_keys": honours_keys},
                             erp=("--generate", str(ROWS), "--seed", "1", "--rate", "40000", "--latency", "60ms",
                                  *([] if honours_keys else ["--no-keys"])))
        self.addCleanup(bus.close)
        bus.start("erp")
        # What has not changed is fetched all the same: else nothing would be under way when a sync dies.
        bus.write_config(lambda document: [job["source"].update(full_every="1ms") for job in document["jobs"].values()])
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        for name in ("order", *(f"sync-{job}" for job in jobs)):
            bus.start(name)
        return bus

    def rage(self, honours_keys, kills):
        bus = self.start(honours_keys)
        traffic = Traffic(bus, seeded(SEED, "traffic"))
        verdict = Verdict(bus, ROWS)
        havoc = Havoc(bus, traffic, verdict, seeded(SEED, f"havoc {honours_keys}"), LEASE_S)
        self.addCleanup(havoc.close)
        try:
            havoc.rage(kills)
            traffic.settle()
            counts = verdict.at_the_end(traffic)
        except BaseException:
            bus.show_logs()
            print(f"after {havoc.figures()}; the judge has {bus.judge()}", *self.overlaps(), sep="\n", file=sys.stderr)
            raise
        havoc.look_at_tokens()
        print(f"{havoc.figures()}; {len(traffic.acknowledged)} orders acknowledged, {traffic.unclear} times not known at "
              f"first, {verdict.placed} placed, {verdict.needs_person} for a person; {counts['accesses']} uses of the ERP, "
              f"{sum(havoc.grants.values())} grants seen, {verdict.slots} slots, 0 violations", flush=True)
        self.assertGreaterEqual(havoc.total(), kills)
        self.assertGreater(verdict.placed, kills // 2, "too few orders to say anything")
        return verdict

    def overlaps(self):
        """The uses of the ERP around each one that met another."""
        accesses = json.loads(self.bus.erp("/admin/accesses")[1])
        wrong = [n for n, access in enumerate(accesses) if access["overlaps"]]
        return [json.dumps(access) for at in wrong[:3] for access in accesses[max(0, at - 3):at + 2]]

    def test_killed_and_frozen_at_any_moment_where_the_erp_honours_keys_every_order_is_placed_once(self):
        verdict = self.rage(True, KILLS // 2)
        self.assertEqual(verdict.needs_person, 0)

    def test_killed_and_frozen_at_any_moment_where_it_does_not_no_order_is_doubled_and_none_is_lost(self):
        self.rage(False, KILLS - KILLS // 2)


if __name__ == "__main__":
    unittest.main()
