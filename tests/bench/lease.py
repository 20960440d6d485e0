"""How soon an order gets the ERP: on an idle bus beside a bare round trip, and while six syncs fetch beside polling.

All in one run, since speeds of different runs cannot be compared. Prints a table; --json prints the numbers.
"""
import argparse
import json
import subprocess
import sys

from bus import BIN, Bus, ENTITIES

BENCH = BIN / "bench-lease"


def measured(bus, *args):
    """Runs a part of the bench and gives its lines by name."""
    done = subprocess.run([str(BENCH), *map(str, args)], capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        bus.show_logs()
        sys.exit(f"bench-lease {args[0]} ended with {done.returncode}: {done.stderr}")
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def idle(count):
    with Bus() as bus:
        echo = f"ipc://{bus.folder}/echo"
        bus.start("broker")
        bus.spawn("echo", [BENCH, "echo", echo])
        bus.wait_for(bus.answers, "the broker to answer")
        bus.wait_for(lambda: "listening" in bus.log("echo"), "the echo to listen")
        return measured(bus, "idle", bus.requests, echo, count)


def busy(count):
    """Exports of some megabytes at 64 KiB a second: none ends by itself while the bench runs."""
    jobs = {name: {"yield": "abort", "max_yields": 1000, "pause_timeout": "60s"} for name in ENTITIES}
    with Bus(jobs=jobs, resource={"capacity": len(jobs), "lease_ttl": "10s"},
             erp=("--generate", "60000", "--seed", "1", "--rate", "65536", "--capacity", str(len(jobs)))) as bus:
        bus.start("erp")
        bus.write_config()
        bus.start("broker")
        bus.wait_for(bus.answers, "the broker to answer")
        for name in jobs:
            bus.start(f"sync-{name}")
        lines = measured(bus, "busy", bus.requests, bus.events, count, len(jobs))
        yields = sum(job.current.yields for job in bus.answers().jobs)
        leases = lines["busy"]["count"] + lines["busy_order"]["count"]
        if yields < leases * len(jobs):
            sys.exit(f"only {yields} fetches were cut for {leases} leases: this did not measure what it says")
        return lines


def poll(count):
    with Bus() as bus:
        return measured(bus, "poll", count, len(ENTITIES))


def text(us):
    return f"{us:.0f} µs" if us < 1000 else f"{us / 1000:.2f} ms"


def show(title, lines, floor):
    print(f"\n{title}")
    print(f"  {'':34}{'count':>7}{'p50':>11}{'p99':>11}{'max':>11}{'p50, times':>12}")
    for name, line in lines:
        print(f"  {name:34}{line['count']:>7}{text(line['p50_us']):>11}{text(line['p99_us']):>11}"
              f"{text(line['max_us']):>11}{line['p50_us'] / floor['p50_us']:>12.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each, to see that it works")
    parser.add_argument("--json", action="store_true", help="the numbers, an object a line")
    options = parser.parse_args()
    lines = {**idle(100 if options.quick else 5000), **busy(3 if options.quick else 300),
             **poll(2 if options.quick else 40)}
    if options.json:
        for line in lines.values():
            print(json.dumps(line))
        return
    show("An exclusive lease of an idle resource, and a bare round trip of the same sizes, in turn by blocks of 50",
         [("raw REQ to ROUTER and back", lines["raw"]), ("acquire, until granted", lines["idle"]),
          ("acquire, release, answered", lines["idle_and_back"]),
          ("acquire for an order, stored first", lines["idle_order"])], lines["raw"])
    print("  goal: acquire at most 1.5 times the round trip at p50")
    show("An exclusive lease while six syncs fetch (capacity 6, yield: abort)",
         [("acquire, until granted", lines["busy"]), ("acquire for an order, stored first", lines["busy_order"]),
          ("six that poll a flag each 500 ms", lines["poll"])],
         lines["busy"])
    print("  goal: acquire within 20 ms at p99")


if __name__ == "__main__":
    main()
