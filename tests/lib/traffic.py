"""Orders that keep coming from clients that may die, and what must be true of the whole bus when all is well again.

    traffic = Traffic(bus, random.Random(seed))
    while …:
        traffic.turn()          # clients that ended are counted, others take their place
    traffic.settle()            # no new orders; each is asked for until it is acknowledged
    verdict = Verdict(bus, rows)
    verdict.at_the_end(traffic)
"""
import json
import random
import subprocess
import time

import bus as lib

ENDED = {"placed", "rejected", "cancelled", "needs_person"}
ACKNOWLEDGED = {0, 6}      # exit codes after which a client knows that its order is in the book
THINKS_S = (0.0, 0.8)      # from the start of one client to that of the next in its place
FINAL = {"succeeded", "failed", "lost", "skipped", "coalesced", "missed"}


class Traffic:
    """A number of order clients, each a process of the command line of its own.

    Every order's client is told whether it was accepted, or does not know; in that case another client asks again with the
    same key, as people do. Some of the killed ones are never asked for again: nobody may rely on those, but they must not be
    doubled either.
    """

    def __init__(self, bus, chance, clients=3, prefix="K"):
        self.bus, self.chance, self.prefix = bus, chance, prefix
        self.slots = [f"client-{n}" for n in range(clients)]
        self.next = dict.fromkeys(self.slots, 0.0)  # when the next client comes
        self.keys = {}           # key of the client in each slot that is at work
        self.again = []          # keys that must be asked for again
        self.given_up = set()    # keys whose client was killed and that nobody asks for again
        self.acknowledged = set()
        self.count = 0
        self.unclear = 0         # clients that ended without knowing
        self.closing = False
        self.body = bus.folder / "order.json"
        self.body.write_text(json.dumps({"item": "A-1", "quantity": 1}))

    def turn(self):
        """Counts the clients that ended and puts others in their place. Never waits."""
        for slot in self.slots:
            process = self.bus.processes.get(slot)
            if process is not None and process.poll() is not None:
                self._ended(slot, process.returncode)
            here = slot not in self.bus.processes and time.monotonic() >= self.next[slot]
            if here and (self.again or not self.closing):
                self._start(slot)

    def kill(self):
        """kill -9 of one client at work, if there is one; True if there was."""
        at_work = [slot for slot in self.slots if slot in self.keys and self.bus.processes[slot].poll() is None]
        if not at_work:
            return False
        slot = self.chance.choice(at_work)
        self.bus.kill(slot)
        key = self.keys.pop(slot)
        if self.chance.random() < 0.3:
            self.given_up.add(key)
        else:
            self.again.append(key)
        return True

    def _start(self, slot):
        if self.again:
            key = self.again.pop(0)
        else:
            self.count += 1
            key = f"{self.prefix}-{self.count}"
        wait = ["--wait"] if self.chance.random() < 0.5 else []
        self.bus.spawn(slot, [lib.BIN / "syncbus", "order", "place", self.body, "--key", key, "--timeout", "8s", *wait,
                              "--config", self.bus.client_config_path])
        self.keys[slot] = key
        self.next[slot] = time.monotonic() + self.chance.uniform(*THINKS_S)

    def _ended(self, slot, code):
        key = self.keys.pop(slot)
        del self.bus.processes[slot]
        if code in ACKNOWLEDGED:
            self.acknowledged.add(key)
        else:
            self.unclear += 1
            self.again.append(key)

    def settle(self, seconds=120):
        """No new orders; until every order that is not given up is acknowledged."""
        self.closing = True

        def done():
            self.turn()
            return not self.again and not self.keys
        self.bus.wait_for(done, "each order to be acknowledged", seconds)


class Verdict:
    """What must be true of the whole bus, whatever was done to its processes and their connections."""

    def __init__(self, bus, rows):
        self.bus, self.rows, self.outcomes = bus, rows, {}
        self.needs_person = self.placed = self.slots = 0

    def _told(self, what, job):
        """What the command line tells of a job, as soon as it is answered: a broker with much to do can be late."""
        done = self.bus.wait_for(lambda: (done := self.bus.cli(what, job, "--json", "--limit", "1000")).returncode == 0 and done,
                                 f"the {what} of {job}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ledgers_hold(self):
        """No slot has two outcomes, and none that was told before is lost (I1, I12); only LOST may be mended."""
        for job in self.bus.settings["jobs"]:
            entries = self._told("ledger", job)
            now = {entry["slot_ms"]: entry for entry in entries}
            assert len(now) == len(entries), f"{job}: a slot has two outcomes"
            for slot, outcome in self.outcomes.get(job, {}).items():
                told = now[slot]["outcome"] if slot in now else None
                assert told == outcome or (outcome == "lost" and told == "succeeded"), \
                    f"{job}: the outcome of slot {slot} was {outcome} and is {told}"
            self.outcomes[job] = {slot: entry["outcome"] for slot, entry in now.items()}

    def gets_on(self, turn, seconds=60):
        """Waits, calling `turn` all the time, until an order more is placed and a job has succeeded once more."""
        before = self.bus.wait_for(self._progress, "the broker to answer")

        def on():
            turn()
            now = self._progress()
            return now and now[0] > before[0] and now[1] > before[1]
        self.bus.wait_for(on, "an order to be placed and a sync to succeed", seconds)

    def _progress(self):
        """How many orders the ERP has, and when a job last succeeded; None while the broker does not answer."""
        state = self.bus.answers()
        return state and (self.bus.judge()["orders"], max(job.last_success_ms for job in state.jobs))

    def at_the_end(self, traffic, stale_presented=True):
        """All of it; the services must be running, and nobody may disturb them. Gives the judge's counts."""
        self.wait_for_orders(traffic)
        self.orders_are_placed_once(traffic)
        self.wait_for_runs()
        self.ledgers_hold()
        self.every_slot_has_its_outcome()
        counts = self.bus.assert_judge_is_content(stale_presented)
        self.stores_are_whole()
        return counts

    def book(self):
        """Every order of the book by its key, or None while it is not told."""
        done = self.bus.cli("order", "list", "--json")
        orders = [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else None
        return None if orders is None else {order["key"]: order for order in orders}

    def wait_for_orders(self, traffic):
        """Until each order that was acknowledged has ended (O2, O3)."""
        def ended():
            book = self.book()
            if book is None:
                return False
            lost = traffic.acknowledged - set(book)
            assert not lost, f"acknowledged orders were lost: {sorted(lost)[:5]}"
            return all(order["status"] in ENDED for order in book.values())
        self.bus.wait_for(ended, "every order to have its outcome", 120)

    def orders_are_placed_once(self, traffic):
        """The ERP has each order once at most, and all those, and only those, that are told as placed (O1)."""
        book = self.bus.wait_for(self.book, "the book of orders")
        sold = json.loads(self.bus.erp("/admin/orders")[1])
        ids = {}
        for sale in sold:
            assert sale["key"] not in ids, f"the ERP has {sale['key']} twice"
            ids[sale["key"]] = sale["id"]
        for key, order in book.items():
            if order["status"] == "placed":
                assert order["erp_id"] == ids.get(key), f"{key} is placed as {order['erp_id']}, and the ERP has {ids.get(key)}"
                self.placed += 1
            else:
                assert order["status"] == "needs_person", f"{key} is {order['status']}"
                self.needs_person += 1
        made_up = set(ids) - set(book)
        assert not made_up, f"the ERP has orders that nobody knows: {sorted(made_up)[:5]}"
        known = traffic.acknowledged | traffic.given_up
        assert set(book) <= known, f"nobody ordered {sorted(set(book) - known)[:5]}"

    def wait_for_runs(self):
        """Until every run of the past has its outcome: those that are under way are younger than all of now (I12)."""
        newest = {job: max((run["run"] for run in self._told("runs", job)), default=0)
                  for job in self.bus.settings["jobs"]}

        def over():
            for job, last in newest.items():
                runs = self._told("runs", job)
                if any(run["run"] <= last and run["stage"] not in FINAL for run in runs):
                    return False
                current = self.bus.job(job)
                if current is None or (current.HasField("current") and current.current.run <= last):
                    return False
            return True
        self.bus.wait_for(over, "every run to have its outcome", 60)

    def every_slot_has_its_outcome(self):
        """From the first recorded slot of each job to its last there is no gap, or it closes: a run that is under way has
        its outcome after the slots that were skipped for it (I1)."""
        for job in self.bus.settings["jobs"]:
            every = self.bus.wait_for(lambda job=job: self.bus.job(job), f"{job} to be told").every_ms
            self.slots += self.bus.wait_for(lambda job=job, every=every: self._slots_without_gap(job, every),
                                            f"each slot of {job} to have its outcome")

    def _slots_without_gap(self, job, every):
        """How many outcomes the job has; 0 while one is missing between two others."""
        entries = sorted(self._told("ledger", job), key=lambda entry: entry["slot_ms"])
        assert all(entry["outcome"] in FINAL for entry in entries), entries
        ends = [entry["slot_ms"] + every * max(1, entry.get("slots", 1)) for entry in entries]
        return len(entries) if all(end == after["slot_ms"] for end, after in zip(ends, entries[1:])) else 0

    def stores_are_whole(self):
        """A further sync finds each record where it was, and each made one feed entry, whatever was cut (D2, D4)."""
        for job in self.bus.settings["jobs"]:
            self.bus.stop(f"sync-{job}")
        for job in self.bus.settings["jobs"]:
            done = subprocess.run([lib.BIN / "syncbus-sync", job, "--once", "--config", self.bus.config_path],
                                  capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done
            result = json.loads(done.stdout)
            told = [result[name] for name in ("unchanged", "created", "changed", "deleted", "last_seq")]
            assert told == [self.rows, 0, 0, 0, self.rows], f"{job}: {result}"


def seeded(seed, what):
    """Chance of its own for each use of a seed, so that one that draws more often does not change the others."""
    return random.Random(f"{seed}/{what}")
