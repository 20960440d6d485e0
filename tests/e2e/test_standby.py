"""A standby of a job waits for the lock of its data directory, and takes over from a process that ended or was killed."""
import json
import pathlib
import signal
import subprocess
import unittest

import bus as lib
from bus import Bus
from manager import Manager

EVERY_S = 0.4


class Standby(unittest.TestCase):
    def start(self, rows, *erp, resource=None, **options):
        self.rows = rows
        self.bus = Bus(jobs={"prices": {"retry_after": "500ms", **options}}, resource=resource,
                       erp=("--generate", str(rows), "--seed", "1", *erp))
        self.addCleanup(self.bus.close)
        self.bus.start("erp")
        self.bus.write_config()
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")
        self.bus.start("sync-prices")
        self.bus.wait_for(self.service, "the first process to be welcomed")

    def command(self, *args):
        return [lib.BIN / "syncbus-sync", "prices", "--config", self.bus.config_path, *args]

    def stand_by(self, name="standby", manager=None):
        process = self.bus.spawn(name, [*lib.WRAP, *self.command("--standby")], env=manager.environment if manager else None)
        self.bus.wait_for(lambda: self.events(name, "standing by"), f"{name} to stand by")
        return process

    def events(self, name, event):
        return [line for line in map(json.loads, self.bus.log(name).splitlines()) if line["event"] == event]

    def service(self):
        """The job's service as the broker has it, once there is exactly one."""
        state = self.bus.answers()
        found = [service for service in state.services if "prices" in service.jobs] if state else []
        return found[0] if len(found) == 1 else None

    def fetching(self):
        state = self.bus.job("prices")
        return state and state.HasField("current") and \
            state.current.stage == lib.messages().Stage.Value("STAGE_FETCHING")

    def took_over(self, name="standby"):
        self.bus.wait_for(lambda: self.events(name, "taking over"), f"{name} to take over")
        self.bus.wait_for(lambda: self.events(name, "connected"), f"{name} to be welcomed")

    def assert_store_is_whole(self):
        """A further sync of the same export finds everything there, and each record made one feed entry."""
        done = subprocess.run(self.command("--once"), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done)
        result = json.loads(done.stdout)
        self.assertEqual((result["unchanged"], result["created"], result["changed"], result["deleted"], result["last_seq"]),
                         (self.rows, 0, 0, 0, self.rows))

    # ------------------------------------------------------------ taking over
    def test_a_process_killed_while_it_fetches_is_followed_by_its_standby(self):
        # The lease would outlive the test by far: what ends it is the Hello of another process of the same instance.
        self.start(400, "--rate", "8000", resource={"lease_ttl": "10m"}, stall="5m")
        leases = self.bus.subscriber("lease.erp")
        self.addCleanup(leases.close)
        self.stand_by()
        self.bus.wait_for(self.fetching, "the first process to fetch")
        instance = self.service().instance
        self.bus.kill("sync-prices")
        self.took_over()
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the run to end well", 90)
        last = self.bus.job("prices").last
        self.assertEqual((last.attempt, last.result.ok, last.result.created), (2, True, self.rows),
                         "the run that its service did not know any more was lost, and its second attempt ended well")
        self.assertEqual(self.service().instance, instance)
        changes = self.changes(leases)
        first, second = changes[-3][1], changes[-1][1]
        self.assertEqual(changes[-3:], [("EXPIRED", first), ("GRANTED", second), ("RELEASED", second)])
        self.assertGreater(second, first)
        self.assertEqual(self.bus.stop("standby"), 0)
        self.assert_store_is_whole()
        self.bus.assert_judge_is_content()

    def changes(self, leases):
        """What happened to the leases of the ERP until the resource was free: (change, token)."""
        pb, found = lib.messages(), []
        while not found or found[-1][0] != "RELEASED":
            self.assertTrue(leases.poll(20000), f"no more is told of the leases than {found}")
            lease = pb.Event.FromString(leases.recv_multipart()[1]).lease
            found.append((pb.LeaseChange.Name(lease.change).removeprefix("LEASE_CHANGE_"), lease.token))
        return found

    def test_an_order_that_waits_behind_a_killed_fetch_is_placed_when_the_standby_has_taken_over(self):
        self.start(400, "--rate", "8000", resource={"lease_ttl": "10m"}, settle="1s", stall="5m")
        self.bus.start("order")
        self.bus.wait_for(self.fetching, "the first process to fetch")
        self.bus.kill("sync-prices")
        self.assertEqual(self.bus.place("K-1").returncode, 0)
        self.bus.wait_for(lambda: self.bus.resource().phase == lib.messages().Phase.Value("PHASE_DRAINING"),
                          "the order to wait for the lease of the dead")
        self.bus.start("sync-prices", "--standby")
        self.bus.wait_for(lambda: self.bus.cli_json("order", "show", "K-1")[0]["status"] == "placed",
                          "the order to be placed")
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the run to end well", 90)
        self.bus.assert_judge_is_content()

    def test_a_process_killed_while_idle_is_followed_by_its_standby(self):
        self.start(60)
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "a first sync")
        self.stand_by()
        instance, first = self.service().instance, self.bus.job("prices").last.run
        self.bus.kill("sync-prices")
        self.took_over()
        self.assertEqual(self.service().instance, instance)
        done = self.bus.cli("trigger", "prices", "--wait", "--timeout", "30s")
        self.assertEqual(done.returncode, 0, done.stderr)
        last = self.bus.job("prices").last
        self.assertGreater(last.run, first)
        self.assertEqual((last.attempt, last.result.ok, last.result.unchanged), (1, True, self.rows))
        self.assertEqual(self.bus.stop("standby"), 0)
        self.assert_store_is_whole()
        self.bus.assert_judge_is_content()

    def test_a_process_that_ends_is_followed_by_its_standby(self):
        self.start(60)
        self.stand_by()
        self.assertEqual(self.bus.stop("sync-prices"), 0)
        self.took_over()
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "a sync by the standby")

    def test_of_two_standbys_one_takes_over_and_the_other_one_goes_on_waiting(self):
        self.start(60)
        for name in ("standby-1", "standby-2"):
            self.stand_by(name)
        self.bus.kill("sync-prices")
        winner = self.bus.wait_for(lambda: next((name for name in ("standby-1", "standby-2")
                                                 if self.events(name, "taking over")), None), "one to take over")
        loser = "standby-2" if winner == "standby-1" else "standby-1"
        self.took_over(winner)
        self.assertFalse(self.events(loser, "taking over"))
        self.assertIsNone(self.bus.processes[loser].poll())
        self.bus.kill(winner)
        self.took_over(loser)

    # ------------------------------------------------------------ standing by
    def test_a_standby_says_so_once_and_sleeps(self):
        self.start(60)
        with Manager(EVERY_S) as clock:
            process = self.stand_by()
            before = self.switches(process)
            self.bus.start("order", env=clock.environment)
            clock.wait_for("WATCHDOG=1", 5)
            self.assertEqual(self.switches(process), before, "it did not wake up meanwhile")
        said = self.events("standby", "standing by")
        self.assertEqual(len(said), 1)
        self.assertIn(f"process {self.bus.processes['sync-prices'].pid};", said[0]["why"])

    @staticmethod
    def switches(process):
        """How often each thread of a process has gone to sleep."""
        return {path: path.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]
                for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/status")}

    def test_a_standby_ends_at_once_when_it_is_asked_to(self):
        self.start(60)
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.stand_by(f"standby-{number}")
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=10), 0)
            self.assertFalse(self.events(f"standby-{number}", "taking over"))
        self.assertIsNone(self.bus.processes["sync-prices"].poll())

    def test_a_standby_is_ready_and_gives_signs_of_life_while_it_stands_by(self):
        self.start(60)
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "a first sync")
        with Manager(EVERY_S) as manager:
            self.stand_by(manager=manager)
            self.assertIn(f"in use by process {self.bus.processes['sync-prices'].pid};", manager.wait_for("STATUS=standing by"))
            manager.wait_for("READY=1")
            manager.wait_for("WATCHDOG=1", 5)
            self.bus.kill("sync-prices")
            manager.wait_for("STATUS=no run taken yet")
            self.assertEqual(manager.said.count("READY=1"), 1)
            self.assertEqual(self.bus.stop("standby"), 0)
            self.assertTrue(manager.heard("STOPPING=1"))

    # ------------------------------------------------------------ without the flag
    def test_without_the_flag_a_second_process_is_refused(self):
        self.start(60)
        done = subprocess.run(self.command(), capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"in use by process {self.bus.processes['sync-prices'].pid};", done.stderr)

    def test_a_standby_of_one_single_sync_is_refused(self):
        self.start(60)
        done = subprocess.run(self.command("--standby", "--once"), capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
