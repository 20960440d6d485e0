"""Text that comes from outside steers no terminal and no log: an ERP's ids and records, and what clients call themselves."""
import http.server
import json
import random
import threading
import unittest

import bus as lib
from bus import Bus

USAGE = 2
# Colours, a title, a line that looks like the program's own, C1, and a turn of the direction of writing.
HOSTILE = "\x1b[31mX\x1b]0;title\x07\r\norder K-9: placed\x9b2J\u202etxt"
SHOWN = r"\u001b[31mX\u001b]0;title\u0007\u000d\u000aorder K-9: placed\u009b2J\u202etxt"


class Erp(http.server.BaseHTTPRequestHandler):
    """An ERP that means no good."""

    def do_GET(self):
        if self.path.startswith("/export/"):
            rows = f'id,name\r\n1,"{HOSTILE}"\r\n"2{HOSTILE}",caffè\r\n'
            self.answer(200, "text/csv; charset=utf-8", rows)
        else:
            self.answer(200, "application/json", "[]")

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if order.get("item") == "none":
            self.answer(422, "application/json", HOSTILE)
        else:
            self.answer(201, "application/json", json.dumps({"id": "E-1" + HOSTILE}))

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def steers(text):
    return any(ord(c) < 0x20 and c != "\n" or 0x7f <= ord(c) < 0xa0 or 0x202a <= ord(c) <= 0x202e for c in text)


class HostileText(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Erp)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        cls.bus = bus = Bus(jobs={"products": {}, "ddt": {"match": {"field": "name", "entity": "products"}}})
        cls.addClassCleanup(bus.close)
        bus.erp_url = f"http://127.0.0.1:{cls.server.server_port}"
        bus.write_config()
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        for name in ("sync-products", "sync-ddt", "order"):
            bus.start(name)
        bus.wait_for(lambda: bus.succeeded("products", "ddt"), "the entities to be synced")

    def says(self, *words, code=0, **options):
        """What a command prints, none of which steers a terminal."""
        done = self.bus.cli(*words, **options)
        self.assertEqual(done.returncode, code, done)
        self.assertFalse(steers(done.stdout + done.stderr), done)
        return done.stdout + done.stderr

    def test_an_id_of_the_erp_steers_no_terminal_and_is_exact_for_programs(self):
        said = self.says("order", "place", "-", "--key", "K-1", "--wait", stdin='{"item":"A"}')
        self.assertIn(f"order K-1: placed, in the ERP E-1{SHOWN}, the ERP answered 201", said.splitlines())
        for words in (("show", "K-1"), ("list",)):
            self.assertIn(SHOWN, self.says("order", *words))
        self.says("order", "show", "K-1", "--json")
        self.assertEqual(self.bus.cli_json("order", "show", "K-1")[0]["erp_id"], "E-1" + HOSTILE)

    def test_an_error_of_the_erp_steers_no_terminal(self):
        said = self.says("order", "place", "-", "--key", "K-2", "--wait", stdin='{"item":"none"}', code=1)
        self.assertEqual([line for line in said.splitlines() if line.startswith("order K-9")], [], said)
        self.says("order", "show", "K-2")

    def test_a_record_steers_no_terminal_and_is_exact_for_programs(self):
        for words in (("records", "products"), ("records", "products", "1"), ("changes", "products"), ("records", "ddt"),
                      ("runs",), ("status",)):
            self.says(*words)
        self.assertIn(r"\u009b2J\u202etxt", self.says("records", "products", "1"))
        self.assertIn("caffè", self.says("records", "products"))
        records = {record["key"][0]: record["record"] for record in self.bus.cli_json("records", "products")}
        self.assertEqual(records, {"1": {"id": "1", "name": HOSTILE}, "2" + HOSTILE: {"id": "2" + HOSTILE, "name": "caffè"}})
        self.says("records", "products", "--json")

    def test_names_and_reasons_with_control_characters_are_refused(self):
        bus = self.bus
        for words in (("hold", "products", "--reason", HOSTILE), ("trigger", "products", "--by", "a\x1b[31m"), ("rebind", "products", "--reason", "\u202e"),
                      ("hold", "products", "--reason", "because", "--by", "eva\n"),
                      ("order", "place", "-", "--key", "K-3", "--by", "eva\x07"), ("order", "place", "-", "--key", "K\x1b"),
                      ("order", "resolve", "K-1", "--placed", "E\x1b"), ("order", "resolve", "K-1", "--rejected", "W\x9b")):
            self.assertRegex(self.says(*words, stdin="{}", code=USAGE), "control|visible ASCII", words)
        pb = lib.messages()
        hello = {"instance": random.getrandbits(63), "process": random.getrandbits(63), "host": 1}
        reply = bus.ask(hello=dict(hello, name="x\x1b[31m"))
        self.assertEqual((reply.code, reply.text), (pb.CODE_INVALID, "field name holds a control character or one that turns the "
                                                                     "direction of writing"))
        self.assertEqual(bus.ask(hello=dict(hello, name="caffè")).code, pb.CODE_OK)
        reply = bus.ask(trigger={"job": "products\0and more"})
        self.assertEqual((reply.code, reply.text), (pb.CODE_INVALID, "field job holds a NUL byte, which would end it unseen"))
        for body in (pb.OrderKey(key="K-1\0x"), pb.PlaceOrder(key="K-6", body='{"a":1}\0{"b":2}')):
            reply = bus.ask(call={"service": "order", "method": "place" if isinstance(body, pb.PlaceOrder) else "show",
                                  "body": body.SerializeToString(), "timeout_ms": 5000})
            self.assertEqual((reply.code, "holds a NUL byte" in reply.text), (pb.CODE_INVALID, True), reply)
        order = pb.PlaceOrder(key="K-5", body="{}", by="eva\x1b[31m").SerializeToString()
        reply = bus.ask(call={"service": "order", "method": "place", "body": order, "timeout_ms": 5000})
        self.assertEqual((reply.code, "without controls" in reply.text), (pb.CODE_INVALID, True), reply)

    def test_words_of_the_command_line_come_back_without_what_steers(self):
        self.assertIn(r"\u001b[31m", self.says("\x1b[31m", code=USAGE))
        self.assertIn(r"?[31m", self.says("trigger", "\x1b[31m", code=USAGE))

    def test_no_log_has_what_steers(self):
        self.says("order", "place", "-", "--key", "K-4", "--wait", stdin='{"item":"none"}', code=1)
        for name in ("broker", "sync-products", "sync-ddt", "order"):
            log = self.bus.log(name)
            self.assertFalse(steers(log), log)
            self.assertTrue(all(json.loads(line) for line in log.splitlines()), log)


if __name__ == "__main__":
    unittest.main()
