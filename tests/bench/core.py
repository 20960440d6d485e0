"""What very many jobs and sessions cost: the core alone, the broker's start, and a lease beside a crowd.

All in one run, since speeds of different runs cannot be compared. Prints tables; --json prints the numbers.
"""
import argparse
import contextlib
import json
import subprocess
import sys
import time

from bus import BIN, Bus

BENCH = BIN / "bench-core"
LEASE = BIN / "bench-lease"
# Large pages for what malloc gives, as the broker's unit in deploy/systemd asks for them.
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"}


def lines_of(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def core(counts):
    return [lines_of(BENCH, "core", count)[0] for count in counts]


def start(count):
    """The broker's start with so many jobs: with a new journal, and again with the one that it left."""
    jobs = {f"j{i:06}": {"every": "10m", "offset": f"{i * 600000 // count}ms"} for i in range(count)}
    seconds = []
    with Bus(jobs=jobs, broker={"max_jobs": count}) as bus:
        bus.write_config()  # not what is measured
        for _ in range(2):
            since = time.monotonic()
            bus.start("broker", env=ENVIRONMENT)
            bus.wait_for(bus.answers, "the broker to answer", 120)
            seconds.append(time.monotonic() - since)
            bus.stop("broker")
    return {"name": "start", "jobs": count, "new_s": seconds[0], "again_s": seconds[1]}


@contextlib.contextmanager
def crowd(bus, count):
    process = subprocess.Popen([str(BENCH), "crowd", bus.requests, str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "joined\n":
            sys.exit("the crowd could not join")
        yield
    finally:
        process.stdin.close()
        process.wait(60)


def sessions(few, many, rounds):
    """Exclusive leases beside few sessions and beside many, in turn on two brokers, so that both see the same machine."""
    samples = {few: [], many: []}
    with Bus(broker={"max_sessions": 8192}) as small, Bus(broker={"max_sessions": 8192}) as large:
        for bus, echo in ((small, "echo-small"), (large, "echo-large")):
            bus.start("broker")
            bus.wait_for(bus.answers, "the broker to answer")
            bus.spawn(echo, [LEASE, "echo", f"ipc://{bus.folder}/echo"])
            bus.wait_for(lambda b=bus, e=echo: "listening" in b.log(e), "the echo to listen")
        with crowd(small, few), crowd(large, many):
            for _ in range(rounds):
                for bus, count in ((small, few), (large, many)):
                    found = lines_of(LEASE, "idle", bus.requests, f"ipc://{bus.folder}/echo", 200)
                    samples[count].append({line["name"]: line for line in found}["idle"])
    return [{"name": "sessions", "sessions": count, "p50_us": sorted(s["p50_us"] for s in lines)[len(lines) // 2],
             "p99_us": sorted(s["p99_us"] for s in lines)[len(lines) // 2], "max_us": max(s["max_us"] for s in lines),
             "count": sum(s["count"] for s in lines)} for count, lines in samples.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each, to see that it works")
    parser.add_argument("--json", action="store_true", help="the numbers, an object a line")
    options = parser.parse_args()
    counts = [10, 1000] if options.quick else [10, 1000, 10000, 100000]
    cores = core(counts)
    started = start(100 if options.quick else 100000)
    crowds = sessions(10, 100, 1) if options.quick else sessions(10, 5000, 15)
    if options.json:
        for line in [*cores, started, *crowds]:
            print(json.dumps(line))
        return
    print("\nThe core alone: a step costs the same however many jobs there are")
    print(f"  {'jobs':>8}{'memory':>12}{'a job':>9}{'start':>11}{'a tick':>11}{'and a miss':>12}{'a run':>10}")
    for line, before in zip(cores, [None, *cores]):
        slope = "" if before is None else f"{(line['bytes'] - before['bytes']) / (line['jobs'] - before['jobs']):.0f} B"
        print(f"  {line['jobs']:>8}{line['bytes'] / 1e6:>9.1f} MB{slope:>9}{line['start_us'] / 1000:>8.1f} ms"
              f"{line['tick_us']:>8.2f} µs{line['missed_us']:>9.2f} µs{line['cycle_us']:>7.2f} µs")
    print("  a tick: the step that tells and stores it, with the look for its deadline; and a miss: it also ends the run before,"
          " which nobody took; a run: acquire, release, report")
    print("  goal: a tick within 5 µs; memory linear")
    print(f"\nThe broker's start with {started['jobs']} jobs, to its first answer:"
          f" {started['new_s']:.2f} s with a new journal, {started['again_s']:.2f} s with the one it left")
    print("  goal: 2 s")
    print("\nAn exclusive lease of an idle resource beside sessions that stay alive, in turn")
    print(f"  {'sessions':>8}{'count':>8}{'p50':>10}{'p99':>10}{'max':>10}")
    for line in crowds:
        print(f"  {line['sessions']:>8}{line['count']:>8}{line['p50_us']:>7.0f} µs{line['p99_us']:>7.0f} µs"
              f"{line['max_us']:>7.0f} µs")


if __name__ == "__main__":
    main()
