"""Time as the broker sees it: a wall clock that jumps, history that grows old, and requests that waited for it."""
import signal
import time
import unittest

import bus as lib
from bus import Bus

OK = 0
HOUR = 3600


class Clock(unittest.TestCase):
    def start(self, ahead_s=0, **options):
        """The broker with a wall clock that can be moved, and prices each second."""
        self.bus = bus = Bus(jobs={"prices": {"every": "1s", "fresh_within": "10d"}}, **options)
        self.addCleanup(bus.close)
        bus.set_wall_clock(ahead_s)
        bus.start("erp")
        bus.write_config()
        self.start_broker()
        bus.start("sync-prices")
        bus.wait_for(lambda: len(self.ledger("succeeded")) >= 2, "slots to succeed")
        return bus

    def start_broker(self):
        self.bus.start("broker", env=self.bus.wall_clock_env())
        self.bus.wait_for(self.bus.answers, "the broker to answer")

    def ledger(self, *outcomes):
        """The slots of the ledger, each once, with these outcomes (all if none is named)."""
        entries = self.bus.cli_json("ledger", "prices", "--limit", "1000")
        slots = [entry["slot_ms"] for entry in entries]
        self.assertEqual(len(slots), len(set(slots)), "a slot has two outcomes")
        return {entry["slot_ms"] for entry in entries if not outcomes or entry["outcome"] in outcomes}

    def runs(self):
        return {run["run"]: run for run in self.bus.cli_json("runs", "prices", "--limit", "1000")}

    def alert(self):
        return next((a for a in self.bus.cli_json("alerts") if a["kind"] == "clock"), None)

    def test_clock_is_raised_while_the_wall_clock_stands_back_and_cleared_when_it_is_right_and_no_lease_notices(self):
        bus = self.start()
        agent = bus.spawn("agent", [lib.BIN / "syncbus", "run", "--by", "anna", "--config", bus.config_path, "--", "cat"],
                          stdin=lib.subprocess.PIPE)
        token = bus.wait_for(lambda: bus.resource().token, "the agent to hold the ERP")
        bus.set_wall_clock(2 * HOUR)
        bus.wait_for(lambda: max(self.ledger()) > 1000 * (time.time() + HOUR), "slots of the time to which it jumped")
        self.assertEqual(bus.resource().token, token)
        bus.set_wall_clock(0)
        alert = bus.wait_for(self.alert, "the alert")
        self.assertEqual((alert["subject"], alert["kind"]), ("prices", "clock"))
        self.assertIn("clock", bus.cli("status").stdout)
        self.assertEqual(bus.resource().token, token)
        agent.stdin.close()
        self.assertEqual(agent.wait(timeout=20), OK)
        # It runs on at its pace, and no slot comes twice.
        known, slots = set(self.runs()), self.ledger()
        fresh = bus.wait_for(lambda: (new := [run for number, run in self.runs().items() if number not in known])[1:] and new,
                             "runs without slots")
        self.assertEqual({run.get("slot_ms", 0) for run in fresh if run["stage"] == "succeeded"}, {0})
        self.assertLessEqual(self.ledger(), slots | {max(slots) + 1000})
        self.assertTrue(self.alert())
        bus.set_wall_clock(2 * HOUR)
        bus.wait_for(lambda: not self.alert(), "the alert to be over")
        bus.wait_for(lambda: len(self.ledger("succeeded") - slots) >= 2, "slots to go on")
        self.assertGreater(min(self.ledger() - slots), max(slots), "a slot before the last one came again")

    def test_history_older_than_keep_goes_and_newer_stays_over_restarts(self):
        bus = self.start(ahead_s=-3 * HOUR)
        self.hold_the_erp(pauses=1)
        self.assertEqual(bus.stop("broker"), OK)
        bus.set_wall_clock(0)
        self.start_broker()
        old, _ = self.history()
        self.assertTrue(all(old.values()), f"it is younger than `keep`, which is 90 days: {old}")
        self.hold_the_erp(pauses=2)
        _, new = bus.wait_for(lambda: all((history := self.history())[1].values()) and history, "new history")
        self.assertEqual(bus.stop("broker"), OK)
        bus.write_config(lambda config: config["broker"].update(keep="1h"))
        self.start_broker()
        bus.wait_for(lambda: not any(self.history()[0].values()), "old history to go")
        self.assert_there(new)
        bus.kill("broker")
        self.start_broker()
        self.assert_there(new)
        self.assertFalse(any(self.history()[0].values()), "old history came back")
        self.assertEqual(bus.cli_json("pauses")[0]["count"], 2, "the figures are of all that there was")

    def hold_the_erp(self, pauses):
        """An agent holds it once; so many pauses are stored then, which a beat does."""
        self.assertEqual(self.bus.cli("run", "--timeout", "30s", "--", "true").returncode, OK)
        self.bus.wait_for(lambda: len(self.bus.cli_json("pauses")[0].get("recent", [])) == pauses, "the pause to be stored")

    def history(self):
        """What is told of the past by its kind: what is older than two hours, and what is of the last half hour."""
        told = {"runs": {run["run"]: run["ended_ms"] for run in self.runs().values() if run.get("ended_ms")},
                "ledger": {slot: slot for slot in self.ledger()},
                "pauses": {pause["time_ms"]: pause["time_ms"] for pause in self.bus.cli_json("pauses")[0].get("recent", [])}}
        now = time.time()
        return ({kind: {item for item, ms in items.items() if ms / 1000 < now - 2 * HOUR} for kind, items in told.items()},
                {kind: {item for item, ms in items.items() if ms / 1000 > now - HOUR / 2} for kind, items in told.items()})

    def assert_there(self, history):
        for kind, items in self.history()[1].items():
            self.assertLessEqual(history[kind], items, f"{kind}: newer history went")

    def test_the_clocks_are_read_after_the_sockets(self):
        bus = Bus(jobs={"prices": {}}, broker={"beat": "10s"})
        self.addCleanup(bus.close)
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        pid = bus.processes["broker"].pid
        bus.kill("broker", signal.SIGSTOP)
        bus.wait_for(lambda: self.stands(pid), "the broker to stand still")
        pb = lib.messages()
        with bus.requester() as socket:
            sent_ms = time.time() * 1000
            socket.send(pb.Request(id=1, snapshot=pb.Snapshot()).SerializeToString())
            bus.kill("broker", signal.SIGCONT)
            self.assertTrue(socket.poll(20000), "no answer")
            state = pb.Reply.FromString(socket.recv()).state
        self.assertGreaterEqual(state.time_ms, int(sent_ms), "it took the request at a time before it came")

    def stands(self, pid):
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"


if __name__ == "__main__":
    unittest.main()
