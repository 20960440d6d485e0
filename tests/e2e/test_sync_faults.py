"""Broken exports touch nothing and say why; an order in the middle of a fetch; a fetch that hangs."""
import json
import subprocess
import unittest

import bus as lib
from bus import Bus

ROWS = 400
# About 20 KB at this rate: a fetch lasts seconds, so that an order surely falls into it.
SLOW = ("--generate", str(ROWS), "--seed", "1", "--rate", "8000")


class BrokenExports(unittest.TestCase):
    """Without a broker: every fault of the ERP ends the sync with exit code 1, one line that says why, and an untouched store."""

    def setUp(self):
        limits = {"full_every": "1ms", "max_size": "256KiB", "stall_timeout": "400ms", "timeout": "3s", "connect_timeout": "1s"}
        self.bus = Bus(jobs={"prices": {"source": limits}}, erp=("--generate", str(ROWS), "--seed", "1"))
        self.addCleanup(self.bus.close)
        self.bus.start("erp")
        self.bus.write_config()

    def once(self, *args):
        done = subprocess.run([lib.BIN / "syncbus-sync", "prices", "--once", "--config", self.bus.config_path, *args],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout.count("\n"), 1, done)
        return json.loads(done.stdout), done.returncode

    def assert_fails_and_touches_nothing(self, good, words, *args):
        result, code = self.once(*args)
        self.assertEqual((code, result["ok"]), (1, False), result)
        self.assertRegex(result["error"], words)
        again, code = self.once()
        self.assertEqual(code, 0, again)
        self.assertEqual((again["unchanged"], again["created"], again["changed"], again["deleted"], again["last_seq"]),
                         (good["created"], 0, 0, 0, good["last_seq"]))

    def test_each_fault_of_an_export_fails_the_run_says_why_and_touches_nothing(self):
        good, code = self.once()
        self.assertEqual((code, good["created"]), (0, ROWS), good)
        faults = {"html": "(?i)html", "empty": "(?i)empty|no header|nothing", "truncate": "cut short|truncated",
                  "garbage": ".", "drop_before": "cut short|reached|reply", "drop_after": "cut short",
                  "endless": "max_size", "hang": "no byte for", "stall": "no byte for"}
        for kind, words in faults.items():
            with self.subTest(kind):
                self.bus.fault(kind, "/export/prices", count="1")
                self.assert_fails_and_touches_nothing(good, words)
        for status in (500, 404, 401, 302):
            with self.subTest(status):
                self.bus.fault("status", "/export/prices", count="1", value=str(status))
                self.assert_fails_and_touches_nothing(good, str(status))

    def test_an_erp_that_is_not_there_and_a_file_that_is_not_there_are_said_clearly(self):
        good, _ = self.once()
        self.assert_fails_and_touches_nothing(good, "(?i)connect", "--source", "http://127.0.0.1:9/export/prices.csv")
        self.assert_fails_and_touches_nothing(good, "/nowhere/prices.csv: No such file", "--source", "/nowhere/prices.csv")
        self.assert_fails_and_touches_nothing(good, "prices.csv: No such file", "--source", "prices.csv")
        self.assert_fails_and_touches_nothing(good, "Is a directory", "--source", str(self.bus.folder))
        self.assert_fails_and_touches_nothing(good, "only http, https and file", "--source", "ftp://127.0.0.1/prices.csv")

    def test_a_lie_about_the_delimiter_fails_and_touches_nothing(self):
        good, _ = self.once()
        self.bus.write_config(lambda config: config["jobs"]["prices"]["source"].update(csv={"delimiter": "\t"}))
        result, code = self.once()
        self.assertEqual((code, result["ok"]), (1, False), result)
        self.bus.write_config()
        again, _ = self.once()
        self.assertEqual((again["unchanged"], again["last_seq"]), (ROWS, good["last_seq"]))


class Yielding(unittest.TestCase):
    def start(self, erp=SLOW, jobs=None, **options):
        self.bus = Bus(jobs=jobs or {"prices": {"retry_after": "1s", **options}}, erp=erp, resource={"lease_ttl": "3s"})
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.wait_until_fetching()

    def current(self, job="prices"):
        state = self.bus.job(job)
        return state.current if state and state.HasField("current") else None

    def wait_until_fetching(self, job="prices"):
        """A fetch that has got some bytes, as its renewals say."""
        pb = lib.messages()
        self.bus.wait_for(lambda: (run := self.current(job)) and run.stage == pb.STAGE_FETCHING, f"{job} to be fetching")

    def ended(self, job="prices"):
        state = self.bus.wait_for(lambda: (s := self.bus.job(job)) and s.last_success_ms and s, f"{job} to end well", 60)
        return state.last

    def place(self, key):
        done = self.bus.place(key, None, "--wait", "--timeout", "40s")
        self.assertEqual(done.returncode, 0, done.stderr)
        order = self.bus.cli_json("order", "show", key)[0]
        self.assertEqual(order["status"], "placed")
        return order

    def assert_as_if_undisturbed(self):
        """A whole fetch in one piece finds nothing that differs from what was put together."""
        self.bus.stop("sync-prices")
        self.bus.write_config(lambda config: config["jobs"]["prices"]["source"].update(full_every="1ms"))
        done = subprocess.run([lib.BIN / "syncbus-sync", "prices", "--once", "--config", self.bus.config_path],
                              capture_output=True, text=True, timeout=60)
        result = json.loads(done.stdout)
        self.assertEqual((result["unchanged"], result["seen"], result["last_seq"]), (ROWS, ROWS, ROWS), result)

    def test_under_abort_an_order_goes_through_in_the_middle_of_a_fetch_which_ends_as_if_undisturbed(self):
        self.start(**{"yield": "abort"})
        order = self.place("K-1")
        self.assertFalse(self.bus.job("prices").last_success_ms, "the order had to wait for the whole fetch")
        run = self.ended()
        self.assertEqual((run.yields, run.result.yields, run.attempt), (1, 1, 1))
        self.assertEqual((run.result.created, run.result.seen, run.result.rejected), (ROWS, ROWS, 0))
        self.assertGreater(run.ended_ms, order["changed_ms"])
        self.bus.assert_judge_is_content()
        self.assert_as_if_undisturbed()

    def test_under_finish_an_order_goes_through_after_the_fetch(self):
        self.start(**{"yield": "finish"})
        order = self.place("K-1")
        run = self.ended()
        self.assertEqual((run.yields, run.attempt, run.result.created), (0, 1, ROWS))
        sending = next(step for step in order["history"] if step["status"] == "sending")
        self.assertGreaterEqual(sending["time_ms"], run.result.started_ms + run.result.fetch_ms)
        self.bus.assert_judge_is_content()

    def test_a_run_that_has_yielded_max_yields_times_finishes_its_fetch(self):
        self.start(**{"yield": "abort", "max_yields": 2})
        for number in range(3):
            self.place(f"K-{number}")
            if number < 2:
                self.assertFalse(self.bus.job("prices").last_success_ms)
                self.wait_until_fetching()
        run = self.ended()
        self.assertEqual((run.yields, run.result.created), (2, ROWS))
        self.bus.assert_judge_is_content()
        self.assert_as_if_undisturbed()

    def test_a_fetch_that_hangs_fails_the_pause_by_its_jobs_name_and_the_others_resume(self):
        jobs = {"prices": {"yield": "finish", "pause_timeout": "1s", "source": {"stall_timeout": "60s"}},
                "customers": {"every": "2s"}}
        self.bus = Bus(jobs=jobs, resource={"lease_ttl": "3s", "capacity": 2})
        self.addCleanup(self.bus.close)
        self.bus.start("erp")
        self.bus.write_config()
        self.bus.fault("hang", "/export/prices", count="1000")
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")
        for job in jobs:
            self.bus.start(f"sync-{job}")
        self.wait_until_fetching()
        self.bus.wait_for(lambda: self.bus.succeeded("customers"), "customers to sync")
        done = self.bus.cli("run", "--timeout", "20s", "--", "true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("prices", done.stderr)
        before = self.bus.job("customers").last_success_ms
        self.bus.wait_for(lambda: self.bus.job("customers").last_success_ms > before, "customers to go on")


if __name__ == "__main__":
    unittest.main()
