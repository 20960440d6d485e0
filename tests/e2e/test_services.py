"""What the services owe to the bus beside their work: the feed's head after each Hello, and the time a request may take."""
import signal
import unittest

import bus as lib
from bus import Bus

OK = 0


class Services(unittest.TestCase):
    def start(self, **options):
        self.bus = Bus(jobs={"prices": {}}, broker={"beat": "200ms", "session_ttl": "3s"}, **options)
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded("prices"), "the first sync")
        return self.bus

    def listen(self, *topics):
        """An ear that hears already; gives the socket."""
        ear = self.bus.subscriber("beat", *topics)
        self.addCleanup(ear.close)
        self.bus.wait_for(lambda: ear.poll(100), "the ear to hear")
        return ear

    def hear(self, ear):
        """The events that came, but beats."""
        events = []
        while ear.poll(0):
            topic, frame = ear.recv_multipart()
            if topic != b"beat":
                events.append(lib.messages().Event.FromString(frame))
        return events

    def test_after_each_hello_a_service_publishes_its_feeds_head(self):
        bus = self.start()
        runs = bus.job("prices").runs
        last = bus.job("prices").last.result.last_seq
        self.assertGreater(last, 0)
        ear = self.listen("change.prices")
        for say_hello_again in (self.restart, self.fall_silent, self.restart):
            say_hello_again("sync-prices")
            heard = bus.wait_for(lambda: self.hear(ear), "the head")
            self.assertEqual({(event.change.entity, event.change.last) for event in heard}, {("prices", last)})
        self.assertEqual(bus.job("prices").runs, runs, "there were news")

    def restart(self, name):
        self.bus.kill(name)
        self.bus.start(name)

    def fall_silent(self, name):
        """Until its session is over."""
        self.bus.kill(name, signal.SIGSTOP)
        self.bus.wait_for(lambda: name not in [service.name for service in self.bus.answers().services], "its session to end")
        self.bus.kill(name, signal.SIGCONT)

    def test_the_lease_of_a_killed_order_service_settles_for_the_requests_timeout(self):
        bus = self.start(orders={"timeout": "6s"}, resource={"lease_ttl": "1s", "grant_delay": "200ms"})
        bus.wait_for(lambda: bus.cli("order", "list").returncode == OK, "the order service")
        ear = self.listen("lease.erp")
        bus.fault("hang", "/orders", method="POST")
        self.assertEqual(bus.place("K-1").returncode, OK)
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["status"] == "sending", "the order to be on its way")
        token = bus.resource().token
        bus.kill("order")
        pb = lib.messages()
        ended = bus.wait_for(lambda: [event.lease for event in self.hear(ear) if event.lease.token == token
                                      and event.lease.change == pb.LEASE_CHANGE_EXPIRED], "its lease to end")
        # What it sent may be at work in the ERP for so long, though the lease was renewed for a second at a time.
        self.assertGreaterEqual(ended[0].held_ms, 6000)


if __name__ == "__main__":
    unittest.main()
