"""The simulated ERP by itself: what it serves, how it misbehaves, and that its judge is not blind."""
import contextlib
import gzip
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import threading
import unittest
import urllib.parse

import bus as lib
from bus import Bus

ROWS = 300


class Erp(unittest.TestCase):
    def start(self, *args):
        self.bus = Bus(erp=args or ("--generate", str(ROWS), "--seed", "7"))
        self.addCleanup(self.bus.close)
        self.bus.start("erp")
        self.address = urllib.parse.urlsplit(self.bus.erp_url)

    def get(self, path, **headers):
        return self.ask("GET", path, headers)

    def ask(self, method, path, headers=None, body=None):
        """(status, headers, bytes) of one request; what http.client raises when the answer is cut."""
        with contextlib.closing(http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=20)) as http_:
            http_.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in (headers or {}).items()})
            answer = http_.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def order(self, key, token=None, body=None):
        headers = {"Idempotency-Key": key} if key else {}
        if token:
            headers["X-Fencing-Token"] = str(token)
        status, _, text = self.ask("POST", "/orders", headers, json.dumps(body if body is not None else {"item": "A"}))
        return status, json.loads(text) if status == 201 else text.decode()

    def found(self, key):
        return json.loads(self.get(f"/orders?key={key}")[2])

    def raw(self, path, method="GET", length=0):
        """An open connection on which a request was sent; the caller closes it."""
        connection = socket.create_connection((self.address.hostname, self.address.port), timeout=20)
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: erp\r\nContent-Length: {length}\r\n\r\n".encode())
        return connection

    def running(self):
        return [access for access in json.loads(self.get("/admin/accesses")[2]) if not access["end_ms"]]

    def wait_for_running(self, count):
        self.bus.wait_for(lambda: len(self.running()) == count, f"{count} uses of the ERP to run")


class Exports(Erp):
    def test_generated_exports_are_the_same_for_a_seed_and_differ_a_bit_in_the_next_version(self):
        self.start()
        first = self.get("/export/prices.csv")[2]
        for entity in ("orders", "customers", "products", "prices", "ddt", "invoices"):
            lines = self.get(f"/export/{entity}.csv")[2].decode().splitlines()
            self.assertEqual((len(lines), lines[0].split(",")[0]), (ROWS + 1, "id"))
            self.assertEqual(len({line.split(",")[0] for line in lines}), ROWS + 1, "a key comes twice")
            records = json.loads(self.get(f"/export/{entity}.json")[2])
            self.assertEqual([record["id"] for record in records], [line.split(",")[0] for line in lines[1:]])
        self.bus.next_version(entity="prices")
        rows = [dict(line.split(",", 1) for line in text.decode().splitlines()[1:])
                for text in (first, self.get("/export/prices.csv")[2])]
        self.assertEqual([len(r) for r in rows], [ROWS, ROWS])
        both = rows[0].keys() & rows[1].keys()
        changed = sum(rows[0][key] != rows[1][key] for key in both)
        self.assertTrue(0 < changed < ROWS / 10, changed)
        self.assertTrue(0 < ROWS - len(both) < ROWS / 20)
        self.start()
        self.assertEqual(self.get("/export/prices.csv")[2], first)

    def test_a_folder_is_served_version_by_version_in_the_format_of_its_files(self):
        self.start()
        folder = pathlib.Path(self.bus.folder, "exports", "prices")
        folder.mkdir(parents=True)
        folder.joinpath("1.csv").write_bytes(b"id\n1\n")
        folder.joinpath("2.csv.gz").write_bytes(gzip.compress(b"id\n2\n"))
        folder.joinpath("3.json").write_bytes(b"[]")
        self.start("--data", str(folder.parent))
        self.assertEqual(self.get("/export/prices.csv")[2], b"id\n1\n")
        self.bus.next_version()
        self.assertEqual(self.get("/export/prices.csv")[2], b"id\n2\n")
        status, _, text = self.get("/export/prices.json")
        self.assertEqual((status, b"not a .json file" in text), (404, True), text)
        self.bus.next_version()
        self.bus.next_version()
        self.assertEqual(self.get("/export/prices.json")[2], b"[]")
        self.assertEqual(self.get("/export/orders.csv")[0], 404)

    def test_parts_of_an_export_are_served_only_while_it_is_the_same(self):
        self.start()
        _, headers, whole = self.get("/export/prices.csv")
        etag = headers["ETag"]
        for wanted, part in (("bytes=10-", whole[10:]), ("bytes=10-19", whole[10:20]), ("bytes=-5", whole[-5:])):
            status, headers, got = self.get("/export/prices.csv", Range=wanted, If_Range=etag)
            self.assertEqual((status, got), (206, part), wanted)
        self.assertEqual(headers["Content-Range"], f"bytes {len(whole) - 5}-{len(whole) - 1}/{len(whole)}")
        self.assertEqual(self.get("/export/prices.csv", Range=f"bytes={len(whole)}-")[0], 416)
        self.assertEqual(self.get("/export/prices.csv", If_None_Match=etag)[0], 304)
        self.bus.next_version()
        status, _, got = self.get("/export/prices.csv", Range="bytes=10-", If_Range=etag)
        self.assertEqual((status, len(got)), (200, len(self.get("/export/prices.csv")[2])))

    def test_pages_join_to_the_whole_export(self):
        self.start()
        whole = self.get("/export/prices.csv")[2].splitlines()
        lines = []
        for page in (1, 2, 3, 4):
            _, headers, text = self.get(f"/export/prices.csv?page={page}&size=90")
            self.assertEqual((headers["X-Total-Count"], text.splitlines()[0]), (str(ROWS), whole[0]))
            lines += text.splitlines()[1:]
        self.assertEqual(lines, whole[1:])
        self.assertEqual(len(json.loads(self.get("/export/prices.json?page=4&size=90")[2])), ROWS - 270)
        self.assertEqual(self.get("/export/prices.csv?page=0&size=5")[0], 400)

    def test_each_page_begins_with_as_many_lines_as_there_are_above_the_first_record(self):
        self.start("--generate", "10", "--seed", "7", "--head", "3")
        whole = self.get("/export/prices.csv")[2].splitlines()
        _, headers, text = self.get("/export/prices.csv?page=2&size=5")
        self.assertEqual(headers["X-Total-Count"], "8")
        self.assertEqual(text.splitlines(), whole[:3] + whole[8:])

    def test_an_export_is_known_by_its_tag_or_else_by_its_time(self):
        self.start()
        _, headers, _ = self.get("/export/prices.csv")
        etag, date = headers["ETag"], headers["Last-Modified"]
        self.assertEqual(self.get("/export/prices.csv", If_None_Match=f"W/{etag}")[0], 304)
        self.assertEqual(self.get("/export/prices.csv", If_Modified_Since=date)[0], 304)
        self.assertEqual(self.get("/export/prices.csv", If_None_Match='"other"', If_Modified_Since=date)[0], 200)
        self.assertEqual(self.get("/export/prices.csv", If_Modified_Since="Tue, 14 Nov 2023 22:13:10 GMT")[0], 200)

    def test_it_lies_about_versions_tags_and_totals_when_told_to_and_only_after_so_many_requests(self):
        self.start()
        whole = self.get("/export/prices.csv")[2]
        self.bus.fault("unchanged", "/export/prices", after="1")
        self.assertEqual(self.get("/export/prices.csv")[0], 200)
        status, headers, _ = self.get("/export/prices.csv")
        self.assertEqual((status, headers.get("ETag"), headers.get("Last-Modified")), (304, None, None))
        self.bus.fault("no_validator", "/export/prices")
        _, headers, text = self.get("/export/prices.csv")
        self.assertEqual((headers.get("ETag"), headers.get("Last-Modified"), text), (None, None, whole))
        self.bus.fault("weak_etag", "/export/prices")
        self.assertTrue(self.get("/export/prices.csv")[1]["ETag"].startswith('W/"'))
        self.bus.fault("no_total", "/export/prices")
        self.assertIsNone(self.get("/export/prices.csv?page=1&size=5")[1].get("X-Total-Count"))
        self.bus.fault("next", "/export/prices", after="2")
        self.assertEqual([self.get("/export/prices.csv")[2] == whole for _ in range(3)], [True, True, False])

    def test_each_fault_comes_as_often_as_it_was_ordered(self):
        self.start()
        whole = self.get("/export/prices.csv")[2]
        self.bus.fault("status", "/export/prices", count="2", value="429", retry_after="3")
        for _ in range(2):
            status, headers, _ = self.get("/export/prices.csv")
            self.assertEqual((status, headers["Retry-After"]), (429, "3"))
        self.assertEqual(self.get("/export/prices.csv")[2], whole)
        for kind, size in (("truncate", len(whole) // 2), ("drop_after", len(whole) - 1)):
            self.bus.fault(kind, "/export/prices")
            with self.assertRaises(http.client.IncompleteRead) as cut:
                self.get("/export/prices.csv")
            self.assertEqual(len(cut.exception.partial), size)
        self.bus.fault("drop_before", "/export/prices")
        with self.assertRaises(http.client.RemoteDisconnected):
            self.get("/export/prices.csv")
        for kind, wanted in (("html", b"<!DOCTYPE html>"), ("empty", b""), ("garbage", b"\x80")):
            self.bus.fault(kind, "/export/prices")
            got = self.get("/export/prices.csv")[2]
            self.assertTrue(got.startswith(wanted) and got != whole, kind)
        self.bus.fault("endless", "/export/prices")
        with contextlib.closing(self.raw("/export/prices.csv")) as connection:
            got = 0
            while got < 20 * len(whole):
                got += len(connection.recv(65536))
        for kind in ("hang", "stall"):
            self.bus.fault(kind, "/export/prices")
            with contextlib.closing(self.raw("/export/prices.csv")):
                self.wait_for_running(1)
            self.wait_for_running(0)
        self.bus.fault("hang", "/", count="100")
        self.bus.heal()
        self.assertEqual(self.get("/export/prices.csv")[2], whole)
        for wrong in ({"kind": "nonsense", "path": "/"}, {"kind": "status", "path": "/", "value": "9"}, {"kind": "html"},
                      {"kind": "delay", "path": "/"}):
            self.assertEqual(self.bus.erp("/admin/fault", "POST", **wrong)[0], 400, wrong)
        self.bus.assert_judge_is_content()


class Orders(Erp):
    def test_the_same_key_twice_makes_one_order_and_without_that_promise_the_judge_counts_two(self):
        self.start()
        for _ in range(2):
            self.assertEqual(self.order("K-1"), (201, {"id": "E-1"}))
        self.assertEqual(self.order(None, body={"reference": "K-2"})[1], {"id": "E-2"})
        self.assertEqual(self.found("K-2"), [{"id": "E-2", "key": "K-2"}])
        self.assertEqual(self.order("K-3", body=[1])[0], 400)
        self.assertEqual(self.bus.assert_judge_is_content()["orders"], 2)
        self.start("--generate", "10", "--no-keys")
        self.order("K-1")
        self.assertEqual(self.order("K-1"), (201, {"id": "E-2"}))
        self.assertEqual(len(self.found("K-1")), 2)
        counts = self.bus.judge()
        self.assertEqual((counts["orders"], counts["doubled_orders"]), (2, 1))

    def test_a_new_order_stays_invisible_to_the_search_for_the_lag(self):
        self.start("--generate", "10", "--lag", "700ms")
        self.order("K-1")
        self.assertEqual(self.found("K-1"), [])
        self.bus.wait_for(lambda: self.found("K-1"), "the order to be visible")

    def test_a_stale_token_is_counted_and_refused_unless_tokens_are_not_looked_at(self):
        self.start()
        self.assertEqual(self.order("K-1", token=7)[0], 201)
        self.assertEqual(self.order("K-2", token=6)[0], 412)
        self.assertEqual(self.order("K-3", token=7)[0], 201)
        self.assertEqual(self.get("/export/prices.csv", X_Fencing_Token="3")[0], 412)
        counts = self.bus.judge()
        self.assertEqual((counts["stale_tokens_presented"], counts["stale_tokens_accepted"], counts["orders"]), (2, 0, 2))
        self.start("--generate", "10", "--no-tokens")
        self.order("K-1", token=7)
        self.assertEqual(self.order("K-2", token=6)[0], 201)
        self.assertEqual(self.bus.judge()["stale_tokens_accepted"], 1)

    def test_an_order_is_made_or_not_as_the_fault_says(self):
        self.start()
        for number, (kind, made) in enumerate((("status", 0), ("drop_before", 0), ("drop_after", 1), ("truncate", 1),
                                               ("html", 1), ("empty", 1), ("garbage", 1))):
            self.bus.fault(kind, "/orders", method="POST")
            with contextlib.suppress(http.client.HTTPException, json.JSONDecodeError, UnicodeDecodeError):
                self.order(f"K-{number}")
            self.assertEqual(len(self.found(f"K-{number}")), made, kind)

    def test_work_on_an_order_goes_on_when_its_client_leaves(self):
        self.start()
        self.bus.fault("delay", "/orders", value="600ms")
        with contextlib.closing(self.raw("/orders", "POST", 2)) as connection:
            connection.sendall(b"{}")
            self.wait_for_running(1)
        self.assertEqual(len(self.running()), 1)
        self.order("K-2")
        self.assertEqual(self.bus.judge()["order_order_overlaps"], 1)
        self.wait_for_running(0)
        self.assertEqual(self.bus.judge()["orders"], 2)


class Judge(Erp):
    def hold(self, path, method="GET"):
        """A use of the ERP that lasts until its client closes."""
        before = len(self.running())
        self.bus.fault("hang", path)
        connection = self.raw(path, method, 2 if method == "POST" else 0)
        if method == "POST":
            connection.sendall(b"{}")
        self.addCleanup(connection.close)
        self.wait_for_running(before + 1)
        return connection

    def test_an_order_in_an_export_an_export_in_an_order_and_two_orders_are_each_seen(self):
        self.start()
        export = self.hold("/export/prices.csv")
        self.order("K-1")
        self.assertEqual(self.bus.judge()["order_sync_overlaps"], 1)
        export.close()
        order = self.hold("/orders", "POST")
        self.get("/export/prices.csv")
        self.assertEqual(self.bus.judge()["order_sync_overlaps"], 2)
        self.found("K-1")
        counts = self.bus.judge()
        self.assertEqual((counts["order_sync_overlaps"], counts["order_order_overlaps"]), (2, 1))
        order.close()
        self.wait_for_running(0)
        self.order("K-2")
        after = self.bus.judge()
        self.assertEqual((after["order_sync_overlaps"], after["order_order_overlaps"]), (2, 1))
        overlapped = [a["name"] for a in json.loads(self.get("/admin/accesses")[2]) if a["overlaps"]]
        self.assertEqual(overlapped, ["K-1", "prices", "K-1"])

    def test_a_request_that_is_looked_at_when_its_client_has_gone_meets_nobody(self):
        self.start()
        self.hold("/orders", "POST")
        self.bus.kill("erp", signal.SIGSTOP)
        self.raw("/export/prices.csv").close()
        self.bus.kill("erp", signal.SIGCONT)
        self.bus.wait_for(lambda: self.bus.judge()["accesses"] == 2, "the request to be looked at")
        self.assertEqual(self.bus.judge()["order_sync_overlaps"], 0)
        self.get("/export/prices.csv")
        self.assertEqual(self.bus.judge()["order_sync_overlaps"], 1)

    def test_exports_over_the_capacity_are_seen_and_up_to_it_are_not(self):
        self.start("--generate", "10", "--capacity", "2")
        self.hold("/export/prices.csv")
        self.get("/export/orders.csv")
        self.assertEqual(self.bus.judge()["sync_over_capacity"], 0)
        self.hold("/export/orders.csv")
        self.get("/export/ddt.csv")
        self.assertEqual(self.bus.judge()["sync_over_capacity"], 1)

    def all_but_a_byte(self):
        """A connection on which an order was sent but for its last byte: the rest comes as fast as can be."""
        connection = self.raw("/orders", "POST", 2)
        connection.sendall(b"{")
        return connection

    def finish(self, order):
        """The last byte, and the status of the answer."""
        order.sendall(b"}")
        return order.recv(4096).split()[1]

    def test_a_client_that_cuts_its_fetch_and_steps_aside_at_once_is_not_blamed(self):
        self.start("--generate", "20000")
        for _ in range(100):
            with contextlib.closing(self.all_but_a_byte()) as order:
                with contextlib.closing(self.raw("/export/prices.csv")) as export:
                    export.recv(64)
                self.assertEqual(self.finish(order), b"201")
        self.bus.assert_judge_is_content()

    def test_a_client_that_has_the_whole_answer_is_not_blamed_for_the_servers_last_moments(self):
        self.start()
        size = len(self.get("/export/prices.csv")[2])
        for _ in range(200):
            with contextlib.closing(self.all_but_a_byte()) as order, contextlib.closing(self.raw("/export/prices.csv")) as export:
                got = b""
                while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < size:
                    got += export.recv(65536)
                self.assertEqual(self.finish(order), b"201")
        counts = self.bus.assert_judge_is_content()
        self.assertEqual((counts["accesses"], counts["orders"]), (401, 200))

    def test_many_at_once_are_all_counted(self):
        self.start("--generate", "10", "--latency", "5ms", "--capacity", "64")
        threads = [threading.Thread(target=lambda: [self.get("/export/ddt.csv") for _ in range(20)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.bus.assert_judge_is_content()["accesses"], 160)


class Start(Erp):
    def test_a_wrong_command_line_is_refused_with_its_reason(self):
        for words, said in (((), "--listen"), (("--listen", "127.0.0.1:0"), "--generate"),
                            (("--listen", "x"), "--listen x"), (("--rate", "fast"), "--rate fast"),
                            (("--listen", "127.0.0.1:0", "--data", "/nowhere"), "/nowhere"), (("--what",), "--what")):
            done = subprocess.run([lib.BIN / "syncbus-erp", *words], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(said, done.stderr)

    def test_it_ends_cleanly_in_the_middle_of_answers(self):
        self.start("--generate", "4000", "--rate", "1000")
        self.bus.fault("hang", "/export/orders")
        with contextlib.closing(self.raw("/export/prices.csv")), contextlib.closing(self.raw("/export/orders.csv")):
            self.wait_for_running(2)
            self.assertEqual(self.bus.stop("erp"), 0)


if __name__ == "__main__":
    unittest.main()
