"""Each alert, raised by a real cause and cleared when that is over; told once each time, and kept in between."""
import unittest

import bus as lib
from bus import Bus

OK, UNKNOWN = 0, 6


class Alerts(unittest.TestCase):
    def start(self, *services, jobs=None, **options):
        """A bus of the named services, with an ear on all alerts."""
        self.bus = bus = Bus(jobs=jobs or {"prices": {}}, broker={"beat": "200ms"}, **options)
        self.addCleanup(bus.close)
        bus.start("erp")
        bus.write_config()
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.ear = bus.subscriber("alert.", "beat")
        self.addCleanup(self.ear.close)
        self.heard = []
        self.wait_for_ear()
        for name in services:
            bus.start(name)
        return bus

    def wait_for_ear(self):
        self.listen()
        self.hears = False
        self.bus.wait_for(lambda: self.listen() or self.hears, "the ear to hear")

    def listen(self):
        while self.ear.poll(0):
            topic, frame = self.ear.recv_multipart()
            self.hears = True
            if topic != b"beat":
                alert = lib.messages().Event.FromString(frame).alert
                self.heard.append((topic.decode(), alert.subject, alert.cleared))

    def raised(self, kind, subject):
        """The alert as the command line tells it, or None."""
        found = [a for a in self.bus.cli_json("alerts") if (a["kind"], a["subject"]) == (kind, subject)]
        return found[0] if found else None

    def assert_raised(self, kind, subject, text, seconds=30):
        alert = self.bus.wait_for(lambda: self.raised(kind, subject), f"the alert {kind} of {subject}", seconds)
        self.assertRegex(alert["text"], text)
        self.assertIn(kind, self.bus.cli("status").stdout)
        return alert

    def assert_cleared(self, kind, subject):
        """It is over, and each turn was told once."""
        self.bus.wait_for(lambda: not self.raised(kind, subject), f"the alert {kind} of {subject} to be over", 60)
        topic = f"alert.{kind}"
        self.bus.wait_for(lambda: self.listen() or (topic, subject, True) in self.heard, "its end to be told")
        told = [cleared for t, s, cleared in self.heard if (t, s) == (topic, subject)]
        self.assertEqual(told, [False, True])

    def run_to_end(self, job):
        return self.bus.cli("trigger", job, "--wait", "--timeout", "50s").returncode

    # ------------------------------------------------------------ jobs
    def test_failing_is_raised_by_three_failed_runs_kept_over_a_kill_and_cleared_by_a_good_one(self):
        bus = self.start("sync-prices", job_defaults={"retry_after": "100ms"})
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        bus.fault("status", "/export/prices", value=500, count=1000)
        for _ in range(3):
            self.assertIsNone(self.raised("failing", "prices"))
            self.run_to_end("prices")
        alert = self.assert_raised("failing", "prices", "3 runs in a row failed, the last one: .*500")
        self.assertEqual(alert["severity"], "critical")
        self.assertIn("3 in a row", bus.cli("status", "prices").stdout)
        bus.kill("broker")
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.assertEqual(self.raised("failing", "prices"), alert)
        self.wait_for_ear()
        bus.heal()
        self.assertEqual(self.run_to_end("prices"), OK)
        self.assert_cleared("failing", "prices")

    def test_stale_is_raised_when_data_grow_old_and_cleared_by_a_good_run(self):
        bus = self.start("sync-prices")
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        bus.write_config(lambda config: config["jobs"]["prices"].update(fresh_within="1s"))
        self.assertEqual(bus.cli("reload").returncode, OK)
        self.assert_raised("stale", "prices", "older than they should be")
        self.assertIn("stale", bus.cli("status", "prices").stdout)
        bus.write_config(lambda config: config["jobs"]["prices"].update(fresh_within="1h"))
        self.assertEqual(bus.cli("reload").returncode, OK)
        self.assertEqual(self.run_to_end("prices"), OK)
        self.assert_cleared("stale", "prices")

    def test_hung_is_raised_by_a_run_without_end_and_cleared_when_it_ends(self):
        bus = self.start("sync-prices", job_defaults={"max_duration": "1s"})
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        bus.fault("delay", "/export/prices", value=4000)
        bus.cli("trigger", "prices")
        self.assert_raised("hung", "prices", "longer than max_duration")
        self.assertTrue(bus.job("prices").HasField("current"), "it was raised after the run")
        self.assert_cleared("hung", "prices")

    def test_no_service_is_raised_by_a_slot_that_nobody_takes_and_cleared_by_a_service(self):
        bus = self.start(job_defaults={"every": "1s"})
        self.assert_raised("no_service", "prices", "no service took its run")
        bus.start("sync-prices")
        self.assert_cleared("no_service", "prices")

    def test_rejects_is_raised_by_too_many_bad_rows_and_cleared_by_a_good_export(self):
        jobs = {"prices": {"retry_after": "100ms"}}
        bus = self.start(jobs=jobs)
        export = bus.folder / "export.csv"
        export.write_text("id,name\n1,a\n2\n3,c\n")
        jobs["prices"]["source"] = {"url": f"file://{export}"}
        bus.write_config()
        bus.start("sync-prices")
        self.assert_raised("rejects", "prices", "reject")
        export.write_text("id,name\n1,a\n2,b\n3,c\n")
        self.assertEqual(self.run_to_end("prices"), OK)
        self.assert_cleared("rejects", "prices")

    def bus_with_withheld(self):
        """A bus whose last run withheld 20 of 40 deletions; the export and its whole text."""
        jobs = {"prices": {}}
        bus = self.start(jobs=jobs)
        export = bus.folder / "export.csv"
        rows = [f"P{number},a\n" for number in range(40)]
        export.write_text("id,name\n" + "".join(rows))
        jobs["prices"]["source"] = {"url": f"file://{export}"}
        bus.write_config()
        bus.start("sync-prices")
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        export.write_text("id,name\n" + "".join(rows[:20]))
        self.assertEqual(self.run_to_end("prices"), OK)
        return bus

    def test_withheld_is_raised_by_the_delete_guard_and_cleared_by_the_person_who_releases(self):
        bus = self.bus_with_withheld()
        self.assert_raised("withheld", "prices", "20 deletions wait to be released")
        self.assertEqual(bus.cli("deletions", "prices").returncode, OK)  # looking settles nothing
        self.assertTrue(self.raised("withheld", "prices"))
        runs = bus.job("prices").runs
        self.assertEqual(bus.cli("deletions", "prices", "--release", "--by", "eva").returncode, OK)
        self.assert_cleared("withheld", "prices")
        self.assertEqual(bus.job("prices").runs, runs, "it was cleared by another run")

    def test_withheld_is_cleared_by_what_the_store_says_when_the_broker_was_down_as_it_was_settled(self):
        bus = self.bus_with_withheld()
        raised = self.assert_raised("withheld", "prices", "20 deletions wait to be released")
        bus.stop("sync-prices")
        bus.kill("broker")
        export = bus.folder / "export.csv"
        export.write_text("id,name\n" + "".join(f"P{number},a\n" for number in range(40)))
        once = bus.spawn("once", [lib.BIN / "syncbus-sync", "prices", "--once", "--config", bus.config_path])
        self.assertEqual(once.wait(timeout=30), OK)
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.assertEqual(self.raised("withheld", "prices"), raised)
        self.wait_for_ear()
        bus.start("sync-prices")
        self.assert_cleared("withheld", "prices")

    def test_the_alerts_of_a_job_that_is_removed_end_with_it(self):
        bus = self.start(jobs={"prices": {}, "ddt": {}}, job_defaults={"every": "1s"})
        for job in ("prices", "ddt"):
            self.assert_raised("no_service", job, "no service took its run")
        bus.write_config(lambda config: config["jobs"].pop("prices"))
        self.assertEqual(bus.cli("reload").returncode, OK)
        self.assert_cleared("no_service", "prices")
        bus.write_config(lambda config: config["jobs"].pop("ddt"))
        bus.kill("broker")
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.assertIsNone(self.raised("no_service", "ddt"))

    # ------------------------------------------------------------ leases
    def test_lease_expired_is_raised_by_a_holder_that_died_and_cleared_when_it_gives_the_next_one_back(self):
        bus = self.start()
        agent = bus.spawn("agent", [lib.BIN / "syncbus", "run", "--by", "anna", "--config", bus.config_path, "--", "sleep", "600"])
        bus.wait_for(lambda: bus.resource().token, "the agent to hold the ERP")
        agent.kill()
        agent.wait()
        self.assert_raised("lease_expired", "erp/anna", "anna did not give the lease [0-9]+ of erp back")
        self.assertEqual(bus.cli("run", "--by", "bert", "--timeout", "30s", "--", "true").returncode, OK)
        self.assertTrue(self.raised("lease_expired", "erp/anna"), "another's end says nothing of hers")
        self.assertEqual(bus.cli("run", "--by", "anna", "--timeout", "30s", "--", "true").returncode, OK)
        self.assert_cleared("lease_expired", "erp/anna")

    def test_lease_expired_of_a_sync_that_was_killed_is_cleared_by_its_next_run_not_by_an_order(self):
        bus = self.start("sync-prices", "order", job_defaults={"retry_after": "100ms"})
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        bus.fault("delay", "/export/prices", value=60000)
        bus.cli("trigger", "prices")
        bus.wait_for(lambda: bus.resource().shared, "the fetch to begin")
        bus.kill("sync-prices")
        self.assert_raised("lease_expired", "prices", "sync-prices with prices did not give the lease [0-9]+ of erp back")
        self.assertIn("lease_expired", bus.cli("status", "prices").stdout)
        self.assertEqual(bus.place("K-1", None, "--wait", "--timeout", "50s").returncode, OK)
        self.assertTrue(self.raised("lease_expired", "prices"))
        bus.heal()
        bus.start("sync-prices")
        self.assert_cleared("lease_expired", "prices")

    def test_pause_timeout_is_raised_by_a_sync_that_does_not_step_aside_and_cleared_by_the_next_grant(self):
        bus = self.start("sync-prices", "order", jobs={"prices": {"yield": "finish", "pause_timeout": "1s"}})
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        bus.fault("delay", "/export/prices", value=5000)
        bus.cli("trigger", "prices")
        bus.wait_for(lambda: bus.resource().shared, "the fetch to begin")
        self.assertEqual(bus.place("K-1").returncode, OK)
        self.assert_raised("pause_timeout", "erp", "erp was not given back in time by prices")
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["status"] == "placed", "the order to be placed", 60)
        self.assert_cleared("pause_timeout", "erp")

    def test_conflict_is_raised_by_a_second_store_and_cleared_when_it_is_bound(self):
        bus = self.start("sync-prices")
        bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
        bus.stop("sync-prices")
        bus.write_config(lambda config: config["jobs"]["prices"].update(data=str(bus.folder / "another")))
        bus.start("sync-prices")
        self.assert_raised("conflict", "sync-prices", "prices is answered for by another store")
        self.assertEqual(bus.cli("rebind", "prices", "--reason", "the disk was replaced").returncode, OK)
        self.assert_cleared("conflict", "sync-prices")

    # ------------------------------------------------------------ orders
    def test_order_is_raised_when_one_needs_a_person_and_cleared_when_that_person_resolved_it(self):
        bus = self.start("order", erp=("--generate", "60", "--seed", "1", "--no-keys"))
        bus.fault("drop_before", "/orders", method="POST")
        self.assertEqual(bus.place("K-1", None, "--wait", "--timeout", "50s").returncode, UNKNOWN)
        alert = self.assert_raised("order", "K-1", ".")
        self.assertEqual(alert["severity"], "critical")
        bus.kill("order")
        bus.start("order")
        bus.wait_for(lambda: bus.cli("order", "show", "K-1").returncode == OK, "the order service")
        self.assertEqual(bus.cli("order", "resolve", "K-1", "--rejected", "asked by phone").returncode, OK)
        self.assert_cleared("order", "K-1")


    def test_order_is_raised_again_by_what_the_book_says_when_the_broker_has_not_heard_of_it(self):
        bus = self.start("order", erp=("--generate", "60", "--seed", "1", "--no-keys"))
        bus.fault("drop_before", "/orders", method="POST")
        self.assertEqual(bus.place("K-1", None, "--wait", "--timeout", "50s").returncode, UNKNOWN)
        before = self.assert_raised("order", "K-1", ".")
        bus.kill("order")
        bus.kill("broker")
        lib.shutil.rmtree(bus.folder / "broker")
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.assertIsNone(self.raised("order", "K-1"))
        bus.start("order")
        self.assertEqual(self.assert_raised("order", "K-1", ".")["text"], before["text"])
        self.assertEqual(bus.cli("order", "resolve", "K-1", "--placed", "E-1").returncode, OK)
        bus.wait_for(lambda: not self.raised("order", "K-1"), "the alert to be over")

    def test_orders_stopped_is_raised_by_an_expired_password_and_cleared_when_orders_are_placed_again(self):
        bus = self.start("order")
        bus.wait_for(lambda: bus.cli("order", "list").returncode == OK, "the order service")
        bus.fault("status", "/orders", value=401)
        self.assertEqual(bus.place("K-1").returncode, OK)
        self.assert_raised("orders_stopped", "order", "no order is sent until the configuration is mended.*401")
        self.assertTrue(bus.cli_json("order", "show", "K-1")[0]["stopped"])
        self.assertEqual(bus.place("K-2").returncode, OK)
        self.assertTrue(self.raised("orders_stopped", "order"))
        bus.kill("order", lib.signal.SIGHUP)
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-2")[0]["status"] == "placed", "both to be placed", 60)
        self.assertFalse(bus.cli_json("order", "show", "K-1")[0].get("stopped"))
        self.assert_cleared("orders_stopped", "order")


if __name__ == "__main__":
    unittest.main()
