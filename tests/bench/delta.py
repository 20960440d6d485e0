"""How fast a sync finds what has changed in an export, beside its floor and beside SQLite doing the same work.

Everything is measured in one run, each thing in a process of its own and several times in turn, of which the best counts:
speeds of different runs cannot be compared. Prints a table; --json prints the numbers.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(os.environ["SYNCBUS_BIN"]) / "bench-delta"
SQLITE = ("sqlite-delete", "sqlite-wal")
PHASES = ("first", "unchanged", "changed")
MIB = 1024
# Large pages for what malloc gives, as the units in deploy/systemd ask for them: for all that is measured alike.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"}


def passes(what, form, folder, *files):
    """Gives the files one after another to one process; its lines, one for each."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run([str(BENCH), what, form, str(folder), *map(str, files)], capture_output=True, text=True,
                          env=ENVIRONMENT)
    if done.returncode != 0:
        sys.exit(f"bench-delta {what} ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(name, line, count, share):
    """What was measured must be what its name says."""
    changed = line["records"] - line["unchanged"] if name[1] == "changed" else 0
    wanted = {"first": line["created"] == count, "unchanged": line["unchanged"] == count,
              "changed": line["changed"] == changed and share / 2 < 100 * changed / count < share * 2,
              "parse": line["records"] == count}[name[1]]
    if line["records"] != count or not wanted:
        sys.exit(f"{name}: this did not measure what it says: {line}")


class Case:
    """One format in one order: the best of each thing measured."""

    def __init__(self, form, order, options, folder):
        self.form, self.order, self.options, self.folder = form, order, options, folder
        self.files = [folder / f"{share}.{form}" for share in (0, options.changed)]
        self.best = {}
        for share, file in zip((0, options.changed), self.files):
            subprocess.run([str(BENCH), "make", form, order, str(options.records), str(share), str(file)], check=True)
        self.width = self.files[0].stat().st_size / options.records

    def keep(self, name, *lines):
        for line in lines:
            check(name, line, self.options.records, self.options.changed)
            line["used"] = line["thread_seconds" if self.options.thread_time else "seconds"]
            best = self.best.get(name)
            if best is None or line["used"] < best["used"]:
                self.best[name] = line

    def round(self):
        old, new = self.files
        again = [old] * 4
        for what in ("sync", *SQLITE):
            folder = self.folder / what
            self.keep((what, "first"), passes(what, self.form, folder, old)[0])
            self.keep((what, "unchanged"), *passes(what, self.form, folder, *again)[1:])
            if what == "sync":
                for floor in ("floor", "look-up"):
                    self.keep((floor, "unchanged"), *passes(floor, self.form, folder, *again)[1:])
            # There and back: the third finds the room that the first has left, as it is after a while.
            self.keep((what, "changed"), passes(what, self.form, folder, new, old, new)[2])
            shutil.rmtree(folder)
        if self.form == "json":
            self.keep(("parse", "parse"), *passes("parse", self.form, self.folder, *again)[1:])

    def seconds(self, what, phase):
        return self.best[what, phase]["used"]

    def sqlite(self, phase):
        """The better of its modes."""
        return min((self.best[what, phase] for what in SQLITE), key=lambda line: line["used"])

    # ------------------------------------------------------------ the table

    def rows(self):
        count = self.options.records
        floor = self.seconds("floor", "unchanged")
        for phase in PHASES:
            line, other = self.best["sync", phase], self.sqlite(phase)
            yield (f"sync, {phase}", count / line["used"], floor / line["used"] if phase == "unchanged" else None,
                   other["used"] / line["used"], line)
            yield f"SQLite, {phase}", count / other["used"], None, None, other
        yield "floor: decode, hash, look up", count / floor, None, None, self.best["floor", "unchanged"]
        look_up = self.best["look-up", "unchanged"]
        yield "hash and look up alone", count / look_up["used"], None, None, look_up
        if self.form == "json":
            parse = self.best["parse", "parse"]
            yield "yajl alone", count / parse["used"], None, None, parse

    def goals(self):
        """What is to be reached: text, the number, the least it should be."""
        count = self.options.records
        unchanged = self.seconds("sync", "unchanged")
        look_up = self.seconds("look-up", "unchanged")
        yield "unchanged, times the floor", self.seconds("floor", "unchanged") / unchanged, 0.6
        for phase in PHASES:
            yield f"{phase}, times SQLite", self.sqlite(phase)["used"] / self.seconds("sync", phase), 1.0
        yield "MiB under 64, unchanged", 64 - self.best["sync", "unchanged"]["anon_kib"] / MIB, 0
        if self.form == "csv" and self.order == "ordered":
            yield "unchanged, million records a second", count / unchanged / 1e6, 1.5
            yield "unchanged, times hash and look up alone", look_up / unchanged, 0.35
        elif self.form == "csv":
            yield "unchanged, times hash and look up alone", look_up / unchanged, 0.7
        elif self.order == "ordered":
            yield "unchanged, million records a second", count / unchanged / 1e6, 0.8
            yield "unchanged, times yajl alone", self.seconds("parse", "parse") / unchanged, 0.6

    def show(self):
        print(f"\n{self.form.upper()}, keys {'in order' if self.order == 'ordered' else 'at random'}: "
              f"{self.options.records} records of {self.width:.0f} bytes, {self.options.changed} % changed")
        print(f"  {'':32}{'records/s':>12}{'× floor':>10}{'× SQLite':>10}{'RssAnon':>10}{'VmHWM':>10}")
        for name, speed, floor, sqlite, line in self.rows():
            ratios = "".join(f"{ratio:>10.2f}" if ratio is not None else f"{'':10}" for ratio in (floor, sqlite))
            print(f"  {name:32}{speed:>12,.0f}{ratios}{line['anon_kib'] / MIB:>6.0f} MiB{line['hwm_kib'] / MIB:>6.0f} MiB")
        if self.options.quick:
            print("  too few records for the goals")
            return
        for text, number, least in self.goals():
            print(f"  {'reached' if number >= least else 'MISSED':8} {text}: {number:.2f} (goal {least})")

    def lines(self):
        for (what, phase), line in self.best.items():
            yield {"format": self.form, "order": self.order, "width": self.width, "what": what, "phase": phase, **line}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000000)
    parser.add_argument("--changed", type=int, default=10, help="percent of the records")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    parser.add_argument("--format", choices=("csv", "json"), help="only this one")
    parser.add_argument("--order", choices=("ordered", "random"), help="only this one")
    parser.add_argument("--thread-time", action="store_true",
                        help="count what the thread had of a processor, not the clock: where others use the machine")
    parser.add_argument("--folder", help="for exports and stores: on the disk that is to be measured")
    parser.add_argument("--quick", action="store_true", help="few records, to see that it works")
    parser.add_argument("--json", action="store_true", help="the numbers, an object a line")
    options = parser.parse_args()
    if options.quick:
        options.records, options.rounds = 3000, 1
    for form in (options.format,) if options.format else ("csv", "json"):
        for order in (options.order,) if options.order else ("ordered", "random"):
            with tempfile.TemporaryDirectory(prefix="syncbus-delta-", dir=options.folder) as folder:
                case = Case(form, order, options, pathlib.Path(folder))
                for _ in range(options.rounds):
                    case.round()
                if options.json:
                    for line in case.lines():
                        print(json.dumps(line))
                else:
                    case.show()


if __name__ == "__main__":
    main()
