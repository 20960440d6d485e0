"""The whole bus in a temporary directory: starts, kills and stops its programs by process id and asks them things.

    with Bus(jobs={"prices": {"every": "10s"}}) as bus:
        bus.start_all()
        bus.wait_for(lambda: bus.job("prices")["last_success_ms"], "prices to be synced")

SYNCBUS_BIN names the folder of the programs; SYNCBUS_WRAP, if set, is put before each of them. Nothing here sleeps for a result: wait_for asks until a condition holds
or its deadline has passed, and then fails with the ends of all logs.
"""
import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SYNCBUS_BIN", ROOT / "build" / "release" / "bin")).resolve()
WRAP = shlex.split(os.environ.get("SYNCBUS_WRAP", ""))  # words before each program's own, such as valgrind's
SKIP = 77  # ctest's word for a test that could not run
ENTITIES = ("orders", "customers", "products", "prices", "ddt", "invoices")


def real_data(*parts):
    """The folder of real exports, or the end of the test with a clear line where there is none."""
    root = os.environ.get("SYNCBUS_REAL_DATA")
    if not root:
        print("skipped: SYNCBUS_REAL_DATA does not name a folder of real exports")
        sys.exit(SKIP)
    path = pathlib.Path(root, *parts).resolve()
    if not path.exists():
        print(f"skipped: {path} is not there")
        sys.exit(SKIP)
    return path


def messages():
    """The module of syncbus.proto's messages, compiled once for each process."""
    if "syncbus_pb2" not in sys.modules:
        folder = tempfile.mkdtemp(prefix="syncbus-pb-")
        try:
            subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={folder}", "syncbus.proto"],
                           check=True)
            sys.path.insert(0, folder)
            import syncbus_pb2  # noqa: F401
        finally:
            sys.path.remove(folder)
            shutil.rmtree(folder)
    return sys.modules["syncbus_pb2"]


class Failure(AssertionError):
    """A condition did not come true in time."""


class Bus:
    """One bus: its config, its programs, its simulated ERP.

    jobs: name → options that replace the defaults (None leaves the job out); all six by default.
    resource, orders, broker: options that replace the defaults of the ERP's resource, of orders and of the broker.
    erp: arguments of the simulated ERP; generated exports by default.
    job_defaults: options for every job.
    """

    def __init__(self, jobs=None, resource=None, orders=None, broker=None, erp=("--generate", "60", "--seed", "1"),
                 job_defaults=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="syncbus-"))
        self.processes = {}
        self.erp_args = list(erp)
        self.erp_url = None
        self.within = []  # words before the command of each program but the broker, such as nsenter's
        self.erp_host = "127.0.0.1"
        self.way = None  # to the broker, where it is not the broker's own address
        self.context = zmq.Context()
        self.settings = {"jobs": jobs if jobs is not None else {name: {} for name in ENTITIES},
                         "resource": resource or {}, "orders": orders or {}, "broker": broker or {},
                         "job_defaults": job_defaults or {}}

    # ------------------------------------------------------------ configuration
    @property
    def config_path(self):
        return self.folder / "syncbus.yaml"

    @property
    def client_config_path(self):
        """The configuration of all but the broker: another one where they reach it by another way."""
        return self.config_path.with_name("clients.yaml") if self.way else self.config_path

    def reach_broker_by(self, requests, events):
        """From the next write_config() on, services and order clients find the broker at other addresses than it has."""
        self.way = {"requests": requests, "events": events}

    @property
    def requests(self):
        return self.settings["broker"].get("requests", f"ipc://{self.folder}/run/requests")

    @property
    def events(self):
        return self.settings["broker"].get("events", f"ipc://{self.folder}/run/events")

    def config(self):
        """The configuration as a document; JSON is YAML."""
        settings = self.settings
        jobs = {}
        for name, options in settings["jobs"].items():
            source = {"url": f"{self.erp_url or 'http://127.0.0.1:9'}/export/{name}.csv", "format": "csv"}
            job = {"every": "1h", "key": ["id"], "data": str(self.folder / name), "source": source}
            job.update(settings["job_defaults"])
            options = dict(options or {})
            source.update(options.pop("source", {}))
            job.update(options)
            jobs[name] = job
        return {
            "broker": {"requests": self.requests, "events": self.events, "data": str(self.folder / "broker"),
                       **settings["broker"]},
            "resources": {"erp": {"capacity": 1, "lease_ttl": "3s", "grant_delay": "300ms", **settings["resource"]}},
            "jobs": jobs,
            "orders": {"url": f"{self.erp_url or 'http://127.0.0.1:9'}/orders", "timeout": "5s",
                       "visibility_lag": "500ms", "data": str(self.folder / "order"), **settings["orders"]},
        }

    def write_config(self, change=None):
        """Writes the configuration, after `change` (a function) was applied to the document."""
        document = self.config()
        if change:
            change(document)
        self.config_path.write_text(json.dumps(document, indent=2) + "\n")
        if self.way:
            document["broker"].update(self.way)
            self.client_config_path.write_text(json.dumps(document, indent=2) + "\n")

    # ------------------------------------------------------------ programs
    def start(self, name, *args, env=None):
        """Starts "erp", "broker", "order" or "sync-JOB"; what it prints goes to NAME.log. Gives the Popen."""
        if name == "erp":
            return self._start_erp()
        if not self.config_path.exists():
            self.write_config()
        if name.startswith("sync-"):
            command = [BIN / "syncbus-sync", name[len("sync-"):]]
        else:
            command = [BIN / f"syncbus-{name}"]
        is_broker = name == "broker"
        config = self.config_path if is_broker else self.client_config_path
        within = [] if is_broker else self.within
        return self.spawn(name, [*within, *WRAP, *command, "--config", config, *args], env=env)

    def set_wall_clock(self, ahead_s):
        """Moves the wall clock of the programs that were started with wall_clock_env()."""
        fresh = self.folder / "wall_clock.new"
        fresh.write_text(f"{ahead_s}\n")
        fresh.rename(self.folder / "wall_clock")

    def wall_clock_env(self):
        """The environment in which a program's wall clock can be moved; all its other clocks are the machine's."""
        return {"LD_PRELOAD": str(BIN / "wall_clock.so"), "SYNCBUS_WALL_CLOCK": str(self.folder / "wall_clock"),
                "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}

    def spawn(self, name, command, env=None, **options):
        """Starts any program under a name of its own; its output is appended to NAME.log."""
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in command],
                                       **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": self.folder,
                                          "env": {**os.environ, **(env or {})}, **options})
        self.processes[name] = process
        return process

    def _start_erp(self):
        listen = f"{self.erp_host}:0" if self.erp_url is None else self.erp_url.split("//")[1]
        self.spawn("erp", [*self.within, BIN / "syncbus-erp", "--listen", listen, *self.erp_args])
        said = self.wait_for(lambda: re.search(r"listening on (http://[\w.:]+)", self.log("erp")), "the ERP to listen")
        self.erp_url = said.group(1)
        return self.processes["erp"]

    def start_all(self):
        """ERP, broker, every sync and the order service."""
        self.start("erp")
        self.write_config()
        self.start("broker")
        self.wait_for(self.answers, "the broker to answer")
        for name in self.settings["jobs"]:
            self.start(f"sync-{name}")
        self.start("order")
        return self

    def kill(self, name, number=signal.SIGKILL):
        """Sends a signal by process id and, if it ends the program, waits for its end."""
        process = self.processes[name]
        process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            process.wait(timeout=30)
            del self.processes[name]
        return process

    def stop(self, name):
        """A clean end; gives the exit code."""
        return self.kill(name, signal.SIGTERM).returncode

    def close(self):
        """Ends everything and removes the folder."""
        for name in [n for n in self.processes if n not in ("broker", "erp")] + ["broker", "erp"]:
            process = self.processes.pop(name, None)
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.context.destroy(linger=0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.show_logs()
        self.close()

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def show_logs(self, lines=25):
        for path in sorted(self.folder.glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            print(f"--- end of {path.name}", *tail, sep="\n", file=sys.stderr)

    # ------------------------------------------------------------ conditions
    def wait_for(self, condition, what, seconds=30):
        """Asks until the condition gives something true, and gives that; a Failure after the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                self.show_logs()
                raise Failure(f"waited {seconds} s in vain for {what}")
            time.sleep(0.02)

    # ------------------------------------------------------------ the bus, raw
    def ask(self, timeout=5, **body):
        """One one-shot request on a fresh REQ socket, such as ask(snapshot={}); the Reply, or None on a time-out."""
        pb = messages()
        with self.requester() as socket:
            request = pb.Request(id=random.getrandbits(63) | 1, **{k: self._body(pb, k, v) for k, v in body.items()})
            socket.send(request.SerializeToString())
            if not socket.poll(int(timeout * 1000)):
                return None
            return pb.Reply.FromString(socket.recv())

    @staticmethod
    def _body(pb, name, value):
        if not isinstance(value, dict):
            return value
        return pb.Request.DESCRIPTOR.fields_by_name[name].message_type._concrete_class(**value)

    @contextlib.contextmanager
    def requester(self, kind=zmq.REQ):
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.connect(self.requests)
        try:
            yield socket
        finally:
            socket.close()

    def subscriber(self, *topics):
        """A SUB socket on the given topics; the caller closes it."""
        socket = self.context.socket(zmq.SUB)
        socket.linger = 0
        for topic in topics:
            socket.subscribe(topic.encode())
        socket.connect(self.events)
        return socket

    def answers(self):
        """The broker's State, or None while it does not answer."""
        reply = self.ask(timeout=1, snapshot={})
        return reply.state if reply is not None and reply.HasField("state") else None

    def job(self, name):
        """JobState of one job, or None."""
        state = self.answers()
        return next((job for job in state.jobs if job.job == name), None) if state else None

    def resource(self, name="erp"):
        """ResourceState of a resource, or None."""
        state = self.answers()
        return next((r for r in state.resources if r.resource == name), None) if state else None

    def succeeded(self, *names):
        """True when each of the jobs (all if none is named) has ended a run well."""
        state = self.answers()
        if not state:
            return False
        done = {job.job for job in state.jobs if job.last_success_ms}
        return done >= set(names or self.settings["jobs"])

    # ------------------------------------------------------------ the command line
    def cli(self, *args, timeout=60, stdin=None, env=None):
        """Runs `syncbus ARGS` to its end; the CompletedProcess with text."""
        return subprocess.run([str(BIN / "syncbus"), *map(str, args), ], input=stdin, capture_output=True, text=True,
                              timeout=timeout, cwd=self.folder,
                              env={**os.environ, "SYNCBUS_CONFIG": str(self.config_path), **(env or {})})

    def cli_json(self, *args, **options):
        """The objects that `syncbus ARGS --json` prints; fails unless it ends with 0."""
        done = self.cli(*args, "--json", **options)
        if done.returncode != 0:
            raise Failure(f"syncbus {' '.join(map(str, args))} ended with {done.returncode}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def place(self, key, body=None, *args, **options):
        """`syncbus order place - --key KEY`; the CompletedProcess."""
        return self.cli("order", "place", "-", "--key", key, *args, stdin=json.dumps(body or {"item": key}), **options)

    # ------------------------------------------------------------ the ERP
    def erp(self, path, method="GET", /, **query):
        """One request to the ERP: (status, text)."""
        url = f"{self.erp_url}{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        request = urllib.request.Request(url, method=method, data=b"" if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def fault(self, kind, path, **options):
        """Tells the ERP to misbehave: `count` times, with `value`, at `path`."""
        status, text = self.erp("/admin/fault", "POST", kind=kind, path=path, **options)
        assert status < 300, text

    def heal(self):
        self.erp("/admin/fault", "POST", clear="1")

    def next_version(self, **query):
        status, text = self.erp("/admin/next", "POST", **query)
        assert status < 300, text

    def judge(self):
        return json.loads(self.erp("/admin/judge")[1])

    def assert_judge_is_content(self, stale_presented=False):
        """Every count but accesses and orders is 0; stale tokens may be presented where a test provokes them."""
        counts = self.judge()
        allowed = {"accesses", "orders"} | ({"stale_tokens_presented"} if stale_presented else set())
        wrong = {name: count for name, count in counts.items() if name not in allowed and count}
        assert not wrong, f"the judge saw {wrong}"
        return counts
