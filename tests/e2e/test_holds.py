"""Maintenance stops as operators lay them: nested, durable, ending by themselves, for orders too."""
import unittest

import bus as lib
from bus import Bus

OK, FAILED, USAGE, REFUSED, TIMED_OUT = range(5)
NOT_GRANTED = 124


class Holds(unittest.TestCase):
    def start(self, **options):
        self.bus = Bus(jobs={"prices": {}}, **options)
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first sync")
        self.bus.wait_for(lambda: self.bus.cli("order", "list").returncode == OK, "the order service")
        return self.bus

    def hold(self, *words):
        return self.bus.cli_json("hold", *words)[0]["hold"]

    def holds(self):
        return {hold["hold"]: hold for hold in self.bus.cli_json("holds")}

    def test_holds_nest_and_lie_on_over_a_kill_of_the_broker_until_each_is_taken_off(self):
        bus = self.start()
        on_job = self.hold("prices", "--reason", "the export is rebuilt", "--by", "anna@desk", "--for", "1h")
        on_erp = self.hold("--resource", "erp", "--reason", "the ERP is updated", "--by", "ben@desk")
        self.assertRegex(on_job, "^[0-9a-f]{16}$")
        bus.kill("broker")
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        held = self.holds()
        self.assertEqual(set(held), {on_job, on_erp})
        self.assertEqual((held[on_job]["by"], held[on_job]["reason"], held[on_job]["job"]),
                         ("anna@desk", "the export is rebuilt", "prices"))
        self.assertGreater(held[on_job]["until_ms"], held[on_job]["since_ms"])
        shown = bus.cli("status").stdout
        self.assertIn("on hold", shown)
        self.assertIn(on_erp, shown)
        for taken_off, by in ((None, "anna@desk"), (on_job, "ben@desk")):
            if taken_off:
                self.assertEqual(bus.cli("unhold", taken_off).returncode, OK)
            done = bus.cli("trigger", "prices")
            self.assertEqual(done.returncode, REFUSED, done)
            self.assertIn(f"on hold by {by}", done.stderr)
        self.assertEqual(bus.cli("unhold", on_erp).returncode, OK)
        self.assertEqual(self.holds(), {})
        self.assertEqual(bus.cli("trigger", "prices", "--wait", "--timeout", "50s").returncode, OK)
        self.assertEqual(bus.cli("unhold", on_erp).returncode, FAILED)

    def test_a_tick_under_a_hold_is_skipped_and_the_hold_ends_by_itself(self):
        bus = self.start(job_defaults={"every": "1s"})
        self.hold("prices", "--reason", "short", "--by", "anna", "--for", "2500ms")
        skipped = bus.wait_for(lambda: [e for e in bus.cli_json("ledger", "prices") if e["outcome"] == "skipped"],
                               "a slot to be skipped")
        self.assertEqual(skipped[0]["why"], "hold: anna: short")
        bus.wait_for(lambda: not self.holds(), "the hold to end")
        runs = bus.job("prices").runs
        bus.wait_for(lambda: bus.job("prices").runs > runs, "the job to run again")

    def test_what_runs_already_goes_on_to_its_end_under_a_hold(self):
        bus = self.start()
        bus.fault("delay", "/export/prices", value=1500)
        bus.cli("trigger", "prices")
        bus.wait_for(lambda: bus.job("prices").current.stage == lib.messages().STAGE_FETCHING, "the fetch to begin")
        token = bus.job("prices").current.token
        self.hold("--resource", "erp", "--reason", "update", "--orders-too")
        self.assertEqual(bus.job("prices").current.token, token)
        bus.wait_for(lambda: not bus.job("prices").HasField("current"), "the run to end")
        last = bus.job("prices").last
        self.assertEqual((last.stage, last.yields), (lib.messages().STAGE_SUCCEEDED, 0))
        self.assertTrue(self.holds())

    def test_orders_pass_a_hold_unless_it_is_for_orders_too(self):
        bus = self.start()
        syncs = self.hold("--resource", "erp", "--reason", "syncs only")
        self.assertEqual(bus.place("K-1", None, "--wait").returncode, OK)
        orders = self.hold("--resource", "erp", "--reason", "the ERP is updated", "--by", "anna@desk", "--orders-too")
        done = bus.cli("run", "--timeout", "20s", "--", "true")
        self.assertEqual(done.returncode, NOT_GRANTED, done)
        self.assertIn("erp is on hold by anna@desk: the ERP is updated", done.stderr)
        done = bus.place("K-2", None, "--wait", "--timeout", "3s")
        self.assertEqual(done.returncode, TIMED_OUT, done)
        self.assertIn("on hold by anna@desk", done.stderr)
        order = bus.cli_json("order", "show", "K-2")[0]
        self.assertEqual((order["status"], order["attempts"]), ("accepted", 0))
        self.assertIn("on hold by anna@desk", order["why"])
        self.assertEqual(bus.judge()["orders"], 1)
        self.assertEqual(bus.cli("unhold", orders).returncode, OK)
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-2")[0]["status"] == "placed", "the order to be placed", 60)
        self.assertEqual(set(self.holds()), {syncs})
        bus.assert_judge_is_content()

    def test_an_order_that_waits_when_the_hold_is_laid_is_told_so(self):
        bus = self.start()
        agent = bus.spawn("agent", [lib.BIN / "syncbus", "run", "--config", bus.config_path, "--", "sleep", "600"])
        bus.wait_for(lambda: bus.resource().token, "the agent to hold the ERP")
        self.assertEqual(bus.place("K-1").returncode, OK)
        bus.wait_for(lambda: bus.resource().waiting_exclusive, "the order to stand in line")
        self.hold("--resource", "erp", "--reason", "update", "--by", "anna", "--orders-too")
        order = bus.wait_for(lambda: (o := bus.cli_json("order", "show", "K-1")[0])["why"] and o, "the order to say why")
        self.assertIn("on hold by anna: update", order["why"])
        self.assertIsNone(agent.poll(), "the lease that was held was broken")


if __name__ == "__main__":
    unittest.main()
