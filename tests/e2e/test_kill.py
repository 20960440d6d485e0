"""kill -9 of the broker in the middle of everything, and of `syncbus run` and its command: nothing acknowledged is lost."""
import os
import random
import signal
import unittest

import bus as lib
from bus import Bus

SEED = int(os.environ.get("SYNCBUS_SEED", "0")) or random.randrange(1, 1 << 30)


class KillBroker(unittest.TestCase):
    def test_the_broker_killed_again_and_again_loses_no_order_no_outcome_and_no_lease(self):
        chance = random.Random(SEED)
        print(f"seed {SEED} (SYNCBUS_SEED repeats it)")
        jobs = {name: {"every": "4s", "offset": f"{n}s", "yield": "abort"} for n, name in enumerate(lib.ENTITIES)}
        with Bus(jobs=jobs, erp=("--generate", "300", "--seed", "1", "--rate", "60000")) as bus:
            bus.start_all()
            bus.wait_for(lambda: bus.succeeded("prices"), "a first sync")
            accepted, epoch, ledgers = [], 0, {}
            for life in range(4):
                for number in range(3):
                    key = f"K-{life}-{number}"
                    done = bus.place(key, None, "--timeout", "20s")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    accepted.append(key)
                ledgers = self.ledgers_grow(bus, jobs, ledgers)
                bus.wait_for(lambda: chance.random() < 0.03, "a random moment")
                bus.kill("broker")
                bus.start("broker")
                bus.wait_for(bus.answers, "the broker to be back")
                reply = bus.ask(snapshot={})
                self.assertGreater(reply.epoch, epoch)
                epoch = reply.epoch
            bus.wait_for(lambda: all(o["status"] == "placed" for o in bus.cli_json("order", "list")),
                         "every accepted order to be placed", 120)
            tokens = [bus.cli_json("order", "show", key)[0]["token"] for key in accepted]
            self.assertEqual(len(set(tokens)), len(accepted))
            self.ledgers_grow(bus, jobs, ledgers)
            counts = bus.assert_judge_is_content(stale_presented=True)
            self.assertEqual(counts["orders"], len(accepted))

    def ledgers_grow(self, bus, jobs, before):
        """Every outcome seen before is still there, and no slot has two."""
        now = {}
        for job in jobs:
            entries = bus.ask(ledger={"job": job, "limit": 1000}).ledger_list.entries
            now[job] = {entry.slot_ms: entry.outcome for entry in entries}
            self.assertEqual(len(now[job]), len(entries), f"{job}: a slot has two outcomes")
            for slot, outcome in before.get(job, {}).items():
                self.assertEqual(now[job].get(slot), outcome, f"{job}: the outcome of slot {slot} was lost")
        return now


class KillRun(unittest.TestCase):
    def setUp(self):
        self.bus = Bus(jobs={"prices": {}})
        self.addCleanup(self.bus.close)
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker")

    def run_command(self, *command):
        process = self.bus.spawn("run", [lib.BIN / "syncbus", "run", "--config", self.bus.config_path, "--", *command])
        holder = self.bus.wait_for(lambda: self.bus.resource() and self.bus.resource().token, "the lease to be held")
        return process, holder

    def free(self):
        resource = self.bus.resource()
        return resource and not resource.token

    def alive(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return "Z" not in stat.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False

    def test_when_the_command_is_killed_run_says_its_signal_and_gives_the_lease_back_at_once(self):
        process, _ = self.run_command("sh", "-c", "echo $$ >command.pid; exec sleep 600")
        pid = int(self.bus.wait_for(lambda: self.read("command.pid"), "the command's pid"))
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(process.wait(timeout=10), 128 + signal.SIGKILL)
        self.bus.wait_for(self.free, "the lease to be back")

    def test_when_run_itself_is_killed_its_command_ends_and_the_lease_runs_out(self):
        process, _ = self.run_command("sh", "-c", "echo $$ >command.pid; exec sleep 600")
        pid = int(self.bus.wait_for(lambda: self.read("command.pid"), "the command's pid"))
        process.kill()
        process.wait()
        self.bus.wait_for(lambda: not self.alive(pid), "the command to be ended")
        self.bus.wait_for(self.free, "the lease to run out")
        done = self.bus.cli("run", "--", "true")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_broker_killed_under_a_command_takes_the_lease_over_and_the_command_goes_on(self):
        os.mkfifo(self.bus.folder / "go")
        process, token = self.run_command("sh", "-c", "echo $$ >command.pid; read line <go; exit 7")
        self.bus.kill("broker")
        self.bus.start("broker")
        taken = self.bus.wait_for(lambda: self.bus.resource() and self.bus.resource().token, "the lease to be taken over")
        self.assertEqual(taken, token)
        (self.bus.folder / "go").write_text("on\n")
        self.assertEqual(process.wait(timeout=30), 7)
        self.bus.wait_for(self.free, "the lease to be back")

    def read(self, name):
        path = self.bus.folder / name
        return path.read_text().strip() if path.exists() else ""


if __name__ == "__main__":
    unittest.main()
