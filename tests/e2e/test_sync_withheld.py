"""Deletions that are too many wait for a person; and what belongs to an order is shown with it."""
import os
import signal
import struct
import unittest

import bus as lib
from bus import Bus


def table(header, rows):
    return header + "\n" + "".join(row + "\n" for row in rows)


class Story(unittest.TestCase):
    def bus_of(self, jobs, start=(), **versions):
        """A bus whose ERP serves `versions`: entity → texts in order; with the programs of `start`."""
        bus = Bus(jobs=jobs, broker={"session_ttl": "3s"})
        self.addCleanup(bus.close)
        for entity, texts in versions.items():
            folder = bus.folder / "exports" / entity
            folder.mkdir(parents=True)
            for number, text in enumerate(texts):
                (folder / f"{number:03}.csv").write_text(text)
        bus.erp_args = ["--data", bus.folder / "exports"]
        bus.start("erp")
        bus.write_config()
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        for name in (*(f"sync-{job}" for job in jobs), *start):
            bus.start(name)
        bus.wait_for(lambda: bus.succeeded(*jobs), "the first syncs")
        return bus

    def sync(self, bus, job):
        done = bus.cli("trigger", job, "--wait")
        self.assertEqual(done.returncode, 0, done.stderr)
        return bus.job(job).last.result


class Withheld(Story):
    ALL = [f"P{number:02},x" for number in range(40)]

    def setUp(self):
        self.bus = self.bus_of({"prices": {}}, prices=[table("id,a", rows) for rows in
                                                       (self.ALL, self.ALL[20:], self.ALL[19:], self.ALL)])
        self.bus.next_version()
        result = self.sync(self.bus, "prices")
        self.assertEqual((result.withheld, result.deleted, result.guarded), (20, 0, True))

    def alerts(self):
        return [(alert.kind, alert.subject) for alert in self.bus.answers().alerts]

    def withheld(self):
        return [one["key"][0] for one in self.bus.cli_json("deletions", "prices")]

    def test_they_are_listed_with_an_alert_and_deleted_when_a_person_releases_them(self):
        bus = self.bus
        self.assertIn(("withheld", "prices"), self.alerts())
        self.assertEqual(self.withheld(), [f"P{number:02}" for number in range(20)])
        self.assertIn("list 1: 20 deletions are withheld by the delete guard", bus.cli("deletions", "prices").stdout)
        bus.next_version()  # P19 is back
        self.assertEqual(self.sync(bus, "prices").withheld, 19)
        done = bus.cli("deletions", "prices", "--release", "--by", "eva", "--list", "1")
        self.assertEqual(done.returncode, 3, "another list than that person saw")
        with bus.subscriber("beat", "change.prices") as events:
            self.assertTrue(events.poll(20000))
            [released] = bus.cli_json("deletions", "prices", "--release", "--by", "eva", "--list", "2")
            change = self.next_change(events)
        self.assertEqual((released["released"], released["last_seq"]), (19, 59))
        self.assertEqual((change.first, change.last, change.deleted), (41, 59, 19))
        self.assertEqual(self.withheld(), [])
        self.assertEqual(len(bus.cli_json("records", "prices")), 21)
        items = bus.cli_json("changes", "prices", "--after", "40")
        self.assertEqual({(item["op"], item["by"]) for item in items}, {("deleted", "eva")})
        bus.wait_for(lambda: ("withheld", "prices") not in self.alerts(), "the alert to be cleared without another run")

    def test_a_limit_shows_so_many_and_says_how_many_more_there_are(self):
        bus = self.bus
        done = bus.cli("deletions", "prices", "--limit", "3")
        self.assertEqual([line.split()[2] for line in done.stdout.splitlines()[1:4]], ["P00", "P01", "P02"])
        self.assertNotIn("P03", done.stdout)
        self.assertIn("17 more are withheld", done.stdout)
        self.assertIn("list 1: 20 deletions are withheld by the delete guard. To delete all of them, seen or not", done.stdout)
        done = bus.cli("deletions", "prices", "--limit", "3", "--json")
        self.assertEqual(len(done.stdout.splitlines()), 3)
        self.assertIn("17 more are withheld", done.stderr)
        for limit in ("20", "21"):
            done = bus.cli("deletions", "prices", "--limit", limit)
            self.assertIn("P19", done.stdout)
            self.assertNotIn("more are withheld", done.stdout)
            self.assertIn("To delete exactly these", done.stdout)

    def test_rejects_have_a_limit_too(self):
        bus = self.bus_of({"things": {"max_rejects": "50%"}}, things=[table("id,a", ["A,x", "B,x,y", "C", "D,x"])])
        self.assertEqual(len(bus.cli_json("rejects", "things")), 2)
        self.assertEqual(len(bus.cli_json("rejects", "things", "--limit", "1")), 1)

    def test_the_next_good_fetch_that_has_them_all_clears_them(self):
        bus = self.bus
        bus.next_version()
        bus.next_version()
        result = self.sync(bus, "prices")
        self.assertEqual((result.withheld, result.guarded, result.unchanged), (0, False, 40))
        self.assertEqual(self.withheld(), [])
        self.assertNotIn(("withheld", "prices"), self.alerts())

    def next_change(self, events):
        while True:
            self.assertTrue(events.poll(20000), "nothing is published")
            topic, body = events.recv_multipart()
            if topic == b"change.prices":
                return lib.messages().Event.FromString(body).change

    def commits(self):
        """How often the store was committed to: the greater of the numbers in its two heads."""
        page, number = os.sysconf("SC_PAGE_SIZE"), 144
        with open(self.bus.folder / "prices" / "data.mdb", "rb") as file:
            head = file.read(2 * page)
        return max(struct.unpack_from("<Q", head, at + number)[0] for at in (0, page))

    def test_a_release_that_was_not_published_before_a_kill_is_published_after_it(self):
        bus, pb = self.bus, lib.messages()
        self.withheld()  # once it has answered this it has heard all that it waited for
        before = self.commits()
        bus.kill("sync-prices", signal.SIGSTOP)
        query = pb.DeletionQuery(release=True, by="eva").SerializeToString()
        with bus.requester() as caller:
            call = pb.Call(service="prices", method="deletions", body=query, timeout_ms=60000)
            caller.send(pb.Request(id=7, call=call).SerializeToString())
            # One socket later answers first: the broker has handed the call on.
            bus.wait_for(bus.answers, "the broker to answer")
            bus.kill("broker", signal.SIGSTOP)  # it hears nothing of what comes of that
        bus.kill("sync-prices", signal.SIGCONT)
        bus.wait_for(lambda: self.commits() > before, "the release to be committed, with nobody to tell")
        bus.kill("sync-prices")
        bus.kill("broker")
        bus.start("broker")
        with bus.subscriber("beat", "change.prices") as events:
            self.assertTrue(events.poll(20000))
            bus.start("sync-prices")
            change = self.next_change(events)
        self.assertEqual((change.first, change.last, change.deleted), (41, 60, 20))
        self.assertEqual(self.withheld(), [])
        self.assertEqual(len(bus.cli_json("records", "prices")), 20)


class Tracking(Story):
    def test_notes_are_shown_with_their_order_whichever_came_first(self):
        notes = ["D1,O-1,DHL", "D2,O-2,SDA", "D3,O-1,TNT", "D4,E-1,BRT"]
        bus = self.bus_of({"ddt": {"match": {"entity": "orders", "field": "order"}}, "orders": {}}, start=["order"],
                          ddt=[table("id,order,carrier", notes), table("id,order,carrier", [*notes, "D5,E-1,UPS"])],
                          orders=[table("id,total", ["O-1,5"]), table("id,total", ["O-1,5", "O-2,7"])])
        [order] = bus.cli_json("records", "orders", "O-1")
        self.assertEqual([(note["entity"], note["key"], note["record"]["carrier"]) for note in order["tracking"]],
                         [("ddt", ["D1"], "DHL"), ("ddt", ["D3"], "TNT")])
        self.assertEqual(bus.cli("records", "orders", "O-2").returncode, 1, "its note came before it")
        bus.next_version()
        self.sync(bus, "orders")
        [order] = bus.cli_json("records", "orders", "O-2")
        self.assertEqual([note["key"] for note in order["tracking"]], [["D2"]])
        # By hand, and by one call.
        shown = bus.cli("records", "ddt", "--index", "order", "O-2", "--json").stdout
        self.assertIn('"carrier":"SDA"', shown)
        self.assertEqual(bus.cli("records", "ddt", "--index", "carrier", "SDA").returncode, 2, "no index is kept on it")
        query = lib.messages().RecordQuery(index="order", value="O-1").SerializeToString()
        reply = bus.ask(call={"service": "ddt", "method": "list", "body": query, "timeout_ms": 5000})
        found = lib.messages().RecordList.FromString(reply.answered.body)
        self.assertEqual([list(record.key) for record in found.records], [["D1"], ["D3"]])
        # An order that was placed here is known by the ERP's id; a note of it was there before.
        self.assertEqual(bus.place("K-1", None, "--wait").returncode, 0)
        [placed] = bus.cli_json("order", "show", "K-1")
        self.assertEqual(placed["erp_id"], "E-1")
        self.assertEqual([note["record"]["carrier"] for note in placed["tracking"]], ["BRT"])
        self.sync(bus, "ddt")
        [placed] = bus.cli_json("order", "show", "K-1")
        self.assertEqual([note["record"]["carrier"] for note in placed["tracking"]], ["BRT", "UPS"])
        self.assertIn("UPS", bus.cli("order", "show", "K-1").stdout)
        # Without its service the order is shown all the same, and its tracking is said not to be known.
        bus.stop("sync-ddt")
        done = bus.cli("records", "orders", "O-1", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"tracking":null', done.stdout)
        bus.assert_judge_is_content()


if __name__ == "__main__":
    unittest.main()
