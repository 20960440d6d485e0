"""Orders and agents before syncs: one at a time, first come first served, each told what it waits for."""
import json
import subprocess
import unittest

import bus as lib
from bus import Bus


class Agents(unittest.TestCase):
    def test_ten_agents_at_once_are_served_in_order_one_at_a_time_and_told_what_they_wait_for(self):
        with Bus(jobs={"prices": {}}) as bus:
            bus.start_all()
            bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
            record = bus.folder / "record"
            agents = []
            with bus.subscriber("pause.", "resume.", "lease.") as events:
                bus.wait_for(lambda: events.poll(100) or bus.ask(trigger={"job": "prices"}) and events.poll(900),
                             "the subscription to work")
                bus.wait_for(lambda: not bus.job("prices").HasField("current"), "the triggered run to end")
                while events.poll(200):
                    events.recv_multipart()
                for number in range(10):
                    # Each notes its start and its end; between them nobody else may write.
                    script = f"echo start {number} >>{record}; sleep 0.2; echo end {number} >>{record}"
                    log = bus.folder / f"agent-{number}.err"
                    with log.open("w") as said:
                        agents.append((subprocess.Popen(
                            [str(lib.BIN / "syncbus"), "run", "--config", str(bus.config_path), "--timeout", "60s", "--",
                             "sh", "-c", script], stderr=said, stdin=subprocess.DEVNULL), log))
                    bus.wait_for(lambda n=number: self.in_line(bus, n + 1, record), f"agent {number} to stand in line")
                for process, _ in agents:
                    self.assertEqual(process.wait(timeout=60), 0)
                topics = self.drain(events)
            lines = record.read_text().split("\n")[:-1]
            self.assertEqual(lines, [f"{what} {n}" for n in range(10) for what in ("start", "end")])
            between = topics[topics.index("pause.erp"):topics.index("resume.erp")]
            self.assertEqual(topics.count("resume.erp"), 1, "a resume came in between")
            self.assertGreaterEqual(len(between), 10)
            for process, log in agents[2:]:
                said = log.read_text()
                self.assertRegex(said, r"position \d+|\d+(st|nd|rd|th) in line", f"no position: {said}")
            bus.assert_judge_is_content()

    def in_line(self, bus, count, record):
        resource = bus.resource()
        done = record.read_text().count("start") if record.exists() else 0
        return resource and (resource.waiting_exclusive + max(done, 1 if resource.token else 0)) >= count

    def drain(self, events):
        pb = lib.messages()
        topics = []
        while events.poll(1500):
            topic, frame = events.recv_multipart()
            topics.append(topic.decode())
            pb.Event.FromString(frame)
            if topics[-1] == "resume.erp":
                break
        while events.poll(300):
            topics.append(events.recv_multipart()[0].decode())
        return topics

    def test_ten_orders_at_once_are_placed_in_the_order_they_were_accepted(self):
        with Bus(jobs={"prices": {}}, erp=("--generate", "60", "--seed", "1", "--latency", "150ms")) as bus:
            bus.start_all()
            bus.wait_for(lambda: bus.succeeded("prices"), "the first sync")
            for number in range(10):
                done = bus.place(f"K-{number}", None, "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
            waiting = [json.loads(line) for line in bus.cli("order", "list", "--json").stdout.splitlines()]
            self.assertTrue(any(order.get("position", 0) > 1 for order in waiting), waiting)
            bus.wait_for(lambda: all(o["status"] == "placed" for o in bus.cli_json("order", "list")) or None,
                         "ten orders to be placed", 60)
            orders = bus.cli_json("order", "list")
            self.assertEqual(len(orders), 10)
            tokens = [bus.cli_json("order", "show", f"K-{n}")[0]["token"] for n in range(10)]
            self.assertEqual(tokens, sorted(set(tokens)), "not in the order of acceptance")
            self.assertEqual(bus.assert_judge_is_content()["orders"], 10)


class PublicationsLost(unittest.TestCase):
    def test_without_any_publication_syncs_still_run_and_yield_and_orders_are_placed(self):
        whole = {"source": {"full_every": "1ms"}}  # each run fetches all, though nothing has changed
        jobs = {"prices": {"yield": "abort", "every": "8s", **whole}, "orders": {"every": "8s", **whole}}
        with Bus(jobs=jobs, erp=("--generate", "400", "--seed", "1", "--rate", "20000")) as bus:
            bus.start("erp")
            bus.write_config()
            bus.start("broker")
            bus.wait_for(bus.answers, "the broker")
            # The services are sent to an endpoint where nobody publishes: their SUB never connects.
            bus.write_config(lambda c: c["broker"].update(events=f"ipc://{bus.folder}/run/nobody"))
            for name in ("sync-prices", "sync-orders", "order"):
                bus.start(name)
            bus.wait_for(lambda: bus.succeeded("prices", "orders"), "syncs without publications", 60)
            runs = bus.job("prices").runs
            bus.wait_for(lambda: self.fetching(bus), "a sync to fetch", 60)
            done = bus.place("K-1", None, "--wait", "--timeout", "30s")
            self.assertEqual(done.returncode, 0, done.stderr)
            bus.wait_for(lambda: bus.job("prices").runs > runs, "further runs", 60)
            bus.assert_judge_is_content()

    def fetching(self, bus):
        job = bus.job("prices")
        return job.HasField("current") and job.current.stage == lib.messages().STAGE_FETCHING


if __name__ == "__main__":
    unittest.main()
