"""A service manager as the programs see it: a socket for their messages, and how often it asks for a sign of life."""
import os
import pathlib
import select
import socket
import tempfile
import time


class Manager:
    """What one program tells its service manager.

    with Manager(watchdog_s=1) as manager:
        bus.start("broker", env=manager.environment)
        manager.wait_for("READY=1")
    """

    def __init__(self, watchdog_s=None):
        self.folder = tempfile.TemporaryDirectory(prefix="syncbus-manager-")
        path = str(pathlib.Path(self.folder.name, "notify"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.said = []  # every message so far
        self.environment = {"NOTIFY_SOCKET": path}
        if watchdog_s is not None:
            self.environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1000000))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            print(f"the manager heard: {self.said}")
        self.socket.close()
        self.folder.cleanup()

    def next(self, seconds=30):
        """The next message; None when none comes in time."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        message = self.socket.recv(65536).decode()
        self.said.append(message)
        return message

    def waiting(self):
        """The messages that have come since the last look."""
        found = []
        while (message := self.next(0)) is not None:
            found.append(message)
        return found

    def wait_for(self, beginning, count=1, seconds=30):
        """Reads on until `count` messages that begin so have come, and gives the last of them."""
        deadline = time.monotonic() + seconds
        while count > 0:
            message = self.next(max(0, deadline - time.monotonic()))
            assert message is not None, f"{beginning} was not said; what was: {self.said}"
            count -= message.startswith(beginning)
        return message

    def heard(self, beginning):
        """Whether such a message has come by now."""
        self.waiting()
        return any(message.startswith(beginning) for message in self.said)


def state_of(process):
    """A process's state as the system has it: R, S, T, Z …"""
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def freeze(bus, process):
    """Stops a process as SIGSTOP does, and returns when it stands."""
    os.kill(process.pid, 19)
    bus.wait_for(lambda: state_of(process) == "T", "the process to stand")
