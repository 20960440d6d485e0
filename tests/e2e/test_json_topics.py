"""Publications as JSON: for whoever subscribes to them, the same as the message; for nobody else, nothing."""
import json
import re
import time
import unittest

import bus as lib
from bus import Bus


class JsonTopics(unittest.TestCase):
    def setUp(self):
        self.bus = Bus(jobs={"prices": {}}, broker={"beat": "200ms"})
        self.addCleanup(self.bus.close)
        self.pb = lib.messages()
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first sync")

    def subscriber(self, *topics):
        socket = self.bus.subscriber(*topics)
        self.addCleanup(socket.close)
        return socket

    def sync(self):
        """One more sync, from its trigger to its end."""
        runs = self.bus.job("prices").runs
        self.bus.ask(trigger={"job": "prices"})
        self.bus.wait_for(lambda: self.bus.job("prices").runs > runs, "a sync to end")

    def next_version_and_sync(self):
        self.bus.next_version()
        self.sync()

    def hear(self, socket, topic):
        """Waits until a subscription works, which shows with the next sync."""
        def heard():
            self.sync()
            return any(heard.startswith(topic) for heard, _ in self.drain(socket))
        self.bus.wait_for(heard, f"{topic} to be heard")

    def drain(self, socket, end="beat"):
        """What has come, up to and with the next beat (or, as `end`, its JSON) that is made from now on."""
        frames, now_ms = [], int(time.time() * 1000)
        while True:
            self.assertTrue(socket.poll(10000), "no beat")
            topic, body = socket.recv_multipart()
            frames.append((topic.decode(), body))
            if topic == end.encode() and self.time_ms(end, body) > now_ms:
                return frames

    def time_ms(self, topic, body):
        return json.loads(body)["time_ms"] if topic.startswith("json.") else self.pb.Event.FromString(body).time_ms

    def converted(self):
        """How many publications the broker made into JSON in its life, as it says at its end."""
        self.assertEqual(self.bus.stop("broker"), 0)
        return int(re.search(r'"as_json":"?(\d+)', self.bus.log("broker")).group(1))

    def test_nothing_is_converted_for_who_wants_everything_or_messages_only(self):
        everything = self.subscriber("")
        ticks = self.subscriber("tick.", "beat", "j", "json")
        self.hear(everything, "run.prices")
        self.hear(ticks, "tick.prices")
        self.next_version_and_sync()
        topics = [topic for topic, _ in self.drain(everything)]
        self.assertIn("change.prices", topics)
        self.assertFalse([topic for topic in topics if topic.startswith("json")])
        self.assertEqual(self.converted(), 0)

    def test_each_event_comes_as_a_message_and_then_as_json_with_the_same_seq(self):
        both = self.subscriber("", "json.")
        self.hear(both, "json.run.prices")
        self.drain(both, "json.beat")
        self.next_version_and_sync()
        frames = self.drain(both, "json.beat")
        messages = [(topic, self.pb.Event.FromString(body)) for topic, body in frames if not topic.startswith("json.")]
        texts = [(topic, json.loads(body)) for topic, body in frames if topic.startswith("json.")]
        kinds = {topic.split(".")[0] for topic, _ in messages}
        self.assertLessEqual({"tick", "run", "lease", "change", "beat"}, kinds)
        self.assertEqual(["json." + topic for topic, _ in messages], [topic for topic, _ in texts])
        for (topic, event), (_, text) in zip(messages, texts):
            self.assertEqual((text["epoch"], text["seq"], text["time_ms"]), (event.epoch, event.seq, event.time_ms))
            self.assertIn(event.WhichOneof("body"), text)
        for number, (topic, body) in enumerate(frames):
            if topic.startswith("json."):
                key = (topic[len("json."):], json.loads(body)["seq"])
                before = [(t, self.pb.Event.FromString(b).seq) for t, b in frames[:number] if not t.startswith("json.")]
                self.assertIn(key, before, "JSON came before its message")
        change = next(text["change"] for topic, text in texts if topic == "json.change.prices")
        message = next(event.change for topic, event in messages if topic == "change.prices")
        self.assertEqual((change["entity"], change["last"], change["changed"], int(change["feed"], 16)),
                         ("prices", message.last, message.changed, message.feed))

    def test_only_what_is_wanted_is_converted_and_only_for_as_long(self):
        wanted = self.subscriber("json.run.", "beat")
        everything = self.subscriber("")
        self.hear(everything, "json.run.prices")
        self.sync()
        heard = [topic for topic, _ in self.drain(wanted) if topic.startswith("json.")]
        self.assertEqual(set(heard), {"json.run.prices"})
        wanted.unsubscribe(b"json.run.")
        wanted.subscribe(b"resume.")  # the broker reads what one socket sends in its order
        self.bus.wait_for(lambda: self.hears_a_resume(wanted), "the broker to have read that")
        self.drain(everything)
        self.sync()
        self.assertFalse([topic for topic, _ in self.drain(everything) if topic.startswith("json.")])
        self.assertEqual(self.converted(), len(heard))

    def hears_a_resume(self, socket):
        self.assertEqual(self.bus.cli("run", "--", "true").returncode, 0)
        return any(topic == "resume.erp" for topic, _ in self.drain(socket))

    def test_the_command_line_has_its_own_word_for_json(self):
        done = self.bus.cli("watch", "json.tick.")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--json", done.stderr)


if __name__ == "__main__":
    unittest.main()
