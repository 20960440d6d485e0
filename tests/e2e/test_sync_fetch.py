"""Pages, conditional fetches and exports of changes: what they bring is what one whole export would, and what they cannot know deletes nothing."""
import json
import random
import re
import subprocess
import unittest

import bus as lib
from bus import Bus

ROWS = 90
SIZE = 10
PAGE = {"parameter": "page", "size": SIZE}


def once(bus, job="prices", *args):
    """One sync without a broker: its result and what it said on stderr."""
    done = subprocess.run([lib.BIN / "syncbus-sync", job, "--once", "--config", bus.config_path, *args],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1, done
    result = json.loads(done.stdout)
    assert result["ok"] == (done.returncode == 0), done
    return result, done.stderr


class WithoutBroker(unittest.TestCase):
    def open(self, rows=ROWS, **source):
        self.bus = Bus(jobs={"prices": {"source": source}}, erp=("--generate", str(rows), "--seed", "1"))
        self.addCleanup(self.bus.close)
        self.bus.start("erp")
        self.bus.write_config()
        return self.bus

    def reconfigure(self, **source):
        self.bus.settings["jobs"]["prices"] = {"source": source}
        self.bus.write_config()

    def good(self):
        result, said = once(self.bus)
        self.assertTrue(result["ok"], said)
        return result

    def counts(self, result):
        return {name: result[name] for name in ("created", "changed", "unchanged", "deleted", "withheld")}

    def assert_counts(self, result, **counts):
        self.assertEqual(self.counts(result), {**dict.fromkeys(("created", "changed", "unchanged", "deleted", "withheld"), 0),
                                               **counts})


class Pages(WithoutBroker):
    def test_a_table_by_pages_and_whole_gives_the_same_hashes_in_both_formats(self):
        for suffix, form in (("csv", "csv"), ("json", "json")):
            with self.subTest(form):
                bus = self.open()
                whole = {"url": f"{bus.erp_url}/export/prices.{suffix}", "format": form}
                self.reconfigure(**whole, page=PAGE)
                result = self.good()
                self.assert_counts(result, created=ROWS)
                self.assertEqual(bus.judge()["accesses"], ROWS // SIZE + 2, "nine pages, an empty one, the first again")
                self.reconfigure(**whole)
                self.assert_counts(self.good(), unchanged=ROWS)
                self.reconfigure(**whole, page={**PAGE, "size": 200})
                self.assert_counts(self.good(), unchanged=ROWS)
                bus.next_version()
                self.reconfigure(**whole, page=PAGE)
                paged = self.good()
                self.assertTrue(paged["changed"] and paged["unchanged"], paged)
                self.reconfigure(**whole)
                self.assertEqual(self.good()["unchanged"], paged["unchanged"] + paged["changed"] + paged["created"])

    def test_each_fault_of_a_page_fails_the_run_says_why_and_touches_nothing(self):
        bus = self.open(page=PAGE, stall_timeout="400ms", connect_timeout="1s", timeout="3s", max_size="256KiB")
        first = self.good()
        self.assertEqual(first["created"], ROWS)
        faults = {"truncate": "cut short", "html": "(?i)page 7: .*html", "empty": "page 7: the export is empty",
                  "garbage": "page 7: ", "drop_before": "cut short|reply", "drop_after": "cut short", "endless": "max_size",
                  "hang": "no byte for", "stall": "no byte for"}
        for kind, words in faults.items():
            # Of a connection that was open already, libcurl takes a silent end for its age, and asks anew.
            for page in (7,) if "page 7" in words else (1,) if kind == "drop_before" else (1, 7):
                with self.subTest(kind, page=page):
                    self.assert_broken(first, words, kind, after=str(page - 1))
        for value in ("500", "404", "304"):
            with self.subTest(value):
                self.assert_broken(first, value, "status", after="6", value=value)
        self.assert_broken(first, "304 .not modified., which was not asked", "unchanged", after="6")
        bus.assert_judge_is_content()

    def assert_broken(self, first, words, kind, **options):
        before = self.bus.judge()["accesses"]
        self.bus.fault(kind, "/export/prices", **options)
        result, said = once(self.bus)
        self.bus.heal()
        self.assertFalse(result["ok"], said)
        self.assertRegex(result["error"], words)
        self.assertEqual(self.bus.judge()["accesses"] - before, int(options["after"]) + 1, "it goes no further")
        again = self.good()
        self.assert_counts(again, unchanged=ROWS)
        self.assertEqual(again["last_seq"], first["last_seq"])

    def test_a_table_that_changes_between_pages_deletes_nothing_until_a_calm_fetch(self):
        """Versions differ in all ways: rows left before the page in hand, so later ones slipped over its edge."""
        bus = self.open(page=PAGE)
        self.good()
        bus.fault("next", "/export/prices", after="4")
        result, said = once(bus)
        self.assertTrue(result["ok"], said)
        self.assertEqual(result["deleted"], 0)
        self.assertGreater(result["withheld"], 0)
        self.assertRegex(said, "deletions withheld.*(first page changed|number of records changed)")
        calm = self.good()
        self.assertEqual(calm["withheld"], 0)
        self.assertGreater(calm["deleted"], 0)
        self.reconfigure()
        self.assert_counts(self.good(), unchanged=calm["unchanged"] + calm["changed"] + calm["created"])

    def test_without_a_total_several_pages_delete_nothing_and_say_so_but_one_page_does(self):
        bus = self.open(page=PAGE)
        self.good()
        bus.next_version()
        bus.fault("no_total", "/export/prices", count="100")
        result, said = once(bus)
        self.assertEqual(result["deleted"], 0)
        self.assertGreater(result["withheld"], 0)
        self.assertRegex(said, "deletions withheld.*total_header")
        self.reconfigure(page={**PAGE, "size": 1000})
        self.assertEqual(self.good()["deleted"], result["withheld"])

    def test_an_erp_that_does_not_take_the_parameters_is_found_out(self):
        bus = self.open(page={"parameter": "p", "size": SIZE})
        result, _ = once(bus)
        self.assertRegex(result["error"], "page 2 is the same as the one before")
        self.reconfigure(page={"parameter": "page", "size": SIZE, "size_parameter": "per"})
        result, _ = once(bus)
        self.assertRegex(result["error"], "page 2 is the same|the ERP told of|were asked for")
        self.assertEqual(result["last_seq"], 0)


class Conditional(WithoutBroker):
    def test_an_export_that_has_not_changed_is_not_sent_again(self):
        bus = self.open()
        self.assertFalse(self.good()["not_modified"])
        again = self.good()
        self.assertTrue(again["not_modified"])
        self.assertEqual((again["bytes"], again["seen"], again["unchanged"], again["last_seq"]), (0, ROWS, ROWS, ROWS))
        bus.next_version()
        changed = self.good()
        self.assertFalse(changed["not_modified"])
        self.assertTrue(changed["changed"])
        self.assertTrue(self.good()["not_modified"])

    def test_a_weak_tag_is_asked_about_and_without_any_validator_all_is_fetched(self):
        bus = self.open()
        bus.fault("weak_etag", "/export/prices")
        self.good()
        self.assertTrue(self.good()["not_modified"])
        self.bus.next_version()
        bus.fault("no_validator", "/export/prices")
        self.assertTrue(self.good()["changed"])
        self.assertFalse(self.good()["not_modified"], "nothing vouches for what the store holds")
        self.assertTrue(self.good()["not_modified"])

    def test_full_every_fetches_all_whatever_the_erp_says_and_so_corrects_a_lie(self):
        bus = self.open(full_every="1h")
        first = self.good()
        bus.next_version()
        bus.fault("unchanged", "/export/prices", count="100")
        self.assertTrue(self.good()["not_modified"], "a lie that cannot be seen")
        self.reconfigure(full_every="1ms")
        result, _ = once(bus)
        self.assertRegex(result["error"], "304 .not modified., which was not asked")
        self.assertEqual(result["last_seq"], first["last_seq"])
        bus.heal()
        self.assertTrue(self.good()["changed"])
        self.assertFalse(self.good()["not_modified"], "each fetch is a full one")

    def test_a_validator_is_void_once_the_jobs_options_say_something_else(self):
        bus = self.open()
        self.good()
        self.assertTrue(self.good()["not_modified"])
        bus.settings["jobs"]["prices"]["ignore"] = ["price"]
        bus.write_config()
        self.assertFalse(self.good()["not_modified"])
        self.assertTrue(self.good()["not_modified"])

    def test_another_source_is_fetched_whole_and_so_is_the_configured_one_after_it(self):
        bus = self.open()
        self.good()
        export = bus.folder / "export.csv"
        export.write_text(bus.erp("/export/prices.csv")[1])
        result, _ = once(bus, "prices", "--source", export)
        self.assertEqual((result["seen"], result["not_modified"]), (ROWS, False))
        self.assertFalse(self.good()["not_modified"])

    def test_a_failed_fetch_does_not_shake_what_is_known(self):
        bus = self.open()
        self.good()
        bus.fault("html", "/export/prices")
        bus.next_version()
        self.assertFalse(once(bus)[0]["ok"])
        self.assertTrue(self.good()["changed"])


class Changes(WithoutBroker):
    def test_only_the_full_fetch_of_an_export_of_changes_deletes(self):
        bus = self.open()
        news = bus.folder / "news.csv"
        whole = bus.erp("/export/prices.csv")[1].splitlines(keepends=True)
        news.write_text("".join(whole[:3]))
        source = {"complete": False, "url": f"file://{news}", "full_url": f"{bus.erp_url}/export/prices.csv"}
        self.reconfigure(**source)
        self.assert_counts(self.good(), created=ROWS)
        self.assert_counts(self.good(), unchanged=2)
        bus.next_version()
        self.assert_counts(self.good(), unchanged=2)
        self.reconfigure(**source, full_every="1ms")
        corrected = self.good()
        self.assertTrue(corrected["deleted"] and corrected["created"] and corrected["changed"], corrected)
        self.reconfigure(complete=False, url=f"file://{news}")
        self.assertEqual(self.good()["deleted"], 0, "without another address there is no full fetch")


class WithBroker(unittest.TestCase):
    """A fetch that steps aside for orders at random moments brings what an undisturbed one does."""

    def start(self, policy, rows=320, rate="8000", **source):
        self.rows = rows
        self.bus = Bus(jobs={"prices": {"yield": policy, "max_yields": 1000, "retry_after": "1s", "source": source}},
                       erp=("--generate", str(rows), "--seed", "1", "--rate", rate))
        self.addCleanup(self.bus.close)
        self.bus.start_all()

    def disturb(self, seed):
        """Takes the exclusive lease again and again until the run has ended; gives the run."""
        chance = random.Random(seed)
        while not self.bus.succeeded("prices"):
            self.bus.wait_for(lambda: self.bus.succeeded("prices") or self.fetching(), "the fetch to go on")
            done = self.bus.cli("run", "--timeout", "30s", "--", "sleep", f"{chance.random() * 0.1:.3f}")
            self.assertEqual(done.returncode, 0, done.stderr)
        return self.bus.job("prices").last

    def fetching(self):
        state = self.bus.job("prices")
        return state.HasField("current") and state.current.stage == lib.messages().STAGE_FETCHING

    def assert_as_if_undisturbed(self, run):
        self.assertGreater(run.yields, 0, "it was not disturbed")
        self.assertEqual((run.attempt, run.result.created), (1, self.rows))
        self.bus.assert_judge_is_content()
        self.bus.stop("sync-prices")
        self.bus.settings["jobs"]["prices"]["source"] = {"full_every": "1ms"}
        self.bus.write_config()
        result, _ = once(self.bus)
        self.assertEqual((result["unchanged"], result["seen"], result["last_seq"]), (self.rows,) * 3)
        self.assertFalse(result["not_modified"])

    def test_between_pages_it_steps_aside_and_goes_on_without_fetching_a_page_twice(self):
        self.start("page", page={"parameter": "page", "size": 40})
        run = self.disturb(1)
        self.assertEqual(self.exports(), 10, "eight pages, an empty one, the first again")
        self.assert_as_if_undisturbed(run)

    def exports(self):
        return sum(access["kind"] == "export" for access in json.loads(self.bus.erp("/admin/accesses")[1]))

    def test_cut_at_any_byte_of_any_page_it_goes_on_from_its_page(self):
        self.start("abort", page={"parameter": "page", "size": 50})
        self.assert_as_if_undisturbed(self.disturb(2))

    def test_the_policy_page_cuts_an_export_that_has_no_pages(self):
        self.start("page")
        self.assert_as_if_undisturbed(self.disturb(3))

    def test_progress_is_told_page_by_page_with_a_total(self):
        self.start("page", rows=1200, rate="12000", page={"parameter": "page", "size": 100})
        seen = []

        def grows():
            state = self.bus.job("prices")
            if state.HasField("current") and state.current.total:
                seen.append((state.current.done, state.current.total))
            return state.last_success_ms

        self.bus.wait_for(grows, "the run to end", 60)
        done = [value for value, _ in seen]
        self.assertGreater(len(set(done)), 2, "it does not grow")
        self.assertEqual(done, sorted(done))
        self.assertTrue(all(0 < value <= total for value, total in seen), seen)

    def test_a_run_of_an_export_of_changes_deletes_when_it_is_the_full_fetch(self):
        self.start("page", rate="1000000", complete=False, full_every="1ms", url="http://127.0.0.1:9/news.csv")
        self.bus.stop("sync-prices")
        self.bus.settings["jobs"]["prices"]["source"]["full_url"] = f"{self.bus.erp_url}/export/prices.csv"
        self.bus.write_config()
        self.bus.start("sync-prices")
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first run")
        self.assertEqual(self.bus.job("prices").last.result.created, self.rows)
        self.bus.next_version()
        self.bus.ask(trigger={"job": "prices"})
        self.bus.wait_for(lambda: self.bus.job("prices").last.result.deleted, "the full fetch to delete")

    def test_a_run_whose_pages_slipped_deletes_nothing_and_its_log_says_why(self):
        self.start("page", rate="1000000", page={"parameter": "page", "size": 40})
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first run")
        self.bus.fault("next", "/export/prices", after="3")
        self.bus.ask(trigger={"job": "prices"})
        self.bus.wait_for(lambda: self.bus.job("prices").runs == 2, "the second run")
        result = self.bus.job("prices").last.result
        self.assertTrue(result.ok and result.withheld and result.changed and not result.deleted, result)
        self.assertRegex(self.bus.log("sync-prices"), "deletions withheld.*while")
        why = "it could delete nothing: (its first page|the number of records) changed while"
        self.assertRegex(self.bus.cli("status", "prices").stdout, why)
        self.assertRegex(self.bus.cli("runs", "prices").stdout, why)
        self.assertRegex(self.bus.cli("deletions", "prices").stdout, why.removeprefix("it "))
        self.bus.kill("broker")
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")
        self.assertRegex(self.bus.job("prices").last.result.note, "changed while")
        calm = self.bus.cli("trigger", "prices", "--wait", "--timeout", "50s")
        self.assertEqual(calm.returncode, 0, calm.stderr)
        self.assertNotIn("could delete nothing", calm.stdout + self.bus.cli("status", "prices").stdout
                         + self.bus.cli("deletions", "prices").stdout)
        self.bus.fault("no_total", "/export/prices", count="100")
        self.assertRegex(self.bus.cli("trigger", "prices", "--wait", "--timeout", "50s").stdout,
                         r"it could delete nothing: .*\(source.page.total_header\)")

    def test_a_run_that_found_nothing_new_succeeds_and_says_so(self):
        self.start("page", rate="1000000")
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first run")
        self.bus.ask(trigger={"job": "prices"})
        self.bus.wait_for(lambda: self.bus.job("prices").runs == 2, "the second run")
        last = self.bus.job("prices").last
        self.assertTrue(last.result.ok and last.result.not_modified)
        runs = self.bus.cli_json("runs", "prices")
        self.assertEqual(sorted(run["result"]["not_modified"] for run in runs), [False, True])
        self.assertTrue(re.search("not modified", self.bus.cli("runs", "prices").stdout))


if __name__ == "__main__":
    unittest.main()
