"""tools/up as a user starts it: the whole bus at sixty times its speed, an order every two seconds, Ctrl-C."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import bus as lib

NIGHTLY = bool(os.environ.get("SYNCBUS_NIGHTLY"))
SECONDS = 600 if NIGHTLY else 60
SPEED = 60
EVERY_S = {"orders": 600, "customers": 1800, "prices": 1800, "invoices": 1800, "ddt": 2700, "products": 5400}


def ledger_faults(job, entries, every_ms):
    """What is wrong with a job's ledger (newest first): slots that are off the grid, twice or not there."""
    faults, slots = [], []
    for entry in entries:
        slots += [entry.slot_ms + k * every_ms for k in range(max(entry.slots, 1))]
    slots.sort()
    for earlier, later in zip(slots, slots[1:]):
        if later - earlier != every_ms:
            faults.append(f"{job}: {later - earlier} ms between the slots {earlier} and {later}, not {every_ms}")
    return faults


class Up(unittest.TestCase):
    def test_a_minute_of_the_demo_places_every_order_syncs_every_job_and_contents_the_judge(self):
        with tempfile.TemporaryDirectory(prefix="syncbus-up-") as folder, lib.Bus() as bus:
            with open(f"{folder}/up.log", "wb") as log:
                up = subprocess.Popen([lib.ROOT / "tools/up", "--demo-speed", str(SPEED), "--state", folder],
                                      stdout=log, stderr=log, env={**os.environ, "SYNCBUS_ERP_PORT": "0"},
                                      start_new_session=True,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            try:
                self.run_demo(bus, pathlib.Path(folder), up)
            except BaseException:
                print(pathlib.Path(folder, "up.log").read_text(), file=sys.stderr)
                for path in sorted(pathlib.Path(folder, "log").glob("*.log")):
                    print(f"--- {path.name}", *path.read_text().splitlines()[-8:], sep="\n", file=sys.stderr)
                raise
            finally:
                if up.poll() is None:
                    up.kill()
                    up.wait()

    def run_demo(self, bus, folder, up):
        bus.wait_for(lambda: "syncbus is up" in (folder / "up.log").read_text() or up.poll() is not None,
                     "tools/up to be up", 120)
        self.assertIsNone(up.poll(), "tools/up ended")
        bus.erp_url = (folder / "log/erp.log").read_text().split("listening on ")[1].split()[0]
        self.cli = lambda *words, stdin=None: subprocess.run(
            [str(lib.BIN / "syncbus"), *words, "--config", str(folder / "syncbus.yaml")], input=stdin,
            capture_output=True, text=True, timeout=120)

        started, number, placing = time.monotonic(), 0, []
        while time.monotonic() < started + SECONDS:
            number += 1
            placing.append(subprocess.Popen(
                [str(lib.BIN / "syncbus"), "order", "place", "-", "--key", f"K-{number}", "--by", "test", "--wait", "--json",
                 "--timeout", "60s", "--config", str(folder / "syncbus.yaml")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            placing[-1].stdin.write(json.dumps({"item": f"A-{number}", "quantity": number}))
            placing[-1].stdin.close()
            time.sleep(max(0, started + 2 * number - time.monotonic()))  # the pace of the orders, not a wait
        for process in placing:
            self.assertEqual(process.wait(timeout=90), 0, process.stderr.read())
            self.assertIn('"placed"', process.stdout.read())
            process.stdout.close()
            process.stderr.close()

        counts = bus.assert_judge_is_content()
        self.assertEqual(counts["orders"], number)
        jobs = [json.loads(line) for line in self.cli("status", "--json").stdout.splitlines()]
        self.assertTrue(jobs)
        self.check_ledgers(bus, folder)

        up.send_signal(signal.SIGINT)
        self.assertEqual(up.wait(timeout=30), 0)
        self.assertFalse(self.left_over(folder), "programs are left over")

    def test_every_program_that_is_killed_comes_back_and_the_next_order_is_placed(self):
        with tempfile.TemporaryDirectory(prefix="syncbus up ") as folder, lib.Bus() as bus:  # a path with blanks
            with open(f"{folder}/up.log", "wb") as log:
                up = subprocess.Popen([lib.ROOT / "tools/up", "--state", folder], stdout=log, stderr=log,
                                      env={**os.environ, "SYNCBUS_ERP_PORT": "0"}, start_new_session=True,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            try:
                said = pathlib.Path(folder, "up.log").read_text
                bus.wait_for(lambda: "syncbus is up" in said() or up.poll() is not None, "tools/up to be up", 120)
                self.assertIsNone(up.poll(), said())
                bus.wait_for(lambda: len(self.children(up)) == 9, "all nine programs to be there")
                for program in self.children(up):
                    os.kill(program, signal.SIGKILL)
                bus.wait_for(lambda: said().count("starting it again") == 9 and len(self.children(up)) == 9,
                             "all nine programs to be back", 60)
                done = subprocess.run([str(lib.BIN / "syncbus"), "order", "place", "-", "--key", "K-1", "--wait",
                                       "--config", f"{folder}/syncbus.yaml"], input="{}", capture_output=True, text=True, timeout=90)
                self.assertEqual(done.returncode, 0, done)
                up.send_signal(signal.SIGINT)
                self.assertEqual(up.wait(timeout=30), 0)
                self.assertFalse(self.left_over(folder), "programs are left over")
            except BaseException:
                print(said(), file=sys.stderr)
                raise
            finally:
                if up.poll() is None:
                    up.kill()
                    up.wait()

    def test_a_hang_up_lets_all_programs_follow_the_configuration_and_a_wrong_one_changes_nothing(self):
        with tempfile.TemporaryDirectory(prefix="syncbus-up-") as folder, lib.Bus() as bus:
            config = pathlib.Path(folder, "syncbus.yaml")
            with open(f"{folder}/up.log", "wb") as log:
                up = subprocess.Popen([lib.ROOT / "tools/up", "--state", folder], stdout=log, stderr=log,
                                      env={**os.environ, "SYNCBUS_ERP_PORT": "0"}, start_new_session=True,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            try:
                said = pathlib.Path(folder, "up.log").read_text
                bus.wait_for(lambda: "syncbus is up" in said() or up.poll() is not None, "tools/up to be up", 120)
                ask = lambda *words: subprocess.run([str(lib.BIN / "syncbus"), *words, "--config", str(config)],
                                                    capture_output=True, text=True, timeout=60)
                bus.wait_for(lambda: len(json.loads(ask("status", "--json").stdout)["services"]) == 7, "all services to join")
                before = set(self.children(up))
                good = config.read_text()
                config.write_text(good.replace("every: 45m", "evry: 45m"))
                up.send_signal(signal.SIGHUP)
                bus.wait_for(lambda: 'did you mean "every"' in said(), "the mistake to be told")
                self.assertRegex(said(), r"syncbus\.yaml:\d+:\d+: ")
                self.assertEqual(set(self.children(up)), before)

                config.write_text(good.replace("\n  ddt: ", "\n  notes: ").replace("ddt: 20m", "notes: 20m")
                                  .replace("ddt: 45m", "notes: 45m").replace("data/ddt", "data/notes"))
                up.send_signal(signal.SIGHUP)
                bus.wait_for(lambda: "sync-notes: started" in said() and "sync-ddt: ended" in said(), "the programs to follow")
                done = ask("trigger", "notes", "--wait")
                self.assertEqual(done.returncode, 0, done)
                self.assertEqual(ask("status", "ddt").returncode, 1)
                self.assertEqual(len(self.children(up)), 9)
                up.send_signal(signal.SIGINT)
                self.assertEqual(up.wait(timeout=30), 0)
                self.assertFalse(self.left_over(folder), "programs are left over")
            except BaseException:
                print(pathlib.Path(folder, "up.log").read_text(), file=sys.stderr)
                raise
            finally:
                if up.poll() is None:
                    up.kill()
                    up.wait()

    def children(self, process):
        """The programs of the bus that a process has started."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                name = (path / "cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue
            if parent == process.pid and b"/bin/syncbus-" in name:
                found.append(int(path.name))
        return found

    def check_ledgers(self, bus, folder):
        """Each slot has one outcome, and each job has succeeded."""
        with bus.context.socket(lib.zmq.REQ) as socket:
            socket.linger = 0
            socket.connect(f"ipc://{folder}/run/requests")
            pb = lib.messages()
            for number, (job, every_s) in enumerate(EVERY_S.items(), 1):
                socket.send(pb.Request(id=number, ledger=pb.Ledger(job=job, limit=1000)).SerializeToString())
                self.assertTrue(socket.poll(5000))
                entries = pb.Reply.FromString(socket.recv()).ledger_list.entries
                self.assertFalse(ledger_faults(job, entries, every_s * 1000 // SPEED))
                if SECONDS * SPEED > 2 * every_s:
                    self.assertTrue(any(entry.outcome == pb.STAGE_SUCCEEDED for entry in entries), f"{job}: {entries}")
                socket.send(pb.Request(id=100 + number, snapshot=pb.Snapshot(job=job)).SerializeToString())
                self.assertTrue(socket.poll(5000))
                self.assertTrue(pb.Reply.FromString(socket.recv()).state.jobs[0].last_success_ms, f"{job} has not synced")

    def left_over(self, folder):
        """Processes that still run on the demo's folder."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in words and "syncbus-" in words.split("\0")[0]:
                found.append(words)
        return found


if __name__ == "__main__":
    if lib.BIN != (lib.ROOT / "build/release/bin").resolve():
        print("skipped: tools/up runs the release build")
        sys.exit(lib.SKIP)
    unittest.main()
