"""What operators do and look at: revoke, rebind, pauses and figures, one job in full."""
import re
import unittest

import bus as lib
from bus import Bus

OK, FAILED, USAGE, REFUSED = range(4)
LEASE_LOST = 125


class Operations(unittest.TestCase):
    def start(self, jobs=None, **options):
        self.bus = Bus(jobs=jobs or {"prices": {}}, **options)
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded(), "the first syncs", 60)
        self.bus.wait_for(lambda: self.bus.cli("order", "list").returncode == OK, "the order service")
        return self.bus

    def start_fetch(self, fault, **options):
        self.bus.fault(fault, "/export/prices", **options)
        self.bus.cli("trigger", "prices")
        return self.bus.wait_for(lambda: (job := self.bus.job("prices")).HasField("current") and job.current.token,
                                 "the fetch to begin")

    # ------------------------------------------------------------ revoke
    def test_a_sync_whose_lease_is_revoked_leaves_the_erp_and_fetches_again_under_another(self):
        bus = self.start()
        token = self.start_fetch("hang")
        self.assertIn(f"lease {token}", bus.cli("status", "prices").stdout)
        self.assertEqual(bus.cli("revoke", token, "--reason", "it hangs", "--by", "anna@desk").returncode, OK)
        bus.wait_for(lambda: not bus.job("prices").HasField("current"), "the run to end")
        fetches = re.findall(r'"fetching".*"token":(\d+)', bus.log("sync-prices"))
        self.assertGreater(int(fetches[-1]), token, "it fetched on without a new lease")
        self.assertEqual(bus.job("prices").last.stage, lib.messages().STAGE_SUCCEEDED)
        done = bus.cli("revoke", token, "--reason", "it hangs")
        self.assertEqual(done.returncode, FAILED, done)
        bus.assert_judge_is_content()

    def test_a_command_whose_lease_is_revoked_ends_and_its_user_is_told_by_whom_and_why(self):
        bus = self.start()
        run = bus.spawn("run", [lib.BIN / "syncbus", "run", "--config", bus.config_path, "--", "sleep", "600"])
        token = bus.wait_for(lambda: bus.resource().token, "the lease to be held")
        self.assertEqual(bus.cli("revoke", token, "--reason", "the till needs it", "--by", "anna@desk").returncode, OK)
        self.assertEqual(run.wait(timeout=20), LEASE_LOST)
        self.assertIn("revoked by anna@desk: the till needs it", bus.log("run"))
        self.assertEqual(bus.cli("run", "--timeout", "30s", "--", "true").returncode, OK)
        self.assertEqual(bus.cli_json("alerts"), [], "a revoked lease is no lease that expired")

    def test_with_revoke_as_the_policy_an_order_follows_when_the_blockers_lease_has_ended(self):
        bus = self.start(jobs={"prices": {"yield": "finish", "pause_timeout": "1s"}}, resource={"on_pause_timeout": "revoke"})
        self.start_fetch("hang")
        self.assertEqual(bus.place("K-1", None, "--wait", "--timeout", "30s").returncode, OK)
        report = bus.cli_json("pauses", "erp")[0]
        self.assertEqual((report["count"], report["timed_out"]), (1, 1))
        blocker = report["blockers"][0]
        self.assertEqual(blocker["job"], "prices")
        self.assertGreaterEqual(blocker["wait"]["max_ms"], 1000)
        shown = bus.cli("pauses").stdout
        self.assertRegex(shown, "1 pauses granted, .*1 timed out")
        self.assertRegex(shown, r"timed out .*order K-1 +prices")
        bus.wait_for(lambda: not bus.job("prices").HasField("current"), "the sync to fetch again")
        self.assertEqual(bus.job("prices").last.stage, lib.messages().STAGE_SUCCEEDED)
        bus.assert_judge_is_content()

    # ------------------------------------------------------------ owners
    def test_a_store_that_is_not_the_entitys_own_is_refused_until_an_operator_rebinds_it(self):
        bus = self.start()
        bus.stop("sync-prices")
        bus.write_config(lambda config: config["jobs"]["prices"].update(data=str(bus.folder / "empty")))
        bus.start("sync-prices")
        bus.wait_for(lambda: "answered for by another store" in bus.log("sync-prices"), "the refusal")
        self.assertNotIn("sync-prices", [service.name for service in bus.answers().services])
        done = bus.cli("rebind", "price", "--reason", "a typo")
        self.assertEqual(done.returncode, FAILED, done)
        self.assertEqual(bus.cli("rebind", "prices", "--reason", "the disk was replaced", "--by", "anna").returncode, OK)
        bus.wait_for(lambda: "sync-prices" in [service.name for service in bus.answers().services], "the new store to join")
        self.assertEqual(bus.cli("trigger", "prices", "--wait").returncode, OK)
        self.assertEqual(bus.job("prices").last.result.created, 60)
        bus.stop("sync-prices")
        bus.write_config()
        bus.start("sync-prices")
        bus.wait_for(lambda: bus.log("sync-prices").count("answered for by another store") == 2, "the old store to be refused")

    # ------------------------------------------------------------ figures
    def figures(self):
        job, = self.bus.cli_json("status", "prices")[0]["jobs"]
        kept = ("runs", "failures", "overlaps", "skipped", "coalesced", "missed", "duration", "queued", "blocked_others",
                "unchanged_share", "last_success_ms")
        return {name: job.get(name) for name in kept}, self.bus.cli_json("pauses")[0]

    def test_figures_are_kept_over_a_clean_stop_and_over_a_kill_of_the_broker(self):
        bus = self.start(broker={"beat": "200ms"})
        self.start_fetch("delay", value=1500)
        self.assertEqual(bus.place("K-1", None, "--wait").returncode, OK)
        bus.wait_for(lambda: not bus.job("prices").HasField("current"), "the run to end")
        self.assertEqual(bus.cli("trigger", "prices", "--wait").returncode, OK)
        # A beat stores the pauses since the one before: a grant waits for no commit.
        bus.wait_for(lambda: (report := self.figures()[1])["count"] == len(report["recent"]), "the pauses to be stored")
        before = self.figures()
        self.assertEqual(before[0]["duration"]["count"], 3)
        self.assertGreater(before[0]["unchanged_share"], 0.6)
        self.assertGreaterEqual(before[1]["count"], 1)
        self.assertEqual(bus.stop("broker"), OK)
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.assertEqual(self.figures(), before)
        bus.kill("broker")
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        self.assertEqual(self.figures(), before)

    def test_status_of_a_job_tells_all_of_it(self):
        bus = self.start(jobs={"prices": {"priority": 5, "offset": "10m"}})
        bus.cli("hold", "prices", "--reason", "a look")
        shown = bus.cli("status", "prices").stdout
        self.assertTrue(shown.startswith("prices: every 1h at offset 10m on erp, priority 5\n"), shown)
        for said in ("next ", "now        no run", r"last       run \d+ succeeded .* ago: 60 seen, 60 created",
                     "fresh within 1h30m", r"runs       1, 0 failed \(0 in a row\)",
                     "0 overlapped, 0 skipped, 0 coalesced, 0 missed", r"unchanged  0\.0%",
                     r"FIGURE +COUNT +AVG +P50 +P95 +P99 +MAX", r"duration of a good run +1 ", r"queued for its turn +1 ",
                     "kept an order waiting", "a look"):
            self.assertTrue(re.search(said, shown), f"{said} is not in\n{shown}")
        self.assertEqual(bus.cli("status", "pricse").returncode, FAILED)


if __name__ == "__main__":
    unittest.main()
