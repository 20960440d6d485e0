"""Real exports as the tables that they are: delivery lines, invoice lines, a JSON price list. What each sync counts, and
what an index finds, is what this test counts and finds by itself."""
import csv
import gzip
import itertools
import json
import subprocess
import unittest

import bus as lib
from bus import Bus

SCMS = lib.real_data("scms") / "SCMS_delivered_2006-2010_latin1_lf.tsv.gz"
UCI = sorted(lib.real_data("uci-online-retail").glob("*.csv.gz"))
TOKENCOST = lib.real_data("llm-prices-tokencost")

ORDER, NOTE = "PO / SO #", "ASN/DN #"
DDT = {"key": ["ID"], "index": [ORDER, NOTE], "match": {"entity": "orders", "field": ORDER},
       "source": {"format": "csv", "csv": {"delimiter": "\t", "encoding": "latin-1"}}}
# Of all sets of columns that have a value in every row this is the least one that no two different rows share: an invoice
# can have an item twice, in the same quantity even, but then at another price. Rows that are equal as a whole are none.
INVOICE_KEY = ["InvoiceNo", "StockCode", "Quantity", "UnitPrice"]


def once(bus, job):
    """One sync without a broker: its result, which must be a good one."""
    done = subprocess.run([lib.BIN / "syncbus-sync", job, "--once", "--config", bus.config_path],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout} {done.stderr}"
    return json.loads(done.stdout)


def read(path, encoding="utf-8", **dialect):
    """The rows of a table, blanks at the ends of their fields removed."""
    with gzip.open(path, "rt", encoding=encoding, newline="") as file:
        return [{name: value.strip() for name, value in row.items()} for row in csv.DictReader(file, **dialect)]


def counts(result):
    return {name: result[name] for name in ("created", "changed", "unchanged", "deleted", "rejected", "withheld")}


class Tables(unittest.TestCase):
    maxDiff = None

    def bus_of(self, jobs, **versions):
        """A bus whose ERP serves `versions` (entity → texts, or paths of packed files, in order)."""
        bus = Bus(jobs=jobs)
        self.addCleanup(bus.close)
        for entity, contents in versions.items():
            folder = bus.folder / "exports" / entity
            folder.mkdir(parents=True)
            for number, content in enumerate(contents):
                if isinstance(content, str):
                    (folder / f"{number:03}.csv").write_text(content)
                else:
                    suffix = ".json.gz" if content.name.endswith(".json.gz") else ".csv.gz"
                    (folder / f"{number:03}{suffix}").symlink_to(content)
        bus.erp_args = ["--data", bus.folder / "exports"]
        bus.start("erp")
        bus.write_config()
        return bus

    def find(self, bus, entity, index, value):
        """The records that an index finds, by one call each page."""
        pb, found, after = lib.messages(), [], []
        while True:
            query = pb.RecordQuery(index=index, value=value, limit=50, after=after)
            reply = bus.ask(call={"service": entity, "method": "list", "body": query.SerializeToString(),
                                  "timeout_ms": 5000})
            self.assertEqual(reply.code, pb.CODE_OK, reply.text)
            page = pb.RecordList.FromString(reply.answered.body)
            found += page.records
            if not page.more:
                return found
            after = list(page.records[-1].key)

    # ------------------------------------------------------------ delivery lines
    def test_delivery_lines_are_found_by_order_and_by_note_and_belong_to_orders_whichever_came_first(self):
        rows = read(SCMS, "latin-1", delimiter="\t")
        numbers = sorted({row[ORDER] for row in rows})
        late = set(numbers[::5])  # these orders come after their notes
        orders = ["id\n" + "".join(f"{number}\n" for number in numbers if number not in late),
                  "id\n" + "".join(f"{number}\n" for number in numbers)]
        bus = self.bus_of({"ddt": DDT, "orders": {}}, ddt=[SCMS], orders=orders)
        self.assertEqual(counts(once(bus, "ddt")), {"created": len(rows), "changed": 0, "unchanged": 0, "deleted": 0,
                                                    "rejected": 0, "withheld": 0})
        again = once(bus, "ddt")
        self.assertEqual((again["unchanged"], again["last_seq"]), (len(rows), len(rows)))
        bus.start("broker")
        for job in ("ddt", "orders"):
            bus.start(f"sync-{job}")
        bus.wait_for(lambda: bus.succeeded("ddt", "orders"), "both to be synced")
        for index in (ORDER, NOTE):
            by_value = {}
            for row in rows:
                by_value.setdefault(row[index], set()).add(row["ID"])
            for value, ids in by_value.items():
                found = self.find(bus, "ddt", index, value)
                in_order = sorted(ids, key=lambda key: (len(key), key))  # as keys are ordered: the shorter first
                self.assertEqual([record.key[0] for record in found], in_order, f"{index} {value}")
        many = max(numbers, key=lambda number: sum(row[ORDER] == number for row in rows))
        self.check_tracking(bus, rows, next(number for number in numbers if number not in late))
        self.check_tracking(bus, rows, many)
        waiting = sorted(late)[0]
        self.assertEqual(bus.cli("records", "orders", waiting).returncode, 1, "the order is not there yet")
        bus.next_version(entity="orders")
        self.assertEqual(bus.cli("trigger", "orders", "--wait").returncode, 0)
        self.check_tracking(bus, rows, waiting)

    def check_tracking(self, bus, rows, number):
        [shown] = bus.cli_json("records", "orders", number)
        expected = {row["ID"]: row for row in rows if row[ORDER] == number}
        self.assertEqual({note["key"][0] for note in shown["tracking"]}, set(expected))
        for note in shown["tracking"]:
            self.assertEqual((note["entity"], note["record"]), ("ddt", expected[note["key"][0]]))

    # ------------------------------------------------------------ invoice lines
    def test_invoices_of_twenty_days_are_kept_with_their_cancellations_by_a_key_that_is_unique(self):
        days = [read(path) for path in UCI]
        everything = list(itertools.chain(*days))
        self.check_key(everything)
        bus = self.bus_of({"invoices": {"key": INVOICE_KEY, "source": {"complete": False}}}, invoices=UCI)
        records = {}
        for number, day in enumerate(days):
            if number:
                bus.next_version()
            expected = dict.fromkeys(("created", "changed", "unchanged", "deleted", "rejected", "withheld"), 0)
            for key, row in {self.key_of(row): row for row in day}.items():
                expected["created" if key not in records else "unchanged" if records[key] == row else "changed"] += 1
                records[key] = row
            result = once(bus, "invoices")
            self.assertEqual(counts(result), expected, UCI[number].name)
            self.assertEqual(result["seen"], len(day))
        bus.start("broker")
        bus.start("sync-invoices")
        bus.wait_for(lambda: bus.succeeded("invoices"), "the last day to be synced again")
        stored = {tuple(one["key"]): one["record"] for one in bus.cli_json("records", "invoices")}
        self.assertEqual(stored, records, "each line of each day is there, as it was")
        cancelled = {key for key in stored if key[0].startswith("C")}
        self.assertEqual(cancelled, {self.key_of(row) for row in everything if row["InvoiceNo"].startswith("C")})
        self.assertGreater(len(cancelled), 700)

    @staticmethod
    def key_of(row, names=tuple(INVOICE_KEY)):
        return tuple(row[name] for name in names)

    def check_key(self, rows):
        """No two different rows share the key; without any one of its columns some do; none of it is ever empty."""
        def shared(names):
            rows_of = {}
            for row in rows:
                rows_of.setdefault(self.key_of(row, names), set()).add(tuple(row.values()))
            return sum(len(different) > 1 for different in rows_of.values())

        self.assertEqual(shared(INVOICE_KEY), 0)
        for left_out in INVOICE_KEY:
            self.assertGreater(shared([name for name in INVOICE_KEY if name != left_out]), 0, left_out)
        self.assertTrue(all(all(self.key_of(row)) for row in rows))

    # ------------------------------------------------------------ a JSON price list
    def test_each_step_of_a_json_price_list_counts_as_its_deltas_say(self):
        with open(TOKENCOST / "deltas.tsv", encoding="utf-8", newline="") as file:
            deltas = list(csv.DictReader(file, delimiter="\t"))
        versions = sorted(TOKENCOST.glob("*.json.gz"))
        self.assertEqual((len(versions), len(deltas)), (25, 24))
        source = {"format": "json", "json": {"object_key": "name"}}
        bus = self.bus_of({"prices": {"key": ["name"], "source": source}}, prices=versions)
        source["url"] = f"{bus.erp_url}/export/prices.json"
        bus.write_config()
        before, values_before, rewritten = {}, {}, 0
        for number, path in enumerate(versions):
            if number:
                bus.next_version()
            with gzip.open(path, "rt", encoding="utf-8") as file:
                text = file.read()
            now = json.loads(text, parse_int=str, parse_float=str)  # numbers as they are written
            values = json.loads(text)
            changed = {name for name in now.keys() & before.keys() if now[name] != before[name]}
            expected = {"created": len(now.keys() - before.keys()), "changed": len(changed),
                        "unchanged": len(now.keys() & before.keys()) - len(changed),
                        "deleted": len(before.keys() - now.keys()), "rejected": 0, "withheld": 0}
            self.assertEqual(counts(once(bus, "prices")), expected, path.name)
            if number:
                # The deltas compare values: a number that is only written in another way is none there.
                other = {name for name in now.keys() & before.keys() if values[name] != values_before[name]}
                delta = deltas[number - 1]
                self.assertEqual([int(delta[name]) for name in ("new", "changed", "deleted")],
                                 [expected["created"], len(other), expected["deleted"]], path.name)
                self.assertLessEqual(other, changed)
                rewritten += changed != other
            before, values_before = now, values
        self.assertLessEqual(rewritten, 3, "nearly every step counts as its delta says")


if __name__ == "__main__":
    unittest.main()
