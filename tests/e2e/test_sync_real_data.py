"""Real exports, served by the simulated ERP: each sync's counts are those that this test counts by itself."""
import csv
import gzip
import json
import pathlib
import subprocess
import unittest

import bus as lib
from bus import Bus

FUEL = lib.real_data("fuel-it")
NORTHWIND = lib.real_data("northwind")
PIPED = {"full_every": "1ms", "format": "csv", "csv": {"delimiter": "|", "quote": "none", "skip_lines": 1, "header": True}}
STATIONS = {"key": ["idImpianto"], "source": PIPED}
PRICES = {"key": ["idImpianto", "descCarburante", "isSelf"], "ignore": ["dtComu"], "source": PIPED}
EXPORTS = {"customers": "anagrafica_impianti_attivi.csv.gz", "prices": "prezzo_alle_8.csv.gz"}


def once(bus, job, *args):
    """One sync without a broker: its result and its exit code."""
    done = subprocess.run([lib.BIN / "syncbus-sync", job, "--once", "--config", bus.config_path, *args],
                          capture_output=True, text=True, timeout=120)
    assert done.stdout.count("\n") == 1, f"one line is expected: {done.stdout!r}, {done.stderr}"
    return json.loads(done.stdout), done.returncode


class Expected:
    """What a table must be after each export, by plain means: whole dictionaries, no hashes."""

    def __init__(self, key, ignore=()):
        self.key, self.ignore = key, set(ignore)
        self.records = {}
        self.last_seq = 0

    def read_piped(self, path):
        """The rows of a banner-led, '|'-separated export: records by key, and the keys of ragged rows."""
        lines = gzip.open(path, "rt", encoding="utf-8", newline="\n").read().split("\n")
        header = lines[1].split("|")
        rows, ragged = {}, []
        for line in filter(None, lines[2:]):
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) != len(header):
                ragged.append(tuple(cells[header.index(name)] for name in self.key))
                continue
            row = dict(zip(header, cells))
            rows.setdefault(tuple(row[name] for name in self.key), self.kept(row))
        return rows, ragged

    def kept(self, row):
        return {name: value for name, value in row.items() if name not in self.ignore}

    def step(self, rows, ragged=()):
        """The counts of the sync that brings the table to `rows`."""
        protected = set(ragged)
        gone = [key for key in self.records if key not in rows and key not in protected]
        created = sum(key not in self.records for key in rows)
        changed = sum(key in self.records and self.records[key] != row for key, row in rows.items())
        counts = {"created": created, "changed": changed, "unchanged": len(rows) - created - changed,
                  "deleted": len(gone), "rejected": len(ragged), "withheld": 0}
        for key in gone:
            del self.records[key]
        self.records.update(rows)
        self.last_seq += created + changed + len(gone)
        return counts


class RealExports(unittest.TestCase):
    maxDiff = None

    def erp_of(self, versions, jobs):
        """An ERP that serves `versions` (entity → files in order) and a config for `jobs`."""
        bus = Bus(jobs=jobs)
        self.addCleanup(bus.close)
        for entity, files in versions.items():
            folder = bus.folder / "exports" / entity
            folder.mkdir(parents=True)
            for number, file in enumerate(files):
                (folder / f"{number:03}{''.join(pathlib.Path(file).suffixes)}").symlink_to(file)
        bus.erp_args = ["--data", bus.folder / "exports"]
        bus.start("erp")
        bus.write_config()
        return bus

    def assert_step(self, bus, job, expected, rows, ragged=(), what=""):
        counts = expected.step(rows, ragged)
        result, code = once(bus, job)
        self.assertEqual((code, result["ok"]), (0, True), f"{what}: {result}")
        self.assertEqual({name: result[name] for name in counts}, counts, what)
        self.assertEqual(result["last_seq"], expected.last_seq, f"{what}: one feed entry a change, without gaps")

    def fuel_steps(self, days):
        files = {job: [day / name for day in days] for job, name in EXPORTS.items()}
        bus = self.erp_of(files, {"customers": STATIONS, "prices": PRICES})
        stations, prices = Expected(STATIONS["key"]), Expected(PRICES["key"], PRICES["ignore"])
        ragged_rows = []
        for number, day in enumerate(days):
            if number:
                bus.next_version()
            for job, expected in (("customers", stations), ("prices", prices)):
                rows, ragged = expected.read_piped(day / EXPORTS[job])
                ragged_rows.append(len(ragged))
                self.assert_step(bus, job, expected, rows, ragged, f"{job} of {day.name}")
        # The same export once more: nothing is new, whatever the banner's date and the ignored column say.
        for job, expected in (("customers", stations), ("prices", prices)):
            rows, ragged = expected.read_piped(days[-1] / EXPORTS[job])
            self.assert_step(bus, job, expected, rows, ragged, f"{job}, again")
        bus.assert_judge_is_content()
        return ragged_rows

    def test_every_step_of_22_versions_of_one_region_counts_right(self):
        days = sorted(path for path in (FUEL / "veneto_22_versions").iterdir() if path.is_dir())
        self.assertEqual(len(days), 22)
        self.fuel_steps(days)

    def test_both_days_of_the_whole_country_count_right_and_ragged_rows_are_set_aside(self):
        days = sorted(path for path in (FUEL / "whole_country").iterdir() if path.is_dir())
        ragged = self.fuel_steps(days)
        self.assertGreaterEqual(max(ragged), 80)

    # ------------------------------------------------------------ northwind: one truth in two formats
    TABLES = {
        "orders": {"key": ["orderID"],
                   "ignore": ["shipAddress", "shipCity", "shipRegion", "shipPostalCode", "shipCountry", "details"]},
        "customers": {"key": ["customerID"],
                      "ignore": ["address", "city", "region", "postalCode", "country", "phone", "fax"]},
        "products": {"key": ["productID"], "ignore": ["productName", "name", "unitPrice", "discontinued"]},
    }

    def from_csv(self, entity):
        with open(NORTHWIND / "csv" / f"{entity}.csv", encoding="utf-8", newline="") as file:
            rows = [{name: value.strip() for name, value in row.items() if value != "NULL"}
                    for row in csv.DictReader(file)]
        return self.by_key(entity, rows)

    def from_json(self, entity):
        def number(text):
            return text  # as it was written: no float in between

        rows = json.loads((NORTHWIND / "json" / f"{entity}.json").read_text(), parse_int=number, parse_float=number)
        return self.by_key(entity, [dict(self.flat("", row)) for row in rows])

    def flat(self, prefix, value):
        if isinstance(value, (dict, list)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for name, item in items:
                yield from self.flat(f"{prefix}.{name}" if prefix else name, item)
        elif isinstance(value, bool):
            yield prefix, "true" if value else "false"
        elif value is not None:
            yield prefix, value.strip()

    def by_key(self, entity, rows):
        table = self.TABLES[entity]
        ignored = tuple(table["ignore"])
        return {tuple(row[name] for name in table["key"]):
                {name: value for name, value in row.items() if name.split(".")[0] not in ignored} for row in rows}

    def test_northwind_gives_the_same_hashes_from_csv_and_from_json_where_its_fields_agree(self):
        for entity, table in self.TABLES.items():
            with self.subTest(entity):
                file = NORTHWIND / "csv" / f"{entity}.csv"
                bus = self.erp_of({entity: [file, NORTHWIND / "json" / f"{entity}.json"]},
                                  {entity: {**table, "source": {"format": "csv", "csv": {"null_as": ["NULL"]}}}})
                expected = Expected(table["key"])
                self.assert_step(bus, entity, expected, self.from_csv(entity), what=f"{entity} as CSV")
                bus.next_version()
                bus.settings["jobs"][entity] = {**table, "source": {"format": "json",
                                                                    "url": f"{bus.erp_url}/export/{entity}.json"}}
                bus.write_config()
                rows = self.from_json(entity)
                agree = sum(expected.records.get(key) == row for key, row in rows.items())
                self.assertGreater(agree, len(rows) // 4, "too few rows agree for this test to say anything")
                self.assert_step(bus, entity, expected, rows, what=f"{entity} as JSON over CSV")

    def test_northwind_whole_with_its_nested_fields_counts_right(self):
        for entity, table in self.TABLES.items():
            with self.subTest(entity):
                bus = self.erp_of({entity: [NORTHWIND / "json" / f"{entity}.json"]},
                                  {entity: {"key": table["key"],
                                            "source": {"format": "json", "url": ""}}})
                bus.settings["jobs"][entity]["source"]["url"] = f"{bus.erp_url}/export/{entity}.json"
                bus.write_config()
                result, code = once(bus, entity)
                self.assertEqual(code, 0, result)
                self.assertEqual(result["created"], len(self.from_json(entity)))


if __name__ == "__main__":
    unittest.main()
