"""The examples of one language, run as anybody would run them, beside real programs: test_join.py python|node"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import bus as lib
from bus import Bus

HERE = pathlib.Path(__file__).resolve().parent
LANGUAGE = sys.argv.pop(1)
RECORDS = 6000  # so many that what the feed example prints is far more than a pipe holds


def make_folder():
    """A folder with the examples and all they need: the messages, and for Node the packages."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="syncbus-interop-"))
    shutil.copytree(HERE / LANGUAGE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    if LANGUAGE == "python":
        subprocess.run(["protoc", f"--proto_path={lib.ROOT / 'proto'}", f"--python_out={folder}", "syncbus.proto"], check=True)
        return folder, [sys.executable], ".py"
    packages = pathlib.Path(os.environ["SYNCBUS_NODE_MODULES"])
    if not packages.is_dir():
        sys.exit(f"{packages} is not there: tools/setup --tests installs it")
    (folder / "node_modules").symlink_to(packages)
    shutil.copy(lib.ROOT / "proto" / "syncbus.proto", folder)
    return folder, ["node"], ".mjs"


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder, cls.command, cls.ending = make_folder()
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def setUp(self):
        self.bus = Bus(jobs={"prices": {}}, resource={"lease_ttl": "3s"}, broker={"beat": "200ms"},
                       erp=("--generate", str(RECORDS), "--seed", "1"))
        self.addCleanup(self.bus.close)
        self.pb = lib.messages()
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first sync")

    def words(self, name, *args):
        return [*self.command, str(self.folder / f"{name}{self.ending}"), *map(str, args)]

    def run_example(self, name, *args, code=0):
        """Runs one to its end; what it printed."""
        done = subprocess.run(self.words(name, *args), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def start_example(self, name, *args):
        """Starts one whose output is read line by line; it is ended with the test."""
        process = subprocess.Popen(self.words(name, *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        end = threading.Timer(90, process.kill)  # one that hangs must not keep its reader waiting for ever
        end.start()
        self.addCleanup(end.cancel)
        return process

    def sync(self):
        runs = self.bus.job("prices").runs
        self.bus.ask(trigger={"job": "prices"})
        self.bus.wait_for(lambda: self.bus.job("prices").runs > runs, "a sync to end")

    def test_it_hears_each_event_as_a_message_and_as_json(self):
        events = self.start_example("events", self.bus.events, "run.prices", "change.", "beat")
        while not events.stdout.readline().startswith("json.beat "):  # its last subscription
            self.assertIsNone(events.poll(), "the example ended")
        before = self.bus.answers().seqs["change.prices"]
        self.bus.next_version()
        self.sync()
        self.bus.wait_for(lambda: self.bus.answers().seqs["change.prices"] > before, "the change to be published")
        heard = self.heard_until_now(events)
        messages = [line for line in heard if not line[0].startswith("json.")]
        texts = [[line[0].removeprefix("json."), *line[1:]] for line in heard if line[0].startswith("json.")]
        self.assertEqual(messages, texts)
        self.assertEqual({(topic, what) for topic, _, what in messages}, {("run.prices", "run"), ("change.prices", "change")})

    def heard_until_now(self, events):
        """Lines other than of beats, until the last change and the last of the run have come as JSON."""
        last = {f"json.{topic}": seq for topic, seq in self.bus.answers().seqs.items()
                if topic in ("run.prices", "change.prices")}
        heard = []
        while last:
            line = events.stdout.readline().split()
            self.assertNotEqual(line, [], "the example ended")
            if line[0] not in ("beat", "json.beat"):
                heard.append(line)
            if last.get(line[0]) == int(line[1]):
                del last[line[0]]
        return heard

    def test_it_triggers_a_job_and_waits_for_its_end(self):
        self.bus.next_version()
        said = self.run_example("trigger", self.bus.requests, self.bus.events, "prices")
        last = self.bus.job("prices").last
        self.assertGreater(last.result.changed, 0)
        self.assertEqual(said, f"run {last.run}\nended well seen {last.result.seen} created {last.result.created} changed "
                         f"{last.result.changed} unchanged {last.result.unchanged} deleted {last.result.deleted}\n")
        self.assertIn("no-such", self.run_example("trigger", self.bus.requests, self.bus.events, "no-such", code=1))

    def test_it_waits_for_a_lease_holds_it_for_longer_than_its_life_and_gives_it_back(self):
        holder = self.bus.spawn("holder", [lib.BIN / "syncbus", "run", "--config", self.bus.config_path, "--", "cat"],
                                stdin=subprocess.PIPE)
        self.bus.wait_for(lambda: self.bus.resource().token, "another one to hold the lease")
        lease = self.start_example("lease", self.bus.requests, "erp", 5)
        self.assertRegex(lease.stdout.readline(), r"^waiting at 1 behind .*\S")
        holder.stdin.close()
        line = lease.stdout.readline()
        while line.startswith("waiting"):
            line = lease.stdout.readline()
        token = re.match(r"granted (\d+)$", line).group(1)
        self.assertEqual(lease.stdout.readline(), f"renewed {token}\n")
        resource = self.bus.resource()
        self.assertEqual((str(resource.token), resource.holder, resource.phase),
                         (token, "lease example", self.pb.PHASE_EXCLUSIVE))
        self.assertEqual(lease.stdout.read(), f"renewed {token}\n" * 4 + f"given back {token}\n")
        self.assertEqual(lease.wait(), 0)
        self.assertEqual(self.bus.resource().phase, self.pb.PHASE_OPEN)
        self.assertIn("not granted", self.run_example("lease", self.bus.requests, "no-such", 1, code=1))

    def test_its_lease_outlives_the_broker_and_it_stops_when_none_comes_back(self):
        lease = self.start_example("lease", self.bus.requests, "erp", 1000)
        token = re.match(r"granted (\d+)$", lease.stdout.readline()).group(1)
        self.bus.kill("broker")
        self.bus.start("broker")
        self.bus.wait_for(lambda: self.bus.answers() and str(self.bus.resource().token) == token, "the lease to be taken over")
        self.bus.kill("broker")
        lines = lease.stdout.read().splitlines()
        self.assertTrue(all(line == f"renewed {token}" for line in lines), lines)
        self.assertEqual(lease.wait(), 1)

    def test_it_places_an_order_once_for_its_key(self):
        body = json.dumps({"item": "A-1", "quantity": 2})
        said = self.run_example("order", self.bus.requests, self.bus.events, "K-1", body)
        number = re.match(r"accepted K-1\nplaced (\S+)\n$", said).group(1)
        self.assertEqual(self.run_example("order", self.bus.requests, self.bus.events, "K-1", body), said)
        self.assertEqual(self.bus.cli_json("order", "show", "K-1")[0]["erp_id"], number)
        self.assertEqual(self.bus.assert_judge_is_content()["orders"], 1)

    def test_it_reads_one_record_and_all_of_them(self):
        records = {row["key"][0]: row["record"] for row in self.bus.cli_json("records", "prices")}
        self.assertEqual(len(records), RECORDS)
        said = self.run_example("records", self.bus.requests, "prices")
        read = dict(line.split(" ", 1) for line in said.splitlines())
        self.assertEqual({key: json.loads(text) for key, text in read.items()}, records)
        self.assertEqual(list(read), sorted(read))
        key = sorted(records)[7]
        self.assertEqual(json.loads(self.run_example("records", self.bus.requests, "prices", key)), records[key])
        self.assertIn("no such record", self.run_example("records", self.bus.requests, "prices", "no-such", code=1))

    def test_the_ten_lines_of_the_readme_take_a_lease(self):
        text = (lib.ROOT / "README.md").read_text()
        word = {"python": "python", "node": "js"}[LANGUAGE]
        program = re.search(rf"```{word}\n(.*?)```", text, flags=re.DOTALL).group(1)
        self.assertIn("ipc:///run/syncbus/requests", program)
        file = self.folder / f"readme{self.ending}"
        file.write_text(program.replace("ipc:///run/syncbus/requests", self.bus.requests))
        done = subprocess.run([*self.command, file], capture_output=True, text=True, timeout=60, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, rf"granted(.|\n)*\b{self.bus.resource().token}\b")

    def changes(self):
        """What the feed example must print of all changes."""
        return [f"{row['change']} {row['op']} {row['key'][0]}" for row in self.bus.cli_json("changes", "prices")]

    def read_lines(self, process, count):
        lines = [process.stdout.readline().rstrip("\n") for _ in range(count)]
        self.assertNotIn("", lines, "the example ended")
        return lines

    def test_it_follows_a_feed_over_a_broker_that_is_killed_without_loss_or_repeat(self):
        feed = self.start_example("feed", self.bus.requests, self.bus.events, "prices")
        identity = re.match(r"feed ([0-9a-f]{16})$", feed.stdout.readline()).group(1)
        heard = self.read_lines(feed, 50)
        # Nobody reads on, so the example stands still in mid-feed, its pipe being full, when the broker goes.
        self.bus.kill("broker")
        self.bus.start("broker")
        heard += self.read_lines(feed, RECORDS - 50)
        self.bus.kill("broker")  # now at the feed's end, with what comes next not yet made
        self.bus.next_version()
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to be back")
        self.sync()
        expected = self.changes()
        self.assertGreater(len(expected), RECORDS)
        heard += self.read_lines(feed, len(expected) - RECORDS)
        self.assertEqual(heard, expected)
        self.assertEqual([int(line.split()[0]) for line in heard], list(range(1, len(heard) + 1)))
        feed.kill()
        self.assertEqual(feed.stdout.read(), "")
        self.goes_on(identity, len(expected))

    def goes_on(self, identity, last):
        """A later reading goes on from where this one ended; one of another feed begins with all records."""
        self.bus.next_version()
        self.sync()
        expected = self.changes()[last:]
        self.assertTrue(expected)
        later = self.start_example("feed", self.bus.requests, self.bus.events, "prices", identity, last)
        self.assertEqual(self.read_lines(later, len(expected)), expected)
        other = self.start_example("feed", self.bus.requests, self.bus.events, "prices", "1", last)
        records = [f"record {row['key'][0]}" for row in self.bus.cli_json("records", "prices")]
        self.assertEqual(self.read_lines(other, len(records) + 1), [f"feed {identity}", *records])
        self.bus.next_version()
        before = len(self.changes())
        self.sync()
        added = self.changes()[before:]
        self.assertEqual(self.read_lines(other, len(added)), added)
        self.assertEqual(self.read_lines(later, len(added)), added)


if __name__ == "__main__":
    unittest.main()
