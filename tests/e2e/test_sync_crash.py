"""kill -9 of a sync in each of its stages: the run ends well all the same, and its store is whole."""
import json
import os
import subprocess
import unittest

import bus as lib
from bus import Bus


class KilledSync(unittest.TestCase):
    def start(self, rows, *erp, lease_ttl="1s", **options):
        self.rows = rows
        self.bus = Bus(jobs={"prices": {"retry_after": "500ms", **options}}, resource={"lease_ttl": lease_ttl},
                       broker={"session_ttl": "3s"}, erp=("--generate", str(rows), "--seed", "1", *erp))
        self.addCleanup(self.bus.close)
        self.bus.start("erp")
        self.bus.write_config()
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")

    def stage(self):
        state = self.bus.job("prices")
        return state.current.stage if state and state.HasField("current") else None

    def wait_for_stage(self, *names):
        stages = {lib.messages().Stage.Value(f"STAGE_{name}") for name in names}
        self.bus.wait_for(lambda: self.stage() in stages, f"the run to be {' or '.join(names)}", 60)

    def kill_and_start_again(self):
        self.bus.kill("sync-prices")
        self.bus.start("sync-prices")

    def assert_ends_well_and_whole(self):
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the run to end well", 90)
        last = self.bus.job("prices").last
        self.bus.stop("sync-prices")
        self.bus.write_config(lambda config: config["jobs"]["prices"]["source"].update(full_every="1ms"))
        result = self.once()
        self.assertEqual((result["unchanged"], result["created"], result["changed"], result["deleted"]),
                         (self.rows, 0, 0, 0))
        self.assertEqual(result["last_seq"], self.rows, "each record made one feed entry, whatever was cut")
        self.bus.assert_judge_is_content()
        return last

    def once(self):
        done = subprocess.run([lib.BIN / "syncbus-sync", "prices", "--once", "--config", self.bus.config_path],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done)
        return json.loads(done.stdout)

    def test_killed_while_queued_behind_a_priority_operation(self):
        self.start(100)
        os.mkfifo(self.bus.folder / "go")
        holder = self.bus.spawn("run", [lib.BIN / "syncbus", "run", "--config", self.bus.config_path, "--",
                                        "sh", "-c", "read line <go"])
        self.bus.wait_for(lambda: self.bus.resource() and self.bus.resource().token, "the lease to be held")
        self.bus.start("sync-prices")
        self.wait_for_stage("QUEUED")
        self.kill_and_start_again()
        (self.bus.folder / "go").write_text("on\n")
        self.assertEqual(holder.wait(timeout=20), 0)
        self.assert_ends_well_and_whole()

    def test_killed_while_fetching(self):
        self.start(400, "--rate", "8000")
        self.bus.start("sync-prices")
        self.wait_for_stage("FETCHING")
        self.kill_and_start_again()
        self.assert_ends_well_and_whole()

    def test_killed_after_it_yielded(self):
        self.start(400, "--rate", "8000", **{"yield": "abort"})
        self.bus.start("sync-prices")
        self.wait_for_stage("FETCHING")
        os.mkfifo(self.bus.folder / "go")
        holder = self.bus.spawn("run", [lib.BIN / "syncbus", "run", "--config", self.bus.config_path, "--",
                                        "sh", "-c", "read line <go"])
        self.wait_for_stage("YIELDED", "QUEUED")
        self.kill_and_start_again()
        (self.bus.folder / "go").write_text("on\n")
        self.assertEqual(holder.wait(timeout=20), 0)
        self.assert_ends_well_and_whole()

    def test_killed_while_applying_leaves_all_of_it_or_nothing(self):
        self.start(60000)
        self.bus.start("sync-prices")
        self.wait_for_stage("APPLYING", "SUCCEEDED")
        self.kill_and_start_again()
        self.assert_ends_well_and_whole()

    def test_killed_with_its_result_stored_but_not_acknowledged_tells_of_it_after_its_restart(self):
        self.start(400, "--rate", "8000", lease_ttl="20s")  # outlives the fetch although nobody renews it
        self.bus.start("sync-prices")
        self.wait_for_stage("FETCHING")
        self.bus.kill("broker")
        self.bus.wait_for(lambda: '"event":"applied"' in self.bus.log("sync-prices").replace(" ", ""),
                          "the result to be stored", 60)
        self.bus.kill("sync-prices")
        self.bus.start("broker")
        with self.bus.subscriber("beat", "change.prices") as events:
            self.next_event(events)  # a beat: from here on nothing is missed
            self.bus.start("sync-prices")
            told = [self.next_change(events), self.next_change(events)]
        last = self.assert_ends_well_and_whole()
        self.assertEqual((last.attempt, last.result.ok, last.result.created), (1, True, self.rows))
        self.assertEqual([(change.first, change.last, change.created) for change in told],
                         [(1, self.rows, self.rows), (0, self.rows, 0)], "what was not told of yet, then the head")

    def next_event(self, events):
        self.assertTrue(events.poll(20000), "nothing is published")
        topic, body = events.recv_multipart()
        return topic, lib.messages().Event.FromString(body)

    def next_change(self, events):
        while True:
            topic, event = self.next_event(events)
            if topic == b"change.prices":
                return event.change


if __name__ == "__main__":
    unittest.main()
