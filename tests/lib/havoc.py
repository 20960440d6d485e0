"""kill -9, SIGSTOP and SIGCONT of a bus's programs, at random moments that follow from a seed.

    havoc = Havoc(bus, traffic, verdict, chance, lease_s=1.6)
    havoc.rage(kills=100)       # programs are killed, frozen and started again; at its end all of them run

What happens, to whom and how long after the last is drawn from `chance` alone.
"""
import signal
import time

import bus as lib

# How often each kind is drawn. A client that is at work cannot always be found: those are drawn again.
BLOWS = {"broker": 4, "order": 4, "sync": 8, "client": 4, "freeze": 5}
PAUSE_S = (0.0, 0.3)      # from one blow to the next
DOWN_S = (0.0, 0.3)       # from a kill to the new start, if that is not at once
AT_WORK = 0.6             # share of the blows that strike soon after a grant, when the ERP is surely in use
AT_WORK_S = (0.0, 0.1)    # how soon
CALM_EVERY = 20           # kills from one time of calm, in which things must have got on, to the next


class Havoc:
    """lease_s: how long a frozen process keeps what it holds, in all; it is frozen for less, and for longer."""

    def __init__(self, bus, traffic, verdict, chance, lease_s):
        self.bus, self.traffic, self.verdict, self.chance = bus, traffic, verdict, chance
        self.freezes = {"short": (0.02, 0.4 * lease_s), "long": (1.3 * lease_s, 2.0 * lease_s)}
        self.names = ["broker", "order", *(f"sync-{job}" for job in bus.settings["jobs"])]
        self.kills = {"broker": 0, "order": 0, "sync": 0, "client": 0}
        self.frozen = {"short": 0, "long": 0}
        self.due = []          # (time, what, name) still to be done: "start" or "thaw"
        self.token, self.grants = 0, {"shared": 0, "exclusive": 0}  # the last one's, and how many were seen
        self.holder = ""       # who got the last lease
        self.leases = bus.subscriber("lease.erp")

    # ------------------------------------------------------------ time
    def rage(self, kills):
        """Blows until so many programs were killed; now and then all is mended for a moment, and looked at."""
        calm_at = CALM_EVERY
        while self.total() < kills:
            self.until(time.monotonic() + self.chance.uniform(*PAUSE_S))
            kind = self.chance.choices(list(BLOWS), list(BLOWS.values()))[0]
            if self.chance.random() < AT_WORK:
                self.until_granted(kind)
            self.blow(kind)
            if self.total() >= calm_at:
                calm_at = self.total() + CALM_EVERY
                self.calm()
        self.calm()

    def total(self):
        return sum(self.kills.values())

    def until(self, moment):
        """Lets time pass: clients come and go, programs thaw and start when that is due."""
        self.bus.wait_for(lambda: self.turn() and time.monotonic() >= moment, "a moment to come")

    def until_granted(self, kind):
        """Lets time pass until somebody gets a lease, and a little longer; not for ever, as nobody may want one.

        The broker is struck as soon as a sync has got one, which is frozen for a moment, so that it does not hear of anything:
        a broker that forgets a lease has the time to give it away.
        """
        before, over = dict(self.grants), time.monotonic() + 0.5

        def granted():
            self.turn()
            now = self.grants["shared"] > before["shared"] if kind == "broker" else self.grants != before
            return now or time.monotonic() >= over
        self.bus.wait_for(granted, "a grant")
        if kind != "broker":
            self.until(time.monotonic() + self.chance.uniform(*AT_WORK_S))
        elif self.grants["shared"] > before["shared"] and self.can_freeze(self.holder):
            self.freeze(self.holder, self.chance.uniform(*self.freezes["short"]))
            self.frozen["short"] += 1

    def turn(self):
        now = time.monotonic()
        for entry in [entry for entry in self.due if entry[0] <= now]:
            self.due.remove(entry)
            self.mend(*entry[1:])
        self.look_at_the_living()
        self.look_at_tokens()
        self.traffic.turn()
        return True

    def mend(self, what, name):
        if what == "start":
            self.bus.start(name)
        elif name in self.bus.processes:
            self.bus.processes[name].send_signal(signal.SIGCONT)

    def calm(self):
        """All is mended; some order is placed and some job succeeds before it goes on."""
        for entry in list(self.due):
            self.due.remove(entry)
            self.mend(*entry[1:])
        self.verdict.gets_on(self.turn)
        self.verdict.ledgers_hold()

    # ------------------------------------------------------------ blows
    def blow(self, kind):
        if kind == "freeze":
            self.freeze_any()
        elif kind == "client":
            self.kills["client"] += self.traffic.kill()
        else:
            name = f"sync-{self.chance.choice(list(self.bus.settings['jobs']))}" if kind == "sync" else kind
            self.kill(kind, name)

    def kill(self, kind, name):
        down_s = self.chance.choice((0.0, self.chance.uniform(*DOWN_S)))
        if name not in self.bus.processes:
            return  # it is down already
        self.bus.kill(name)
        self.kills[kind] += 1
        self.due = [entry for entry in self.due if entry[2] != name]
        self.due.append((time.monotonic() + down_s, "start", name))

    def freeze_any(self):
        name, kind = self.chance.choice(self.names), self.chance.choice(list(self.freezes))
        for_s = self.chance.uniform(*self.freezes[kind])
        if self.can_freeze(name):
            self.freeze(name, for_s)
            self.frozen[kind] += 1

    def can_freeze(self, name):
        """Whether it runs, and nothing is to be done to it."""
        return name in self.bus.processes and all(entry[2] != name for entry in self.due)

    def freeze(self, name, for_s):
        self.bus.kill(name, signal.SIGSTOP)
        self.due.append((time.monotonic() + for_s, "thaw", name))

    # ------------------------------------------------------------ what must hold all the time
    def look_at_the_living(self):
        """Nobody ends but those who are killed."""
        for name in self.names:
            process = self.bus.processes.get(name)
            if process is not None and process.poll() is not None:
                self.bus.show_logs()
                raise lib.Failure(f"{name} ended by itself with {process.returncode}")

    def look_at_tokens(self):
        """Each grant's token is greater than all before it, over all lives of the broker (I3)."""
        pb = lib.messages()
        while self.leases.poll(0):
            lease = pb.Event.FromString(self.leases.recv_multipart()[1]).lease
            if lease.change == pb.LEASE_CHANGE_GRANTED:
                assert lease.token > self.token, f"token {lease.token} was granted after {self.token}"
                self.token, self.holder = lease.token, lease.holder
                self.grants["exclusive" if lease.mode == pb.MODE_EXCLUSIVE else "shared"] += 1

    def close(self):
        self.leases.close()

    def figures(self):
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.kills.items())
        return f"{self.total()} kills ({kinds}), {self.frozen['short']} short and {self.frozen['long']} long freezes"
