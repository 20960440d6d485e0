"""The command line as scripts and people use it: exit codes, JSON, tables, and `syncbus run`."""
import json
import os
import signal
import subprocess
import unittest

import bus as lib
from bus import Bus

OK, FAILED, USAGE, REFUSED, TIMED_OUT, UNREACHABLE, UNKNOWN = range(7)


class Wrong(unittest.TestCase):
    def setUp(self):
        self.bus = Bus(jobs={"prices": {}})
        self.addCleanup(self.bus.close)
        self.bus.write_config()

    def assert_refused(self, said, *words, code=USAGE, **options):
        done = self.bus.cli(*words, **options)
        self.assertEqual(done.returncode, code, f"{words}: {done}")
        self.assertIn(said, done.stderr, words)
        self.assertEqual(done.stdout, "", words)

    def test_what_is_not_a_command_is_refused_with_what_would_be_one(self):
        self.assert_refused("which command?")
        self.assert_refused('no command is called "statu"', "statu")
        self.assert_refused("usage: syncbus trigger JOB", "trigger")
        self.assert_refused("usage: syncbus status", "status", "prices", "orders")
        self.assert_refused("place, show, list, cancel or resolve", "order", "plaice")
        self.assert_refused("--key", "order", "place", "-", stdin="{}")
        self.assert_refused("--placed ID|--rejected WHY", "order", "resolve", "K-1")
        self.assert_refused("--placed ID|--rejected WHY", "order", "resolve", "K-1", "--placed", "E", "--rejected", "W")
        self.assert_refused("not a duration", "status", "--timeout", "soon")
        self.assert_refused("is not a number", "runs", "--limit", "many")
        self.assert_refused("--no-such-flag", "status", "--no-such-flag")
        self.assert_refused("no-such-file", "order", "place", "no-such-file", "--key", "K")
        self.assert_refused('"pricse"', "trigger", "pricse")
        self.assert_refused("not a text in UTF-8", "order", "place", "-", "--key", "K", stdin='{"a":1}\0{"b":2}')
        self.assert_refused("Is a directory", "order", "place", ".", "--key", "K")
        self.assert_refused("usage: syncbus order list", "order", "list", "K")
        self.assert_refused("--by: a name has 1 to 64 bytes", "trigger", "prices", "--by", "x" * 65)
        for command in ("records", "changes", "rejects"):
            self.assert_refused('there is no job "order"', command, "order")
        self.assert_refused('"epr"', "run", "--resource", "epr", "--", "true")

    def test_what_an_operator_must_say_is_asked_for(self):
        why = ("--reason", "because")
        self.assert_refused("usage: syncbus hold JOB|--resource R", "hold", *why)
        self.assert_refused("usage: syncbus hold JOB|--resource R", "hold", "prices", "--resource", "erp", *why)
        self.assert_refused("--orders-too goes with --resource", "hold", "prices", "--orders-too", *why)
        self.assert_refused('"pricse"', "hold", "pricse", *why)
        self.assert_refused('"epr"', "hold", "--resource", "epr", *why)
        self.assert_refused('--for: "0s" is not a duration', "hold", "prices", "--for", "0s", *why)
        self.assert_refused('"epr"', "pauses", "epr")
        for words in (("hold", "prices"), ("revoke", "17"), ("rebind", "prices")):
            self.assert_refused("--reason: say why", *words)
            self.assert_refused("--reason: say why", *words, "--reason", "")
            self.assert_refused("--reason: say why", *words, "--reason", "x" * 161)
        for word in ("", "7", "xyz", "0" * 17, "0x00000000000001"):
            self.assert_refused("16 digits, as syncbus holds shows", "unhold", word)
        for word in ("", "0", "+1", "1x", "9" * 30):
            self.assert_refused("is not the token of a lease", "revoke", word, *why)

    def test_a_wrong_config_is_refused_with_its_place(self):
        self.bus.write_config(lambda config: config["jobs"]["prices"].update(evry="1h"))
        self.assert_refused('did you mean "every"', "status")
        self.assert_refused("/nowhere.yaml", "status", env={"SYNCBUS_CONFIG": "/nowhere.yaml"})

    def test_without_a_broker_each_command_says_so_and_ends_with_its_own_code(self):
        for words in (("status",), ("runs",), ("ledger",), ("trigger", "prices"), ("order", "list"), ("records", "prices"),
                      ("hold", "prices", "--reason", "r"), ("holds",), ("unhold", "0123456789abcdef"), ("reload",),
                      ("revoke", "7", "--reason", "r"), ("rebind", "prices", "--reason", "r"), ("pauses",), ("alerts",)):
            self.assert_refused("does not answer", *words, "--timeout", "500ms", code=UNREACHABLE)
        self.assert_refused("does not answer", "run", "--timeout", "500ms", "--", "true", code=125)

    def test_help_tells_every_command(self):
        done = self.bus.cli("--help")
        self.assertEqual(done.returncode, OK)
        for name in ("status", "watch", "runs", "ledger", "trigger", "run", "order", "records", "changes", "rejects", "check", "hold",
                     "holds", "unhold", "revoke", "pauses", "alerts", "reload", "rebind"):
            self.assertIn(f"\n  {name}", done.stdout)
        self.assertTrue(self.bus.cli("--version").stdout.startswith("syncbus "))


class Check(unittest.TestCase):
    def test_check_shows_the_jobs_and_every_simultaneous_start(self):
        jobs = {"orders": {"every": "10m"}, "prices": {"every": "30m", "offset": "10m"}, "ddt": {"every": "45m", "offset": "20m"}}
        with Bus(jobs=jobs) as bus:
            bus.write_config()
            lines = bus.cli_json("check")
            self.assertEqual([line["job"] for line in lines if "job" in line], list(jobs))
            minutes = {line["collision_ms"] // 60000: line["jobs"] for line in lines if "collision_ms" in line}
            expected = {}
            for minute in range(90):
                names = [n for n, j in jobs.items()
                         if (minute - int(j.get("offset", "0m")[:-1])) % int(j["every"][:-1]) == 0]
                if len(names) > 1:
                    expected[minute] = names
            self.assertEqual(minutes, expected)
            self.assertIn(f"{len(expected)} simultaneous starts in 1h30m", bus.cli("check").stdout)


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bus = Bus(jobs={"prices": {}})
        cls.addClassCleanup(cls.bus.close)
        cls.bus.write_config()
        cls.bus.start("broker")
        cls.bus.wait_for(cls.bus.answers, "the broker to answer")

    def run_(self, *words, timeout="20s", **options):
        return self.bus.cli("run", "--timeout", timeout, "--", *words, **options)

    def spawn(self, name, *command):
        process = self.bus.spawn(name, [lib.BIN / "syncbus", "run", "--config", self.bus.config_path, "--", *command])
        self.addCleanup(lambda: process.poll() is None and (process.kill(), process.wait()))
        return process

    def held(self):
        return self.bus.resource() and self.bus.resource().token

    def read(self, name):
        path = self.bus.folder / name
        return path.read_text().strip() if path.exists() else ""

    def alive(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return "Z" not in stat.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False

    def test_the_commands_own_code_comes_back_and_its_signal_as_shells_have_it(self):
        self.assertEqual(self.run_("true").returncode, 0)
        self.assertEqual(self.run_("sh", "-c", "exit 42").returncode, 42)
        self.assertEqual(self.run_("sh", "-c", "kill -TERM $$").returncode, 128 + signal.SIGTERM)
        self.assertEqual(self.run_("no-such-command-here").returncode, 127)
        self.assertEqual(self.run_("/etc/passwd").returncode, 126)

    def test_the_command_has_the_token_the_input_and_the_output(self):
        done = self.run_("sh", "-c", "cat; echo $SYNCBUS_TOKEN", stdin="said\n")
        said, token = done.stdout.split()
        self.assertEqual(said, "said")
        self.assertGreater(int(token), 0)
        self.assertGreater(int(self.run_("sh", "-c", "echo $SYNCBUS_TOKEN").stdout), int(token))

    def test_who_waits_in_vain_is_told_position_and_blocker_and_ends_with_124(self):
        os.mkfifo(self.bus.folder / "go-1")
        holder = self.spawn("holder", "sh", "-c", "read line <go-1")
        self.bus.wait_for(self.held, "the lease to be held")
        done = self.run_("true", timeout="1500ms")
        self.assertEqual(done.returncode, 124, done)
        self.assertRegex(done.stderr, "position 1.*blocked by")
        (self.bus.folder / "go-1").write_text("on\n")
        self.assertEqual(holder.wait(timeout=20), 0)
        self.bus.wait_for(lambda: not self.held(), "the lease to be back")
        self.assertEqual(self.run_("true", timeout="5s").returncode, 0, "the one that gave up still stands in line")

    def test_a_signal_reaches_the_command_which_may_end_in_its_own_way(self):
        process = self.spawn("trap", "sh", "-c", "trap 'echo got >trapped; exit 9' TERM; echo on >started; while :; do sleep 0.05; done")
        self.bus.wait_for(lambda: self.read("started"), "the command to start")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=20), 9)
        self.assertEqual(self.read("trapped"), "got")
        self.bus.wait_for(lambda: not self.held(), "the lease to be back")

    def test_a_signal_while_it_waits_ends_it_and_its_place_in_line(self):
        os.mkfifo(self.bus.folder / "go-2")
        holder = self.spawn("holder", "sh", "-c", "read line <go-2")
        self.bus.wait_for(self.held, "the lease to be held")
        waiter = self.spawn("waiter", "true")
        self.bus.wait_for(lambda: self.bus.resource().waiting_exclusive == 1, "the second to stand in line")
        waiter.send_signal(signal.SIGINT)
        self.assertEqual(waiter.wait(timeout=20), 128 + signal.SIGINT)
        self.bus.wait_for(lambda: self.bus.resource().waiting_exclusive == 0, "its place to be free")
        (self.bus.folder / "go-2").write_text("on\n")
        self.assertEqual(holder.wait(timeout=20), 0)

    def test_what_the_command_left_behind_ends_before_the_lease_is_given_back(self):
        done = self.run_("sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!")
        self.assertEqual(done.returncode, 0, done)
        self.assertFalse(self.alive(int(done.stdout)), "a part of the command works on without the lease")

    def test_run_killed_takes_a_command_that_ignores_term_with_it(self):
        process = self.spawn("ignore", "sh", "-c", "trap '' TERM; echo $$ >ignore.pid; while :; do sleep 0.05; done")
        pid = int(self.bus.wait_for(lambda: self.read("ignore.pid"), "the command's pid"))
        process.kill()
        process.wait()
        self.bus.wait_for(lambda: not self.alive(pid), "the command to be ended", 5)
        self.bus.wait_for(lambda: not self.held(), "the lease to run out")

    def test_run_stopped_takes_its_command_with_it_when_the_lease_is_over(self):
        process = self.spawn("stopped", "sh", "-c", "echo $$ >stopped.pid; exec sleep 600")
        pid = int(self.bus.wait_for(lambda: self.read("stopped.pid"), "the command's pid"))
        process.send_signal(signal.SIGSTOP)
        self.bus.wait_for(lambda: not self.alive(pid), "the command to be ended", 10)
        self.bus.wait_for(lambda: not self.held(), "the lease to run out")
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(timeout=20), 125)

    def test_a_lost_lease_ends_the_command_and_run_with_125(self):
        with Bus(jobs={"prices": {}}, resource={"lease_ttl": "1s"}) as bus:
            bus.write_config()
            bus.start("broker")
            bus.wait_for(bus.answers, "the broker to answer")
            run = bus.spawn("run", [lib.BIN / "syncbus", "run", "--config", bus.config_path, "--", "sh", "-c",
                                    "echo $$ >pid; exec sleep 600"])
            pid = int(bus.wait_for(lambda: (bus.folder / "pid").exists() and (bus.folder / "pid").read_text().strip(),
                                   "the command's pid"))
            bus.kill("broker")
            self.assertEqual(run.wait(timeout=20), 125)
            self.assertFalse(self.alive(pid))
            self.assertIn("the lease was lost", bus.log("run"))


class ManyJobs(unittest.TestCase):
    def test_status_shows_all_jobs_of_a_large_bus(self):
        names = [f"job-{number}" for number in range(600)]
        with Bus(jobs={name: {} for name in names}) as bus:
            bus.write_config()
            bus.start("broker")
            bus.wait_for(bus.answers, "the broker to answer")
            pages = bus.cli_json("status")
            self.assertGreater(len(pages), 1)
            self.assertEqual([job["job"] for page in pages for job in page["jobs"]], names)
            shown = bus.cli("status").stdout
            self.assertEqual([shown.count("RESOURCE"), shown.count("SUCCEEDED"), shown.count("job-")], [1, 1, 600])


class Commands(unittest.TestCase):
    """Against the whole bus: what each command shows."""

    @classmethod
    def setUpClass(cls):
        cls.bus = Bus(jobs={"prices": {"key": ["product", "id"]}, "orders": {}, "ddt": {"every": "2s"}},
                      job_defaults={"retry_after": "100ms"})
        cls.addClassCleanup(cls.bus.close)
        cls.bus.start_all()
        cls.bus.wait_for(lambda: cls.bus.succeeded("prices", "orders"), "the first syncs")
        cls.bus.wait_for(lambda: cls.bus.cli("order", "list").returncode == OK, "the order service")

    def lines(self, *words, **options):
        return self.bus.cli_json(*words, **options)

    def table(self, *words):
        done = self.bus.cli(*words)
        self.assertEqual(done.returncode, OK, done)
        return done.stdout

    def test_status_shows_resources_jobs_and_services(self):
        state = self.lines("status")[0]
        self.assertEqual({job["job"] for job in state["jobs"]}, {"prices", "orders", "ddt"})
        self.assertEqual(state["resources"][0]["resource"], "erp")
        self.assertEqual([job["job"] for job in self.lines("status", "prices")[0]["jobs"]], ["prices"])
        for word in ("RESOURCE", "erp", "prices", "succeeded", "SERVICE", "ago", "in "):
            self.assertIn(word, self.table("status"))

    def test_a_trigger_with_wait_tells_how_its_run_ended_and_runs_and_ledger_show_it(self):
        run = self.lines("trigger", "prices", "--wait", "--by", "anna@desk")[0]
        self.assertEqual((run["job"], run["stage"], run["result"]["unchanged"], run["detail"]),
                         ("prices", "succeeded", 60, "anna@desk"))
        runs = self.lines("runs", "prices")
        self.assertIn(run["run"], [one["run"] for one in runs])
        self.assertTrue(all(one["job"] == "prices" for one in runs))
        self.assertEqual(len(self.lines("runs", "prices", "--limit", "1")), 1)
        self.assertIn("succeeded", self.table("runs"))
        entries = self.bus.wait_for(lambda: self.lines("ledger", "ddt"), "a slot's outcome")
        self.assertEqual({(entry["job"], entry["outcome"]) for entry in entries}, {("ddt", "succeeded")})
        self.assertIn("OUTCOME", self.table("ledger", "ddt"))
        self.assertIn("60 unchanged", self.table("trigger", "orders", "--wait"))

    def test_triggers_of_a_webhook_merge_within_their_quiet_window(self):
        first, second = (self.lines("trigger", "orders", "--webhook", "--by", "the shop")[0] for _ in range(2))
        self.assertEqual((second["run"], first.get("merged", False), second["merged"]), (first["run"], False, True))
        run = self.bus.wait_for(lambda: next((r for r in self.lines("runs", "orders") if r["run"] == first["run"]
                                              and r["stage"] == "succeeded"), None), "the run")
        self.assertEqual((run["cause"], run["detail"]), ("webhook", "the shop"))

    def test_watch_shows_alerts_and_holds_as_they_come_and_go(self):
        watch = subprocess.Popen([lib.BIN / "syncbus", "watch", "alert.", "pause.erp", "resume.erp", "--config", self.bus.config_path],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        os.set_blocking(watch.stdout.fileno(), False)
        seen = []

        def shown():
            held = self.lines("hold", "--resource", "erp", "--reason", "a look", "--by", "anna")[0]["hold"]
            self.assertEqual(self.bus.cli("unhold", held).returncode, OK)
            seen.extend(watch.stdout.readlines())
            return any("pause.erp" in line and "on_hold anna: a look" in line for line in seen)

        self.bus.wait_for(shown, "the hold to be shown")
        self.bus.fault("status", "/orders", value="401", method="POST")
        self.assertEqual(self.bus.cli("order", "place", "-", "--key", "S-1", stdin="{}").returncode, OK)
        self.bus.wait_for(lambda: seen.extend(watch.stdout.readlines()) or any("order: no order is sent" in l for l in seen), "the alert")
        self.bus.kill("order", signal.SIGHUP)
        self.bus.wait_for(lambda: seen.extend(watch.stdout.readlines()) or any("order: over: no order is sent" in l for l in seen), "its end")

    def test_a_trigger_whose_run_fails_ends_with_1_and_says_why(self):
        self.bus.fault("status", "/export/orders", count="1000", value="500")
        self.addCleanup(self.bus.heal)
        done = self.bus.cli("trigger", "orders", "--wait", "--timeout", "50s")
        self.assertEqual(done.returncode, FAILED, done)
        self.assertIn("500", done.stdout)

    def test_records_are_read_all_or_by_the_parts_of_their_key(self):
        records = self.lines("records", "prices")
        self.assertEqual(len(records), 60)
        one = self.lines("records", "prices", *records[7]["key"])
        self.assertEqual(one, [records[7]])
        self.assertEqual(records[7]["key"], [records[7]["record"]["product"], records[7]["record"]["id"]])
        self.assertEqual(len(self.lines("records", "prices", "--limit", "7")), 7)
        self.assertIn(records[7]["key"][0], self.table("records", "prices"))
        done = self.bus.cli("records", "prices", "no", "such")
        self.assertEqual(done.returncode, FAILED, done)

    def test_changes_are_read_from_any_number_and_followed(self):
        changes = self.lines("changes", "orders")
        self.assertEqual([change["change"] for change in changes[:60]], list(range(1, 61)))
        self.assertEqual({change["op"] for change in changes[:60]}, {"created"})
        self.assertEqual([c["change"] for c in self.lines("changes", "orders", "--after", "50", "--limit", "3")], [51, 52, 53])
        follow = subprocess.Popen([lib.BIN / "syncbus", "changes", "orders", "--after", str(changes[-1]["change"]), "-f",
                                   "--json", "--limit", "1", "--config", self.bus.config_path],
                                  stdout=subprocess.PIPE, text=True)
        self.bus.next_version(entity="orders")
        self.bus.cli("trigger", "orders", "--wait")
        self.assertEqual(json.loads(follow.stdout.readline())["change"], changes[-1]["change"] + 1)
        follow.stdout.close()
        self.assertEqual(follow.wait(timeout=20), OK)
        self.assertEqual(self.lines("rejects", "orders"), [])
        self.assertEqual(self.table("rejects", "orders"), "nothing to show\n")

    def test_watch_shows_what_happens(self):
        watch = subprocess.Popen([lib.BIN / "syncbus", "watch", "run.prices", "--json", "--config", self.bus.config_path],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        os.set_blocking(watch.stdout.fileno(), False)
        seen = []

        def succeeded():
            self.bus.cli("trigger", "prices", "--wait")
            seen.extend(json.loads(line) for line in watch.stdout.readlines())
            return any(event["run"]["stage"] == "succeeded" for event in seen)

        self.bus.wait_for(succeeded, "the run's end to be shown")
        self.assertEqual({event["topic"] for event in seen}, {"run.prices"})

    def test_an_order_is_placed_shown_and_listed_and_another_body_under_its_key_is_refused(self):
        placed = self.lines("order", "place", "-", "--key", "C-1", "--by", "Ada", "--wait", stdin='{"item":"A"}')[0]
        self.assertEqual((placed["status"], placed["by"]), ("placed", "Ada"))
        self.assertTrue(placed["erp_id"].startswith("E-"))
        again = self.bus.cli("order", "place", "-", "--key", "C-1", stdin='{"item":"A"}')
        self.assertEqual(again.returncode, OK, again)
        other = self.bus.cli("order", "place", "-", "--key", "C-1", stdin='{"item":"B"}')
        self.assertEqual(other.returncode, REFUSED, other)
        bad = self.bus.cli("order", "place", "-", "--key", "C-2", stdin="no JSON")
        self.assertEqual(bad.returncode, USAGE, bad)
        self.assertEqual(self.bus.cli("order", "place", "-", "--key", "C-2", stdin=" " * 70000).returncode, USAGE)
        (self.bus.folder / "order.json").write_text('{"item":"C"}')
        self.assertEqual(self.bus.cli("order", "place", "order.json", "--key", "C-3", "--wait").returncode, OK)
        self.assertTrue({"C-1", "C-3"} <= {order["key"] for order in self.lines("order", "list")})
        self.assertIn("placed", self.table("order", "show", "C-1"))
        self.assertIn("C-3", self.table("order", "list"))
        self.assertEqual(self.bus.cli("order", "show", "C-404").returncode, FAILED)
        self.assertEqual(self.bus.cli("order", "cancel", "C-1").returncode, REFUSED)

    def test_an_order_that_waits_tells_its_place_and_can_be_cancelled(self):
        os.mkfifo(self.bus.folder / "go")
        holder = self.bus.spawn("holder", [lib.BIN / "syncbus", "run", "--config", self.bus.config_path, "--", "sh", "-c",
                                           "read line <go"])
        self.bus.wait_for(lambda: self.bus.resource().token, "the lease to be held")
        done = self.bus.cli("order", "place", "-", "--key", "W-1", "--wait", "--timeout", "2500ms", stdin="{}")
        self.assertEqual(done.returncode, TIMED_OUT, done)
        self.assertRegex(done.stderr, "position 1.*blocked by")
        self.assertRegex(self.table("order", "show", "W-1"), "position 1.*blocked by")
        self.assertRegex(self.table("order", "list"), "W-1.*position 1.*blocked by")
        self.assertEqual(self.bus.cli("order", "cancel", "W-1").returncode, OK)
        (self.bus.folder / "go").write_text("on\n")
        self.assertEqual(holder.wait(timeout=20), OK)
        done = self.bus.cli("order", "place", "-", "--key", "W-1", "--wait", stdin="{}")
        self.assertEqual(done.returncode, FAILED, "a cancelled order is not placed")

    def test_an_order_whose_outcome_nobody_knows_ends_with_6_until_a_person_resolves_it(self):
        self.bus.fault("drop_before", "/orders", method="POST")
        done = self.bus.cli("order", "place", "-", "--key", "U-1", "--wait", "--timeout", "50s", "--json", stdin="{}")
        self.assertEqual((done.returncode, json.loads(done.stdout)["status"]), (UNKNOWN, "needs_person"), done)
        self.assertIn("syncbus order resolve U-1", self.bus.cli("order", "show", "U-1").stderr)
        resolved = self.lines("order", "resolve", "U-1", "--placed", "E-77", "--by", "Ada")[0]
        self.assertEqual((resolved["status"], resolved["erp_id"]), ("placed", "E-77"))
        self.assertIn("Ada", self.table("order", "show", "U-1"))

    def test_an_order_that_may_have_been_accepted_is_not_said_to_have_failed(self):
        order = self.bus.processes["order"]
        order.send_signal(signal.SIGSTOP)
        try:
            done = self.bus.cli("order", "place", "-", "--key", "M-1", "--timeout", "1s", stdin="{}")
        finally:
            order.send_signal(signal.SIGCONT)
        self.assertEqual(done.returncode, TIMED_OUT, done)
        self.assertIn("under the same key, or see syncbus order show M-1", done.stderr)
        self.assertEqual(self.bus.cli("order", "place", "-", "--key", "M-1", "--wait", stdin="{}").returncode, OK)

    def test_who_waits_for_an_order_is_told_why_it_is_not_placed(self):
        self.bus.fault("status", "/orders", value="429", method="POST", retry_after="600")
        done = self.bus.cli("order", "place", "-", "--key", "L-1", "--wait", "--timeout", "3s", stdin="{}")
        self.assertEqual(done.returncode, TIMED_OUT, done)
        self.assertIn("accepted: the ERP answered 429", done.stderr)
        self.assertIn("every attempt had definitely failed", self.table("order", "cancel", "L-1"))

    def test_an_order_that_the_erp_rejects_ends_with_1_and_its_reason(self):
        self.bus.fault("status", "/orders", value="422", method="POST")
        done = self.bus.cli("order", "place", "-", "--key", "R-1", "--wait", "--json", stdin="{}")
        self.assertEqual((done.returncode, json.loads(done.stdout)["status"]), (FAILED, "rejected"), done)


if __name__ == "__main__":
    unittest.main()
