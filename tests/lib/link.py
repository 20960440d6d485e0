"""Two network namespaces: the test's own, with the broker and people, and a far one, with services and ERP.

    link.enter()                 # at the start of the program: goes on in a namespace of its own, or skips the test
    far = link.Link()            # far.inside goes before a command that is to run in the far one
    far.down(), far.up(), far.close()

Two cables join them: the bus's, which can be pulled, and one by which the test reaches the ERP all the time. The broker takes
TCP on loopback addresses only, so the bus's cable has such ones (route_localnet lets the kernel carry them).
"""
import os
import shutil
import subprocess
import sys
import time

from bus import SKIP

BROKER, SERVICES = "127.9.0.1", "127.9.0.2"  # ends of the bus's cable
NEAR, ERP = "10.99.0.1", "10.99.0.2"         # ends of the other one
CABLES = ("bus", "erp")
INSIDE = "SYNCBUS_INSIDE_A_NAMESPACE"


def enter():
    """Begins the program anew in a fresh network namespace, which nothing but this test can see."""
    if INSIDE in os.environ:
        set_up_loopback(near)
        return
    missing = [name for name in ("ip", "unshare", "nsenter", "sysctl") if shutil.which(name) is None]
    if missing:
        skip(f"{', '.join(missing)} is not there")
    tried = subprocess.run(["unshare", "--net", "ip", "link", "add", "name", "near", "type", "veth", "peer", "name", "far"],
                           capture_output=True, text=True)
    if tried.returncode != 0:
        skip(f"no network namespaces with a veth pair can be made here: {tried.stderr.strip()}")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def near(*command):
    subprocess.run(command, check=True)


def set_up_loopback(run):
    """It keeps one address only: else all of 127.0.0.0/8 would be its own, and nothing of it on the cable."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", "127.0.0.1/32", "dev", "lo")
    run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")


class Link:
    def __init__(self):
        here = os.readlink("/proc/self/ns/net")
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE) # ends with this process
        deadline = time.monotonic() + 10
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == here:
            assert self.holder.poll() is None and time.monotonic() < deadline, "the far namespace does not come up"
        self.inside = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        set_up_loopback(self.far)
        for cable in CABLES:
            near("ip", "link", "add", "name", cable, "type", "veth", "peer", "name", cable, "netns", str(self.holder.pid))
        for run, ends in ((near, (BROKER, NEAR)), (self.far, (SERVICES, ERP))):
            run("sysctl", "-q", "-w", "net.ipv4.conf.bus.route_localnet=1")
            for cable, address in zip(CABLES, ends):
                run("ip", "addr", "add", f"{address}/30", "dev", cable)
                run("ip", "link", "set", cable, "up")

    def close(self):
        """Takes the cables away; the far namespace goes with its last process."""
        for cable in CABLES:
            near("ip", "link", "del", cable)
        self.holder.kill()
        self.holder.wait()

    def far(self, *command):
        subprocess.run([*self.inside, *command], check=True)

    def down(self):
        """Pulls the bus's cable, at its far end: the broker keeps its address, and is still there for who is near."""
        self.far("ip", "link", "set", "bus", "down")

    def up(self):
        self.far("ip", "link", "set", "bus", "up")
