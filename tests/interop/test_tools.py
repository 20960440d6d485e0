"""What plain tools reach: protoc to write and read messages, and a socket of each kind to carry them."""
import json
import subprocess
import unittest

import bus as lib
from bus import Bus


class Tools(unittest.TestCase):
    def setUp(self):
        self.bus = Bus(jobs={"prices": {}})
        self.addCleanup(self.bus.close)
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")

    def protoc(self, option, kind, data):
        command = ["protoc", f"--proto_path={lib.ROOT / 'proto'}", f"--{option}=syncbus.v1.{kind}", "syncbus.proto"]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout

    def ask(self, text):
        with self.bus.requester() as socket:
            socket.send(self.protoc("encode", "Request", text))
            self.assertTrue(socket.poll(10000))
            return self.protoc("decode", "Reply", socket.recv()).decode()

    def test_protoc_and_a_req_socket_are_enough_to_ask(self):
        said = self.ask(b'id: 7 trigger { job: "prices" cause: CAUSE_MANUAL }')
        self.assertRegex(said, r"^id: 7\nepoch: \d+\ncode: CODE_OK\ntriggered {\n  run: \d+\n  merged: true\n}\n$")
        run = self.bus.job("prices").current.run
        self.assertIn(f"run: {run}\n", said)
        self.assertIn(f"run: {run}\n", self.ask(b'id: 8 snapshot { job: "prices" }'))

    def test_a_sub_socket_is_enough_to_read_events(self):
        with self.bus.subscriber("json.beat") as socket:
            self.assertTrue(socket.poll(10000))
            topic, text = socket.recv_multipart()
        self.assertEqual(topic, b"json.beat")
        self.assertGreater(json.loads(text)["beat"]["beat"], 0)


if __name__ == "__main__":
    unittest.main()
