"""kill -9 of the order service in each state, and of the broker under it: what was accepted ends, placed once."""
import json
import os
import random
import unittest

import bus as lib
from bus import Bus

SEED = int(os.environ.get("SYNCBUS_SEED", "0")) or random.randrange(1, 1 << 30)


class Crash(unittest.TestCase):
    def start(self, orders=None, erp=()):
        self.bus = Bus(jobs={"prices": {}}, orders={"timeout": "2s", "honours_keys": True, **(orders or {})},
                       erp=("--generate", "60", "--seed", "1", *erp))
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded(), "the first sync")
        return self.bus

    def show(self, key):
        """The order, or None while nobody answers for it."""
        done = self.bus.cli("order", "show", key, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_for_status(self, key, status, seconds=60):
        return self.bus.wait_for(lambda: (o := self.show(key)) and o["status"] == status and o, f"{key} to be {status}",
                                 seconds)

    def place(self, *keys):
        for key in keys:
            self.assertEqual(self.bus.place(key).returncode, 0)

    def restart(self):
        self.bus.kill("order")
        self.bus.start("order")

    def statuses(self, order):
        return [step["status"] for step in order["history"]]

    def assert_in_erp(self, count):
        counts = self.bus.assert_judge_is_content(stale_presented=True)
        self.assertEqual(counts["orders"], count)

    def test_killed_with_accepted_orders_in_line_it_places_them_in_their_order(self):
        bus = self.start()
        os.mkfifo(bus.folder / "go")
        bus.spawn("agent", [lib.BIN / "syncbus", "run", "--config", bus.config_path, "--", "cat", bus.folder / "go"])
        bus.wait_for(lambda: bus.resource().token, "the agent to hold the ERP")
        self.place("K-2", "K-1", "K-3")
        self.restart()
        bus.wait_for(lambda: (o := self.show("K-3")) and o["position"] == 3, "the line to stand again")
        (bus.folder / "go").write_text("")
        tokens = [self.wait_for_status(key, "placed")["token"] for key in ("K-2", "K-1", "K-3")]
        self.assertEqual(tokens, sorted(tokens))
        self.assert_in_erp(3)

    def test_killed_while_sending_it_finds_the_order_that_the_erp_went_on_to_make(self):
        bus = self.start(orders={"honours_keys": False}, erp=("--no-keys",))
        bus.fault("delay", "/orders", value=1000, method="POST")
        self.place("K-1")
        self.wait_for_status("K-1", "sending")
        self.restart()
        order = self.wait_for_status("K-1", "placed")
        self.assertEqual(self.statuses(order), ["accepted", "sending", "unknown", "placed"])
        self.assertEqual(order["attempts"], 1)
        self.assert_in_erp(1)

    def test_killed_while_sending_what_never_arrived_is_sent_again_only_where_keys_are_honoured(self):
        for honours, end in ((True, "placed"), (False, "needs_person")):
            with self.subTest(honours_keys=honours):
                bus = self.start(orders={"honours_keys": honours})
                bus.fault("hang", "/orders", method="POST")
                self.place("K-1")
                self.wait_for_status("K-1", "sending")
                self.restart()
                order = self.wait_for_status("K-1", end)
                self.assertEqual(order["attempts"], 2 if honours else 1)
                self.assert_in_erp(1 if honours else 0)

    def test_killed_while_unknown_it_goes_on_asking(self):
        bus = self.start()
        bus.fault("drop_after", "/orders", method="POST")
        bus.fault("status", "/orders", value=500, method="GET", count=1000)
        self.place("K-1")
        self.wait_for_status("K-1", "unknown")
        self.restart()
        self.wait_for_status("K-1", "unknown")
        bus.heal()
        order = self.wait_for_status("K-1", "placed")
        self.assertEqual(order["attempts"], 1)
        self.assert_in_erp(1)

    def test_killed_in_every_end_state_nothing_changes_and_nothing_is_sent(self):
        bus = self.start(orders={"honours_keys": False})
        self.place("placed")
        self.wait_for_status("placed", "placed")
        bus.fault("status", "/orders", value=400)
        self.place("rejected")
        self.wait_for_status("rejected", "rejected")
        bus.fault("drop_before", "/orders", method="POST")
        self.place("needs_person")
        self.wait_for_status("needs_person", "needs_person")
        bus.fault("status", "/orders", value=429, retry_after=600)
        self.place("cancelled")
        bus.wait_for(lambda: (o := self.show("cancelled")) and o["attempts"] == 1 and o["status"] == "accepted", "a later")
        self.assertEqual(bus.cli("order", "cancel", "cancelled").returncode, 0)
        before = bus.cli_json("order", "list")
        self.restart()
        bus.wait_for(lambda: self.show("placed"), "the service to answer")
        self.assertEqual(bus.cli_json("order", "list"), before)
        self.assertEqual({o["key"]: o["status"] for o in before}, {key: key for key in
                                                                   ("placed", "rejected", "needs_person", "cancelled")})
        self.assertEqual(bus.cli("order", "resolve", "needs_person", "--placed", "E-77").returncode, 0)
        self.assertEqual(self.show("needs_person")["erp_id"], "E-77")
        self.assert_in_erp(1)

    def test_the_broker_killed_while_an_order_is_sent_takes_the_lease_over_and_the_order_is_placed(self):
        bus = self.start(orders={"timeout": "10s"})
        bus.fault("delay", "/orders", value=2000, method="POST")
        self.place("K-1")
        self.wait_for_status("K-1", "sending")
        bus.kill("broker")
        bus.start("broker")
        order = self.wait_for_status("K-1", "placed")
        self.assertEqual(self.statuses(order), ["accepted", "sending", "placed"])
        self.assert_in_erp(1)

    def test_the_broker_gone_for_longer_than_the_lease_leaves_the_order_unknown_until_it_is_back(self):
        bus = self.start(orders={"timeout": "8s"})
        bus.fault("delay", "/orders", value=7000, method="POST")
        self.place("K-1")
        self.wait_for_status("K-1", "sending")
        bus.kill("broker")
        bus.wait_for(lambda: '"event":"unknown"' in bus.log("order"), "the lease to be lost")
        bus.start("broker")
        order = self.wait_for_status("K-1", "placed")
        self.assertEqual(self.statuses(order), ["accepted", "sending", "unknown", "placed"])
        self.assert_in_erp(1)

    def test_killed_again_and_again_at_any_moment_it_places_each_order_once(self):
        chance = random.Random(SEED)
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)")
        bus = self.start(orders={"timeout": "1s"}, erp=("--latency", "60ms"))
        keys = [f"K-{number}" for number in range(12)]
        for life in range(4):
            self.place(*keys[life * 3:life * 3 + 3])
            if chance.random() < 0.5:
                bus.fault(chance.choice(("drop_before", "drop_after")), "/orders", method="POST")
            bus.wait_for(lambda: chance.random() < 0.1, "a random moment")
            self.restart()
            bus.wait_for(lambda: self.show(keys[0]), "the service to answer")
        bus.heal()
        for key in keys:
            self.wait_for_status(key, "placed", 120)
        self.assert_in_erp(len(keys))


if __name__ == "__main__":
    unittest.main()
