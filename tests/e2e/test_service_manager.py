"""What the service manager hears: readiness that is true, signs of life from a loop that turns, the end."""
import os
import signal
import unittest

from bus import Bus
from manager import Manager, freeze

EVERY_S = 0.4  # asked of the programs: short, so that a test sees many
SIGNS = 5      # of one program, while another one gives none


class ServiceManager(unittest.TestCase):
    def setUp(self):
        self.bus = Bus(jobs={"prices": {}})
        self.addCleanup(self.bus.close)

    def manager(self, watchdog_s=None):
        return self.enterContext(Manager(watchdog_s))

    def start(self, name, watchdog_s=None):
        manager = self.manager(watchdog_s)
        self.bus.start(name, env=manager.environment)
        return manager

    # ------------------------------------------------------------ ready
    def test_the_broker_is_ready_when_a_request_is_answered(self):
        manager = self.start("broker")
        manager.wait_for("READY=1")
        self.assertEqual(manager.said[0], "STATUS=recovering from the journal")
        self.assertIsNotNone(self.bus.ask(snapshot={}))
        self.assertIn("serving 1 job at ipc://", manager.wait_for("STATUS="))

    def test_the_broker_is_ready_after_a_kill_when_it_has_recovered(self):
        self.start("broker").wait_for("READY=1")
        epoch = self.bus.ask(snapshot={}).epoch
        self.bus.kill("broker")
        self.start("broker").wait_for("READY=1")
        self.assertGreater(self.bus.ask(snapshot={}).epoch, epoch)

    def test_a_broker_that_cannot_listen_is_never_ready(self):
        self.start("broker").wait_for("READY=1")
        manager = self.manager()
        second = self.bus.spawn("second", self.second_broker(), env=manager.environment)
        self.assertEqual(second.wait(timeout=30), 3)
        self.assertFalse(manager.heard("READY"))

    def second_broker(self):
        """Another journal, the same sockets."""
        path = self.bus.folder / "second.yaml"
        path.write_text(self.bus.config_path.read_text().replace(f"{self.bus.folder}/broker", f"{self.bus.folder}/second"))
        return [self.bus.processes["broker"].args[0], "--config", path]

    def test_a_refused_config_ends_with_2_and_is_never_ready(self):
        self.bus.write_config(lambda document: document["broker"].update(beat="soon"))
        for name in ("broker", "sync-prices", "order"):
            with Manager() as manager:
                process = self.bus.start(name, env=manager.environment)
                self.assertEqual(process.wait(timeout=30), 2)
                self.assertFalse(manager.waiting())

    def test_services_are_ready_when_the_broker_has_welcomed_them_and_not_before(self):
        broker = self.start("broker")
        broker.wait_for("READY=1")
        freeze(self.bus, self.bus.processes["broker"])  # it is connected to, and does not answer
        managers = {name: self.start(name, EVERY_S) for name in ("sync-prices", "order")}
        for manager in managers.values():
            self.assertIn("waiting for the broker", manager.wait_for("STATUS="))
            manager.wait_for("WATCHDOG=1", SIGNS)  # the loop turns all the time
            self.assertFalse(manager.heard("READY"))
        self.bus.processes["broker"].send_signal(signal.SIGCONT)
        for name, manager in managers.items():
            manager.wait_for("READY=1")
            self.assertIn(name, [service.name for service in self.bus.answers().services])
            self.assertNotIn("waiting", [line for line in manager.said if line.startswith("STATUS=")][-1])

    def test_a_service_is_ready_once_and_says_when_the_broker_is_gone_and_back(self):
        self.bus.start("broker")
        manager = self.start("sync-prices")
        manager.wait_for("READY=1")
        self.bus.kill("broker")
        manager.wait_for("STATUS=waiting for the broker")
        self.bus.start("broker")
        manager.wait_for("STATUS=run ")
        self.assertEqual(manager.said.count("READY=1"), 1)

    def test_a_service_says_what_it_does(self):
        self.bus.start("erp")
        self.bus.write_config()
        self.bus.start("broker")
        sync, order = self.start("sync-prices"), self.start("order")
        sync.wait_for("STATUS=run ")
        self.assertRegex(self.last_status(sync, "succeeded"), r"^STATUS=run \d+ succeeded$")
        order.wait_for("STATUS=0 open orders")
        self.bus.fault("status", "/orders", value="503")
        self.assertEqual(self.bus.place("K-1").returncode, 0)
        order.wait_for("STATUS=1 open order")

    @staticmethod
    def last_status(manager, word):
        while True:
            line = manager.wait_for("STATUS=")
            if word in line:
                return line

    # ------------------------------------------------------------ signs of life
    def test_signs_of_life_come_as_often_as_was_asked_for(self):
        self.bus.start("broker")
        often, seldom = self.start("sync-prices", EVERY_S), self.start("order", EVERY_S * 1000)
        seldom.wait_for("READY=1")
        often.wait_for("WATCHDOG=1", 10)
        seldom.waiting()
        self.assertEqual(seldom.said.count("WATCHDOG=1"), 1)

    def test_signs_of_life_come_even_if_nothing_else_wakes_the_loop(self):
        self.bus.settings["broker"] = {"beat": "1m", "session_ttl": "5m"}
        managers = [self.start(name, EVERY_S) for name in ("broker", "sync-prices", "order")]
        for manager in managers:
            manager.wait_for("READY=1")
        for manager in managers:
            manager.waiting()
            manager.wait_for("WATCHDOG=1", 20)

    def test_without_being_asked_no_sign_of_life_is_given(self):
        broker = self.start("broker")
        self.start("sync-prices", EVERY_S).wait_for("WATCHDOG=1", SIGNS)
        self.assertFalse(broker.heard("WATCHDOG"))

    def test_a_program_that_is_stopped_gives_no_sign_and_one_that_goes_on_does(self):
        managers = {name: self.start(name, EVERY_S) for name in ("broker", "sync-prices", "order")}
        for name, manager in managers.items():
            manager.wait_for("WATCHDOG=1", 2)
            clock = managers["order" if name != "order" else "broker"]
            freeze(self.bus, self.bus.processes[name])
            manager.waiting()
            clock.waiting()
            clock.wait_for("WATCHDOG=1", SIGNS)
            self.assertEqual(manager.waiting(), [], f"{name} is stopped")
            self.bus.processes[name].send_signal(signal.SIGCONT)
            manager.wait_for("WATCHDOG=1", 2)

    def test_a_loop_that_hangs_in_a_call_gives_no_sign(self):
        pipe = self.bus.folder / "export.csv"
        os.mkfifo(pipe)
        self.bus.settings["jobs"]["prices"] = {"source": {"url": f"file://{pipe}"}}
        self.bus.start("broker")
        clock, manager = self.start("order", EVERY_S), self.start("sync-prices", EVERY_S)
        # Opening a pipe that nobody writes to holds up the loop itself, while all its threads live.
        self.bus.wait_for(lambda: '"fetching"' in self.bus.log("sync-prices"), "the fetch to begin")
        clock.waiting()
        clock.wait_for("WATCHDOG=1", SIGNS)
        manager.waiting()
        clock.wait_for("WATCHDOG=1", SIGNS)
        self.assertEqual(manager.waiting(), [])
        pipe.write_text("id,price\n1,2\n")
        manager.wait_for("WATCHDOG=1", 2)

    # ------------------------------------------------------------ the end
    def test_each_program_says_that_it_ends_and_then_ends(self):
        managers = {name: self.start(name) for name in ("broker", "sync-prices", "order")}
        for name in ("order", "sync-prices", "broker"):
            managers[name].wait_for("READY=1")
            self.assertFalse(managers[name].heard("STOPPING"))
            self.assertEqual(self.bus.stop(name), 0)
            self.assertTrue(managers[name].heard("STOPPING=1"))

    def test_a_killed_program_says_nothing(self):
        manager = self.start("broker")
        manager.wait_for("READY=1")
        self.bus.kill("broker")
        self.assertFalse(manager.heard("STOPPING"))


if __name__ == "__main__":
    unittest.main()
