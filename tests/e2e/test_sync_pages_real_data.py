"""Real exports by pages of 200 and whole, served by the simulated ERP: the same records with the same hashes, whichever comes first."""
import json
import subprocess
import unittest

import bus as lib
from bus import Bus

FUEL = lib.real_data("fuel-it", "veneto_22_versions")
NORTHWIND = lib.real_data("northwind")
PAGE = {"parameter": "page", "size": 200}
PIPED = {"format": "csv", "csv": {"delimiter": "|", "quote": "none", "skip_lines": 1, "header": True}}
COUNTS = ("seen", "created", "changed", "unchanged", "deleted", "rejected", "withheld")


def once(bus, job):
    done = subprocess.run([lib.BIN / "syncbus-sync", job, "--once", "--config", bus.config_path],
                          capture_output=True, text=True, timeout=120)
    result = json.loads(done.stdout)
    assert result["ok"], done
    return result


class PagesOfRealExports(unittest.TestCase):
    def open(self, job, files, options, head=1):
        """An ERP that serves these versions of the job, and two stores of it: one filled by pages, one whole."""
        bus = Bus(jobs={})
        self.addCleanup(bus.close)
        folder = bus.folder / "exports" / job
        folder.mkdir(parents=True)
        for number, file in enumerate(files):
            (folder / f"{number:03}{''.join(file.suffixes)}").symlink_to(file)
        bus.erp_args = ["--data", bus.folder / "exports", "--head", str(head)]
        bus.start("erp")
        url = f"{bus.erp_url}/export/{job}{files[0].suffixes[0]}"
        source = {"url": url, "full_every": "1ms", **options.pop("source", {})}
        bus.settings["jobs"] = {"paged": {**options, "source": {**source, "page": PAGE}},
                                "whole": {**options, "source": source}}
        bus.write_config()
        return bus

    def both(self, bus):
        paged, whole = once(bus, "paged"), once(bus, "whole")
        self.assertEqual({name: paged[name] for name in COUNTS}, {name: whole[name] for name in COUNTS})
        return paged

    def assert_swapped(self, bus, records):
        """Each store meets the export in the other form, and finds nothing that differs: the hashes are the same."""
        settings = bus.settings["jobs"]
        settings["paged"]["source"], settings["whole"]["source"] = settings["whole"]["source"], settings["paged"]["source"]
        bus.write_config()
        for job in ("paged", "whole"):
            result = once(bus, job)
            self.assertEqual((result["unchanged"], result["created"], result["changed"], result["deleted"]),
                             (records, 0, 0, 0), job)
        bus.assert_judge_is_content()

    def test_northwind_products_and_orders_in_both_formats(self):
        keys = {"products": "productID", "orders": "orderID"}
        for entity, key in keys.items():
            for form in ("csv", "json"):
                with self.subTest(entity, form=form):
                    file = NORTHWIND / form / f"{entity}.{form}"
                    bus = self.open(entity, [file], {"key": [key], "source": {"format": form}})
                    result = self.both(bus)
                    self.assertEqual(result["created"], {"products": 77, "orders": 830}[entity])
                    self.assert_swapped(bus, result["created"])

    def test_each_third_of_22_days_of_fuel_prices_with_a_banner_above_each_page(self):
        days = sorted(path for path in FUEL.iterdir() if path.is_dir())[::3]
        options = {"key": ["idImpianto", "descCarburante", "isSelf"], "ignore": ["dtComu"], "source": PIPED}
        bus = self.open("prices", [day / "prezzo_alle_8.csv.gz" for day in days], options, head=2)
        deleted = 0
        for number, _ in enumerate(days):
            if number:
                bus.next_version()
            result = self.both(bus)
            self.assertEqual(result["withheld"], 0)
            deleted += result["deleted"]
        self.assertGreater(deleted, 0, "nothing left in 22 days")
        self.assertGreater(result["seen"], 8000)
        self.assert_swapped(bus, result["created"] + result["changed"] + result["unchanged"])


if __name__ == "__main__":
    unittest.main()
