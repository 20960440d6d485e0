"""Orders beside an ERP that misbehaves: each ends, none is doubled, none is told to be what is not known."""
import json
import os
import random
import unittest

import bus as lib
from bus import Bus

UNKNOWN = 6


class Orders(unittest.TestCase):
    def start(self, orders=None, jobs=None, erp=("--generate", "60", "--seed", "1"), resource=None):
        self.bus = Bus(jobs=jobs if jobs is not None else {"prices": {}}, orders={"timeout": "2s", **(orders or {})}, erp=erp,
                       resource=resource)
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded(), "the first syncs")
        return self.bus

    def show(self, key):
        return self.bus.cli_json("order", "show", key)[0]

    def wait_for_status(self, key, status, seconds=30):
        return self.bus.wait_for(lambda: (o := self.show(key))["status"] == status and o, f"{key} to be {status}", seconds)

    def in_erp(self):
        return json.loads(self.bus.erp("/admin/orders")[1])

    def assert_in_erp(self, count):
        counts = self.bus.assert_judge_is_content()
        self.assertEqual(counts["orders"], count)

    # ------------------------------------------------------------ keys
    def test_the_same_key_and_body_is_the_same_order_and_another_body_is_refused(self):
        bus = self.start()
        for _ in range(3):
            self.assertEqual(bus.place("K-1", {"item": 1}, "--by", "anna", "--wait").returncode, 0)
        self.assertEqual(bus.place("K-1", {"item": 2}).returncode, 3)
        order = self.show("K-1")
        self.assertEqual((order["by"], order["attempts"], order["status"]), ("anna", 1, "placed"))
        self.assertEqual([step["status"] for step in order["history"]], ["accepted", "sending", "placed"])
        self.assert_in_erp(1)

    def test_what_is_no_order_is_refused_with_the_reason_and_never_reaches_the_erp(self):
        bus = self.start()
        for key, body, why in (("K-1", "[1]", "object"), ("K-1", '{"a":', "object"), ("K-1", "", "object"),
                               ("K 1", "{}", "visible"), ("K" * 200, "{}", "128"),
                               ("K-1", '{"reference":"X"}', "reference"), ("K-1", json.dumps({"a": "x" * 65536}), "64 KiB|65536")):
            done = bus.cli("order", "place", "-", "--key", key, stdin=body)
            self.assertIn(done.returncode, (1, 2), done)
            self.assertRegex(done.stderr, why)
        self.assertEqual(bus.cli("order", "show", "K-1").returncode, 1)
        self.assert_in_erp(0)

    # ------------------------------------------------------------ answers
    def test_a_refusal_rejects_and_a_later_waits_as_long_as_the_erp_asks(self):
        bus = self.start()
        bus.fault("status", "/orders", value=422)
        done = bus.place("K-1", None, "--wait")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("422", self.show("K-1")["why"])
        bus.fault("status", "/orders", value=429, retry_after=2)
        self.assertEqual(bus.place("K-2", None, "--wait").returncode, 0)
        steps = self.show("K-2")["history"]
        self.assertEqual([s["status"] for s in steps], ["accepted", "sending", "accepted", "sending", "placed"])
        self.assertGreaterEqual(steps[3]["time_ms"] - steps[2]["time_ms"], 1900)
        self.assert_in_erp(1)

    def test_an_answer_lost_after_the_order_was_made_is_found_by_asking(self):
        bus = self.start()
        for number, fault in enumerate(("drop_after", "truncate", "html", "empty", "garbage")):
            bus.fault(fault, "/orders", method="POST")
            done = bus.place(f"K-{number}", None, "--wait", "--timeout", "30s")
            self.assertEqual(done.returncode, 0, (fault, done))
            self.assertIn("unknown", [s["status"] for s in self.show(f"K-{number}")["history"]], fault)
        self.assert_in_erp(5)

    def test_where_keys_are_not_honoured_an_order_that_may_be_there_is_left_to_a_person(self):
        bus = self.start(erp=("--generate", "60", "--seed", "1", "--no-keys"))
        bus.fault("drop_before", "/orders", method="POST")
        done = bus.place("K-1", None, "--wait", "--timeout", "30s")
        self.assertEqual(done.returncode, UNKNOWN, done)
        order = self.show("K-1")
        self.assertEqual((order["status"], order["attempts"]), ("needs_person", 1))
        self.assertEqual(bus.cli("order", "cancel", "K-1").returncode, 3)
        self.assertEqual(bus.cli("order", "resolve", "K-1", "--rejected", "asked by phone", "--by", "anna").returncode, 0)
        order = self.show("K-1")
        self.assertEqual((order["status"], order["why"], order["history"][-1]["by"]), ("rejected", "asked by phone", "anna"))
        self.assertEqual(bus.cli("order", "resolve", "K-1", "--placed", "E-9").returncode, 3)
        self.assert_in_erp(0)

    def test_where_keys_are_honoured_an_order_that_is_not_there_is_sent_again(self):
        bus = self.start(orders={"honours_keys": True})
        for number, (fault, value) in enumerate((("drop_before", 0), ("status", 500), ("status", 503), ("status", 302))):
            bus.fault(fault, "/orders", method="POST", value=value)
            done = bus.place(f"K-{number}", None, "--wait", "--timeout", "30s")
            self.assertEqual(done.returncode, 0, (fault, value, done))
            self.assertEqual(self.show(f"K-{number}")["attempts"], 2)
        self.assert_in_erp(4)

    def test_a_silent_erp_keeps_the_lease_until_the_request_has_surely_ended(self):
        bus = self.start(orders={"honours_keys": True})
        bus.fault("hang", "/orders", method="POST")
        self.assertEqual(bus.place("K-1").returncode, 0)
        sending = self.wait_for_status("K-1", "sending")
        self.assertEqual(bus.resource().token, sending["token"])
        order = self.wait_for_status("K-1", "placed")
        sent, unknown = (next(s for s in order["history"] if s["status"] == w) for w in ("sending", "unknown"))
        self.assertGreaterEqual(unknown["time_ms"] - sent["time_ms"], 1900)
        self.assertEqual(order["attempts"], 2)
        self.assert_in_erp(1)

    def test_an_order_invisible_for_a_while_is_not_taken_for_absent(self):
        bus = self.start(orders={"honours_keys": False, "visibility_lag": "3s"},
                         erp=("--generate", "60", "--seed", "1", "--lag", "2500ms"))
        bus.fault("drop_after", "/orders", method="POST")
        done = bus.place("K-1", None, "--wait", "--timeout", "30s")
        self.assertEqual(done.returncode, 0, done)
        self.assert_in_erp(1)

    def test_an_unknown_order_says_why_the_erp_cannot_be_asked_about_it(self):
        bus = self.start()
        bus.fault("drop_after", "/orders", method="POST")
        bus.fault("status", "/orders", value=401, method="GET", count=1000)
        self.assertEqual(bus.place("K-1").returncode, 0)
        order = bus.wait_for(lambda: (o := self.show("K-1"))["status"] == "unknown" and "asked" in o["why"] and o, "the reason")
        self.assertIn("the ERP cannot be asked: the ERP answered 401", order["why"])
        bus.heal()
        self.assertEqual(self.wait_for_status("K-1", "placed")["why"], "found in the ERP")
        self.assert_in_erp(1)

    def test_an_erp_that_cannot_be_reached_leaves_orders_accepted_until_it_is_back(self):
        bus = self.start()
        bus.stop("erp")
        self.assertEqual(bus.place("K-1").returncode, 0)
        order = bus.wait_for(lambda: (o := self.show("K-1"))["attempts"] >= 1 and o["status"] == "accepted" and o, "an attempt")
        self.assertIn("not sent", order["why"])
        bus.start("erp")
        self.wait_for_status("K-1", "placed")
        self.assert_in_erp(1)

    def test_an_expired_password_stops_sending_and_rejects_nothing_until_the_service_starts_anew(self):
        bus = self.start()
        bus.fault("status", "/orders", value=401)
        self.assertEqual(bus.place("K-1").returncode, 0)
        bus.wait_for(lambda: "configuration" in self.show("K-1")["why"], "sending to stop")
        self.assertEqual(bus.place("K-2").returncode, 0)
        self.assertIn("configuration", self.show("K-2")["why"])
        self.assertEqual(bus.cli("order", "cancel", "K-2").returncode, 0)
        self.assertEqual(bus.stop("order"), 0)
        bus.start("order")
        self.wait_for_status_after_restart("K-1", "placed")
        self.assertEqual(self.show("K-2")["status"], "cancelled")
        self.assert_in_erp(1)

    def wait_for_status_after_restart(self, key, status):
        self.bus.wait_for(lambda: self.bus.cli("order", "show", key).returncode == 0, "the service to answer")
        return self.wait_for_status(key, status)

    def test_a_clean_stop_waits_for_the_request_under_way_and_gives_the_erp_back_at_once(self):
        bus = self.start(orders={"timeout": "60s"})
        bus.fault("delay", "/orders", value=1000, method="POST")
        self.assertEqual(bus.place("K-1").returncode, 0)
        self.wait_for_status("K-1", "sending")
        self.assertEqual(bus.stop("order"), 0)
        bus.wait_for(lambda: not bus.resource().token, "the lease to be back", 2)
        bus.start("order")
        order = bus.wait_for(lambda: bus.cli("order", "show", "K-1").returncode == 0 and self.show("K-1"), "the service")
        self.assertEqual([s["status"] for s in order["history"]], ["accepted", "sending", "placed"])
        self.assert_in_erp(1)

    def test_each_change_of_an_order_is_published_under_its_status(self):
        bus = self.start()
        with bus.subscriber("order.") as events:
            heard = []
            while not heard:
                bus.place(f"K-{random.getrandbits(32)}", None, "--wait")
                while events.poll(200):
                    heard.append(events.recv_multipart())
            bus.fault("drop_after", "/orders", method="POST")
            self.assertEqual(bus.place("K-1", None, "--by", "anna", "--wait", "--timeout", "30s").returncode, 0)
            pb, said = lib.messages(), []
            while not said or said[-1][0] != "order.placed":
                self.assertTrue(events.poll(10000), said)
                topic, frame = events.recv_multipart()
                order = pb.Event.FromString(frame).order
                self.assertEqual((order.key, order.by), ("K-1", "anna"))
                said.append((topic.decode(), order.erp_id))
        self.assertEqual([topic for topic, _ in said], ["order.accepted", "order.sending", "order.unknown", "order.placed"])
        self.assertNotEqual(said[-1][1], "")

    # ------------------------------------------------------------ the line
    def test_waiting_orders_know_their_place_and_their_blocker_and_one_can_be_cancelled(self):
        bus = self.start()
        os.mkfifo(bus.folder / "go")
        bus.spawn("agent", [lib.BIN / "syncbus", "run", "--config", bus.config_path, "--", "cat", bus.folder / "go"])
        bus.wait_for(lambda: bus.resource().token, "the agent to hold the ERP")
        for number in range(4):
            self.assertEqual(bus.place(f"K-{number}").returncode, 0)
        for number in range(4):
            order = bus.wait_for(lambda n=number: (o := self.show(f"K-{n}"))["position"] == n + 1 and o["blockers"] and o,
                                 f"order {number} to know its place")
            self.assertNotEqual(order["blockers"][0]["holder"], "")
        listed = bus.cli_json("order", "list")
        self.assertEqual([o["position"] for o in listed], [1, 2, 3, 4])
        self.assertEqual(bus.cli("order", "cancel", "K-1").returncode, 0)
        (bus.folder / "go").write_text("")
        for number in (0, 2, 3):
            self.wait_for_status(f"K-{number}", "placed")
        self.assertEqual(self.show("K-1")["status"], "cancelled")
        tokens = [self.show(f"K-{n}")["token"] for n in (0, 2, 3)]
        self.assertEqual(tokens, sorted(tokens))
        self.assert_in_erp(3)

    def test_forty_orders_at_once_are_placed_in_order_of_acceptance(self):
        bus = self.start()
        for number in range(40):
            self.assertEqual(bus.place(f"K-{number:02}").returncode, 0)
        bus.wait_for(lambda: all(o["status"] == "placed" for o in bus.cli_json("order", "list")), "all to be placed", 60)
        tokens = [self.show(f"K-{n:02}")["token"] for n in range(40)]
        self.assertEqual(tokens, sorted(set(tokens)))
        self.assert_in_erp(40)

    def test_a_pause_that_times_out_leaves_the_order_accepted_and_names_the_blocker(self):
        bus = self.start(jobs={"prices": {"yield": "finish", "pause_timeout": "2s"}})
        bus.fault("hang", "/export/prices")
        bus.cli("trigger", "prices")
        bus.wait_for(lambda: bus.resource().shared, "the sync to hang")
        self.assertEqual(bus.place("K-1").returncode, 0)
        order = bus.wait_for(lambda: (o := self.show("K-1"))["why"] and o, "the pause to time out")
        self.assertEqual((order["status"], order["attempts"]), ("accepted", 0))
        self.assertIn("prices", order["why"] + order["blockers"][0]["job"])
        bus.kill("sync-prices")
        self.wait_for_status("K-1", "placed")
        self.assert_in_erp(1)


if __name__ == "__main__":
    unittest.main()
