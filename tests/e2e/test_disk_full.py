"""Disks that are full: each program says so, acknowledges nothing that is not on disk, loses nothing of what was, and goes on when there is room.

Each story runs on a disk of 4 MiB of its own, in a mount namespace of this process; where that may not be made it is skipped.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import bus as lib
from bus import Bus

DISK = "4m"
OWN_MOUNTS = "SYNCBUS_TEST_OWN_MOUNTS"  # set once this process has a mount namespace of its own
PAGE = 4096
LIMITS = {"resource": {"lease_ttl": "1s", "grant_delay": "100ms"}}


def enter_own_mounts():
    """Runs this file anew in its own mount namespace, or ends it with a plain line where that is not allowed."""
    words = ["unshare", "--mount", "--propagation", "private"]
    if os.environ.get(OWN_MOUNTS):
        return
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("skipped: a small disk can be mounted by root alone")
        sys.exit(lib.SKIP)
    os.execvpe("unshare", [*words, sys.executable, *sys.argv], {**os.environ, OWN_MOUNTS: "1"})


class SmallDisk(unittest.TestCase):
    def make(self, **options):
        self.bus = Bus(**{**LIMITS, **options})
        self.addCleanup(self.bus.close)
        self.pb = lib.messages()
        return self.bus

    def mount(self, name):
        """A small disk where the program `name` keeps its data."""
        self.disk = self.bus.folder / name
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.disk], check=True)
        # Cleaned up before the bus is closed; lazily, as a program may still be in it.
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)

    def fill(self, left=0):
        """Takes all of the disk but `left` bytes."""
        with open(self.disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(PAGE))
            except OSError:
                pass
            if left:
                filler.truncate(os.fstat(filler.fileno()).st_size // PAGE * PAGE - left)

    def make_room(self):
        (self.disk / "filler").unlink()

    def ended(self, name):
        return self.bus.processes[name].poll() is not None

    def end_of(self, name):
        """The exit code of a program that ends by itself."""
        return self.bus.processes[name].wait(timeout=30)


class Broker(SmallDisk):
    def hold(self, number):
        """Asks for a hold; True when it was acknowledged, None without an answer."""
        reply = self.bus.ask(timeout=5, hold={"job": "prices", "by": "test", "reason": f"{number} " * 200, "hold": number})
        if reply is not None:
            self.assertEqual(reply.code, self.pb.CODE_OK, reply)
        return reply is not None

    def held(self):
        return {hold.hold for hold in self.bus.answers().holds}

    def test_a_broker_acknowledges_nothing_that_a_full_disk_did_not_take_and_comes_back_with_the_rest(self):
        bus = self.make(jobs={"prices": {}})
        self.mount("broker")
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        acknowledged = {number for number in range(1, 6) if self.hold(number)}
        self.fill()
        for number in range(6, 500):
            if self.ended("broker") or not self.hold(number):
                break
            acknowledged.add(number)
        self.assertEqual(self.end_of("broker"), 1)
        self.assertRegex(bus.log("broker"), f"the journal could not be written: {self.disk}: no space left on the device; "
                                            "nothing was changed; make room")
        self.assertGreaterEqual(len(acknowledged), 5)

        bus.start("broker")  # its new epoch finds some room inside its file, or none
        bus.wait_for(lambda: self.ended("broker") or bus.answers(), "the broker to answer or to end")
        if not self.ended("broker"):
            self.assertGreaterEqual(self.held(), acknowledged)
            bus.kill("broker")
        self.make_room()
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to be back")
        self.assertGreaterEqual(self.held(), acknowledged)
        self.assertLessEqual(self.held(), acknowledged | {number})
        self.assertTrue(self.hold(1000))
        self.assertIn(1000, self.held())


class Orders(SmallDisk):
    def start(self):
        bus = self.make(jobs={"prices": {}})
        self.mount("order")
        bus.start_all()
        bus.wait_for(lambda: bus.place("K-0", {"item": 0}, "--wait").returncode == 0, "a first order")
        return bus

    def assert_each_is_placed_once(self, keys):
        for key in keys:
            self.bus.wait_for(lambda: self.bus.cli_json("order", "show", key)[0]["status"] == "placed", f"{key} to be placed")
        self.assertEqual(self.bus.assert_judge_is_content()["orders"], len(keys))

    def test_an_order_that_finds_no_room_is_refused_with_the_reason_and_taken_when_there_is_some(self):
        bus = self.start()
        large = {"item": "x" * 60000}  # more than the book has free inside
        self.fill()
        done = bus.place("K-large", large)
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stderr, "no space left on the device; nothing was changed; make room")
        self.assertFalse(self.ended("order"))
        self.assertEqual(bus.cli("order", "show", "K-large").returncode, 1)
        self.assertEqual(bus.cli_json("order", "show", "K-0")[0]["status"], "placed")
        self.make_room()
        self.assertEqual(bus.place("K-large", large, "--wait").returncode, 0)
        self.assert_each_is_placed_once(["K-0", "K-large"])

    def test_orders_that_were_accepted_before_the_disk_was_full_are_each_placed_once(self):
        bus = self.start()
        accepted = ["K-0"]
        self.fill()
        for number in range(1, 100):
            done = bus.place(f"K-{number}", {"item": "x" * 3000}, "--timeout", "10s")
            if done.returncode != 0:
                break
            accepted.append(f"K-{number}")
        self.assertNotEqual(done.returncode, 0, "the disk never was full")
        self.assertRegex(done.stderr + bus.log("order"), "no space left on the device; nothing was changed; make room")
        self.make_room()
        if self.ended("order"):
            self.assertEqual(self.end_of("order"), 1)
            bus.start("order")
        self.assertEqual(bus.place(f"K-{number}", {"item": "x" * 3000}, "--wait").returncode, 0)
        self.assert_each_is_placed_once([*accepted, f"K-{number}"])


class Syncs(SmallDisk):
    ROWS = 3000

    def export(self, price):
        path = self.bus.folder / f"{price}.csv"
        path.write_text("id,price,what\n" + "".join(f"{n},{price},{'x' * 60}\n" for n in range(self.ROWS)))
        return path

    def once(self, source):
        done = subprocess.run([lib.BIN / "syncbus-sync", "prices", "--once", "--config", self.bus.config_path, "--source", source],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout.count("\n"), 1, done)
        return json.loads(done.stdout), done.returncode

    def test_a_sync_that_finds_no_room_fails_with_the_reason_and_its_store_stays_as_it_was(self):
        self.make(jobs={"prices": {}})
        self.mount("prices")
        self.bus.write_config()
        first, second = self.export(1), self.export(2)
        good, code = self.once(first)
        self.assertEqual((code, good["created"]), (0, self.ROWS), good)
        size = second.stat().st_size // PAGE * PAGE
        # The spool does not fit; it fits, but not what is to be committed.
        for left, why in ((0, "cannot write the export to .*: No space left on device"),
                          (size + 20 * PAGE, "no space left on the device; nothing was changed; make room")):
            with self.subTest(left=left):
                self.fill(left)
                result, code = self.once(second)
                self.assertEqual((code, result["ok"]), (1, False), result)
                self.assertRegex(result["error"], why)
                self.make_room()
                again, code = self.once(first)
                self.assertEqual((code, again["unchanged"], again["changed"], again["last_seq"]),
                                 (0, self.ROWS, 0, good["last_seq"]), again)
        result, code = self.once(second)
        self.assertEqual((code, result["changed"]), (0, self.ROWS), result)

    def test_a_service_that_cannot_store_its_result_ends_with_the_reason_and_goes_on_at_its_next_start(self):
        bus = self.make(jobs={"prices": {"retry_after": "1s"}})
        self.mount("prices")
        bus.start("erp")
        bus.write_config()
        bus.start("broker")
        bus.start("sync-prices")
        bus.wait_for(bus.succeeded, "a first sync")
        first = bus.cli_json("runs", "prices")[0]["run"]
        bus.next_version()
        self.fill()
        self.assertEqual(bus.cli("trigger", "prices").returncode, 0)
        self.assertEqual(self.end_of("sync-prices"), 1)
        self.assertRegex(bus.log("sync-prices"), f"{self.disk}: no space left on the device; nothing was changed; make room")
        self.make_room()
        bus.start("sync-prices")
        bus.wait_for(lambda: (run := bus.cli_json("runs", "prices")[0])["stage"] == "succeeded" and run["run"] != first,
                     "the run to be done after all")


if __name__ == "__main__":
    enter_own_mounts()
    unittest.main()
