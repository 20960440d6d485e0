"""A configuration that is read again while the bus is at work: a wrong one changes nothing, a good one breaks nothing."""
import shutil
import unittest

import bus as lib
from bus import Bus

OK, USAGE = 0, 2


class Reload(unittest.TestCase):
    def start(self, jobs, **options):
        self.bus = Bus(jobs=jobs, **options)
        self.addCleanup(self.bus.close)
        self.bus.start_all()
        self.bus.wait_for(lambda: self.bus.succeeded(*jobs), "the first syncs", 60)
        self.bus.wait_for(lambda: self.bus.cli("order", "list").returncode == OK, "the order service")
        return self.bus

    def jobs(self):
        return [job.job for job in self.bus.answers().jobs]

    def fetching(self, job):
        state = self.bus.job(job)
        return state.HasField("current") and state.current.stage == lib.messages().STAGE_FETCHING and state.current.token

    # ------------------------------------------------------------ a wrong one
    def test_a_wrong_config_changes_nothing_and_who_asked_is_told_its_place(self):
        bus = self.start({"prices": {}, "orders": {}})
        good = bus.folder / "good.yaml"
        shutil.copy(bus.config_path, good)
        bus.write_config(lambda c: (c["jobs"].pop("orders"), c["jobs"]["prices"].update(every="2h", evry="1h")))
        place = r'syncbus\.yaml:\d+:\d+: "evry" is not an option of jobs\.prices; did you mean "every"'
        done = bus.cli("reload", env={"SYNCBUS_CONFIG": str(good)})  # the broker's file is wrong, the asker's is not
        self.assertEqual(done.returncode, USAGE, done)
        self.assertRegex(done.stderr, place)
        self.assertIn("nothing was changed", done.stderr)
        done = bus.cli("reload")
        self.assertEqual(done.returncode, USAGE, done)
        self.assertRegex(done.stderr, place)
        bus.kill("broker", lib.signal.SIGHUP)
        bus.wait_for(lambda: "reload refused" in bus.log("broker"), "the broker to say no")
        self.assertRegex(bus.log("broker").replace('\\"', '"'), place)
        bus.kill("sync-prices", lib.signal.SIGHUP)
        bus.wait_for(lambda: "reload refused" in bus.log("sync-prices"), "the service to say no")
        self.assertEqual(self.jobs(), ["prices", "orders"])
        self.assertEqual(bus.job("prices").every_ms, 3600000)
        self.assertEqual(bus.cli("trigger", "prices", "--wait", env={"SYNCBUS_CONFIG": str(good)}).returncode, OK)

    def test_a_config_that_the_tables_have_no_room_for_is_refused_whole(self):
        bus = self.start({"prices": {}}, broker={"max_jobs": 1})
        bus.settings["jobs"]["orders"] = {}

        def grow(config):  # the file has room for both; the running broker's tables have not
            config["jobs"]["prices"].update(every="2h")
            config["broker"]["max_jobs"] = 2

        bus.write_config(grow)
        done = bus.cli("reload")
        self.assertEqual(done.returncode, USAGE, done)
        self.assertIn("room for 1 jobs until the next start", done.stderr)
        bus.kill("broker", lib.signal.SIGHUP)
        bus.wait_for(lambda: bus.log("broker").count("room for 1 jobs") == 2, "the broker's log to say so too")
        self.assertEqual((self.jobs(), bus.job("prices").every_ms), (["prices"], 3600000))

    def test_a_third_who_asks_at_once_is_answered_too(self):
        bus = self.start({"prices": {}})
        pb = lib.messages()
        with bus.requester(lib.zmq.DEALER) as socket:
            for number in range(1, 4):
                socket.send(pb.Request(id=number, reload=pb.Reload()).SerializeToString())
            answered = set()
            while len(answered) < 3:
                self.assertTrue(socket.poll(5000), f"only {answered} were answered")
                reply = pb.Reply.FromString(socket.recv_multipart()[-1])
                self.assertEqual(reply.code, pb.CODE_OK)
                answered.add(reply.id)

    # ------------------------------------------------------------ a good one
    def test_jobs_are_added_changed_and_removed_while_a_fetch_and_an_order_are_under_way(self):
        bus = self.start({"prices": {"yield": "finish"}, "orders": {"yield": "finish"}}, erp=("--generate", "60", "--seed", "1", "--capacity", "2"))
        bus.fault("delay", "/export/orders", value=4000)
        bus.cli("trigger", "orders")
        token = bus.wait_for(lambda: self.fetching("orders"), "the fetch to begin")
        self.assertEqual(bus.place("K-1").returncode, OK)
        bus.wait_for(lambda: bus.resource().waiting_exclusive, "the order to stand in line")

        del bus.settings["jobs"]["orders"]
        bus.settings["jobs"].update(ddt={}, prices={"every": "2h"})
        bus.settings["resource"]["capacity"] = 2
        bus.write_config()
        self.assertEqual(bus.cli("reload").returncode, OK)
        for name in ("sync-prices", "sync-orders"):
            bus.kill(name, lib.signal.SIGHUP)
        bus.start("sync-ddt")
        self.assertEqual(bus.job("prices").every_ms, 7200000)
        self.assertIn("ddt", self.jobs())
        self.assertEqual(self.fetching("orders"), token, "the lease of the job that goes was touched")
        self.assertIsNone(bus.processes["sync-orders"].poll(), "its service left in mid-run")

        self.assertEqual(bus.processes["sync-orders"].wait(timeout=30), OK)
        self.assertIn("not configured any more", bus.log("sync-orders"))
        runs = {run["job"]: run for run in reversed(bus.cli_json("runs"))}
        self.assertEqual((runs["orders"]["stage"], runs["orders"].get("yields", 0)), ("succeeded", 0))
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["status"] == "placed", "the order to be placed")
        bus.wait_for(lambda: bus.succeeded("ddt"), "the new job to run")
        self.assertEqual(sorted(self.jobs()), ["ddt", "prices"])
        self.assertEqual(bus.cli("trigger", "prices", "--wait", "--timeout", "30s").returncode, OK)
        bus.assert_judge_is_content()

    def test_the_capacity_changes_while_syncs_run(self):
        bus = self.start({"prices": {}, "orders": {}, "ddt": {}}, erp=("--generate", "60", "--seed", "1", "--capacity", "2"))
        for name in ("prices", "orders", "ddt"):
            bus.fault("delay", f"/export/{name}", value=4000)
            bus.cli("trigger", name)
        bus.wait_for(lambda: (r := bus.resource()).shared == 1 and r.waiting_shared == 2, "one to fetch, two to wait")
        bus.settings["resource"]["capacity"] = 2
        bus.write_config()
        bus.kill("broker", lib.signal.SIGHUP)
        bus.wait_for(lambda: bus.resource().shared == 2, "a second one to fetch at once")
        tokens = {name: self.fetching(name) for name in ("prices", "orders", "ddt") if self.fetching(name)}
        bus.settings["resource"]["capacity"] = 1
        bus.write_config()
        self.assertEqual(bus.cli("reload").returncode, OK)
        for name, token in tokens.items():
            self.assertIn(self.fetching(name), (token, False, 0), "a lease was broken")
        bus.wait_for(lambda: bus.resource().shared == 1 and not bus.resource().waiting_shared, "the third to fetch alone")
        bus.wait_for(lambda: not any(bus.job(n).HasField("current") for n in ("prices", "orders", "ddt")), "all to end")
        for name in ("prices", "orders", "ddt"):
            self.assertEqual((bus.job(name).last.stage, bus.job(name).last.yields), (lib.messages().STAGE_SUCCEEDED, 0))
        bus.assert_judge_is_content()
        self.assertEqual(bus.stop("broker"), OK)

    # ------------------------------------------------------------ a resource renamed, or left for another one
    def test_services_that_did_not_read_a_renamed_resource_are_refused_until_they_do_and_nothing_is_lost(self):
        bus = self.start({"prices": {"every": "5s", "fresh_within": "60s"}})
        bus.write_config(lambda c: c["resources"].update(erp2=c["resources"].pop("erp")))
        self.assertEqual(bus.cli("reload").returncode, OK)
        self.assertEqual(bus.place("K-1").returncode, OK)
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["why"] == 'no resource is called "erp"', "the order to say why")
        bus.wait_for(lambda: any((a.kind, a.subject) == ("no_service", "prices") for a in bus.answers().alerts), "the alert")
        self.assertEqual(bus.cli_json("ledger", "prices", "--limit", "1")[0]["outcome"], "missed")
        self.assertEqual(bus.cli_json("order", "show", "K-1")[0]["status"], "accepted")
        bus.kill("sync-prices", lib.signal.SIGHUP)
        bus.kill("order", lib.signal.SIGHUP)
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["status"] == "placed", "the order to be placed")
        bus.wait_for(lambda: not any(a.kind == "no_service" for a in bus.answers().alerts), "the alert to be cleared")
        self.assertEqual(bus.assert_judge_is_content()["orders"], 1)

    def leases_of(self, key):
        """The resources whose leases an order has while it is placed."""
        with self.bus.subscriber("lease.", "beat") as ear:
            self.assertTrue(ear.poll(10000), "no publication is heard")
            self.assertEqual(self.bus.place(key, None, "--wait").returncode, OK)
            found = set()
            while ear.poll(1000):
                topic, frame = ear.recv_multipart()
                event = lib.messages().Event.FromString(frame)
                if event.HasField("lease"):
                    found.add(event.lease.resource)
                elif found:
                    return found

    def test_orders_moved_to_another_resource_are_placed_under_the_old_one_until_their_service_reads_it(self):
        bus = self.start({"prices": {}})
        bus.kill("order")

        def beside(config, of):
            config["resources"]["erp2"] = dict(config["resources"]["erp"])
            config["jobs"]["prices"]["resource"] = config["orders"]["resource"] = of

        for of in ("erp", "erp2"):
            bus.write_config(lambda config: beside(config, of))
            self.assertEqual(bus.cli("reload").returncode, OK)
            if of == "erp":
                bus.start("order")
                bus.wait_for(lambda: bus.cli("order", "list").returncode == OK, "the order service")
        run = bus.cli_json("trigger", "prices")[0]["run"]
        bus.wait_for(lambda: 'no job of erp is called \\"prices\\"' in bus.log("sync-prices"), "the sync to be refused")
        self.assertEqual(self.leases_of("K-1"), {"erp"})
        for name in ("sync-prices", "order"):
            bus.kill(name, lib.signal.SIGHUP)
            bus.wait_for(lambda: bus.log(name).count('"connected"') >= 2, f"{name} to begin anew")
        bus.wait_for(lambda: bus.job("prices").last.run == run, "the run that was refused to end")
        self.assertEqual(bus.job("prices").last.stage, lib.messages().STAGE_SUCCEEDED)
        self.assertEqual(self.leases_of("K-2"), {"erp2"})

    def test_a_service_takes_its_own_part_over_between_two_runs(self):
        bus = self.start({"prices": {}})
        export = bus.folder / "export.csv"
        export.write_text("id,name\n1,a\n")
        bus.fault("delay", "/export/prices", value=2000)
        run = bus.cli_json("trigger", "prices")[0]["run"]
        bus.wait_for(lambda: self.fetching("prices"), "the fetch to begin")
        bus.settings["jobs"]["prices"]["source"] = {"url": f"file://{export}"}
        bus.write_config()
        bus.kill("sync-prices", lib.signal.SIGHUP)
        bus.wait_for(lambda: bus.log("sync-prices").count('"connected"') == 2, "the service to begin anew")
        last = bus.job("prices").last
        self.assertEqual((last.run, last.stage, last.attempt), (run, lib.messages().STAGE_SUCCEEDED, 1))
        self.assertEqual(bus.cli("trigger", "prices", "--wait").returncode, OK)
        self.assertEqual(bus.job("prices").last.result.seen, 1)

    def test_a_service_that_begins_anew_leaves_its_data_to_no_standby(self):
        bus = self.start({"prices": {}})
        bus.spawn("standby", [lib.BIN / "syncbus-sync", "prices", "--standby", "--config", bus.config_path])
        bus.wait_for(lambda: "standing by" in bus.log("standby"), "the standby to stand by")
        export = bus.folder / "export.csv"
        export.write_text("id,name\n1,a\n")
        bus.write_config(lambda c: c["jobs"]["prices"]["source"].update(url=f"file://{export}"))
        lock = bus.folder / "prices" / "lock"
        signed_ns = lock.stat().st_mtime_ns
        for name in ("standby", "sync-prices"):
            bus.kill(name, lib.signal.SIGHUP)
        bus.wait_for(lambda: bus.log("sync-prices").count('"connected"') == 2, "the service to begin anew")
        self.assertEqual(lock.stat().st_mtime_ns, signed_ns, "the lock was given back in between")
        for served_by, other in (("sync-prices", "standby"), ("standby", None)):
            self.assertEqual(bus.cli("trigger", "prices", "--wait", "--timeout", "50s").returncode, OK)
            self.assertEqual(bus.job("prices").last.result.seen, 1, f"{served_by} has its old config")
            self.assertEqual("taking over" in bus.log("standby"), other is None)
            self.assertEqual(bus.stop(served_by), OK)

    def test_the_order_service_takes_its_part_over_when_no_request_can_be_at_work_any_more(self):
        bus = self.start({"prices": {}}, orders={"honours_keys": True, "timeout": "4s"})
        ear = bus.subscriber("lease.erp", "beat")
        self.addCleanup(ear.close)
        self.assertTrue(ear.poll(10000), "no publication is heard")
        bus.fault("drop_before", "/orders", method="POST")
        self.assertEqual(bus.place("K-1").returncode, OK)
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["status"] == "unknown", "an outcome that is not known")
        bus.settings["orders"]["timeout"] = "3s"
        bus.write_config()
        bus.kill("order", lib.signal.SIGHUP)
        self.assertTrue(bus.resource().token, "the lease of a request that may be at work was given back")
        bus.wait_for(lambda: bus.log("order").count('"connected"') == 2, "the service to begin anew")
        bus.wait_for(lambda: bus.cli("order", "list").returncode == OK, "the order service")
        bus.wait_for(lambda: bus.cli_json("order", "show", "K-1")[0]["status"] == "placed", "the order to be placed", 60)
        changes = []
        while ear.poll(0):
            topic, frame = ear.recv_multipart()
            changes += [lib.messages().Event.FromString(frame).lease.change] if topic == b"lease.erp" else []
        self.assertIn(lib.messages().LEASE_CHANGE_RELEASED, changes)
        self.assertNotIn(lib.messages().LEASE_CHANGE_EXPIRED, changes, "a lease was not given back")
        self.assertEqual(bus.stop("order"), OK)
        self.assertEqual(bus.assert_judge_is_content()["orders"], 1)


if __name__ == "__main__":
    unittest.main()
