"""Whether the checks see a fault: each patch in mutants/ is a small one, put into a copy of the sources, and some simulated
world must show it, or the program that its header names. The header says, too, which rule it breaks, what is to catch it and
how soon."""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
CHOSEN = [sys.argv.pop(1) for _ in range(len(sys.argv) - 1)]  # names of mutants; none: all

SIMULATOR = "syncbus-sim"
SEQUENCES = "test_delta_sequences"
FIELDS = {  # of a header, by the program that shows the fault
    SIMULATOR: ("breaks", "caught by", "seeds", "from", "hours", "faults"),
    SEQUENCES: ("breaks", "caught by", "seeds", "from", "shown by"),
}
FIELDS_OF_TESTS = ("breaks", "caught by", "shown by")
STORIES = ROOT / "tests/scenario"
AT_ONCE = 2
SECONDS_MAX = 120  # for the worlds of one program
BROKEN = re.compile(r"^(?P<name>\S+) is broken with seed (?P<seed>\d+)|^the core broke off with seed (?P<aborted>\d+)|"
                    r"^(?P<without>[A-Z]\d+): ")


class Mutant:
    """A patch, and what its header says of it."""

    def __init__(self, path):
        self.name = path.stem
        self.path = path
        text = path.read_text()
        header = text.split("\n--- ", 1)[0]
        fields = dict(re.findall(r"^([a-z ]+): (.+)$", header, flags=re.MULTILINE))
        self.program, *words = fields.get("shown by", SIMULATOR).split()
        if sorted(fields) != sorted(FIELDS.get(self.program, FIELDS_OF_TESTS)):
            raise ValueError(f"{path.name}: its header has not the fields that {self.program} needs")
        self.checks = set(fields["caught by"].split(", "))
        self.seeds = int(fields.get("seeds", 1))
        self.first = int(fields.get("from", 1))
        self.words = tuple(self.arguments(words, fields))
        self.files = re.findall(r"^--- a/(\S+)$", text, flags=re.MULTILINE)

    def arguments(self, words, fields):
        """What the program is called with, but for the number of seeds."""
        if self.program == "test_scenario":
            return [str(STORIES / f"{words[0]}.txt")]
        if self.program == SIMULATOR:
            faults = [] if fields["faults"] == "all" else ["--faults", fields["faults"]]
            words = ["--hours", fields["hours"], *faults]
        return words + (["--seed", str(self.first)] if self.program in (SIMULATOR, SEQUENCES) else [])

    @property
    def world(self):
        """Mutants of one world differ in their seeds only."""
        return self.program, self.words, self.first


def run(command, folder, **more):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def compile_commands():
    """How each source of the simulator is compiled, by its name; what several programs share counts once."""
    return {str(pathlib.Path(entry["file"]).relative_to(ROOT)): entry
            for entry in json.loads((BUILD / "compile_commands.json").read_text())
            if pathlib.Path(entry["file"]).is_relative_to(ROOT)}


def link_command(program):
    """The arguments with which a program is linked."""
    last = run(["ninja", "-t", "commands", program], BUILD).splitlines()[-1]
    return shlex.split(last.removeprefix(": && ").removesuffix(" && :"))


def with_value(arguments, option, value):
    """The arguments with another value of an option, and the one it had."""
    place = arguments.index(option) + 1
    return arguments[:place] + [value] + arguments[place + 1:], arguments[place]


class Workshop:
    """Builds programs with faults."""

    def __init__(self, programs):
        self.compile = compile_commands()
        self.link = {program: link_command(program) for program in programs}

    def apply(self, mutant, folder):
        for name in mutant.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        # Nothing above the folder is looked at: the copies are under no version control.
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        run(["git", "apply", mutant.path], folder, env=env | {"GIT_CEILING_DIRECTORIES": str(folder.parent)})

    def build(self, mutant, folder):
        """The program with the mutant's sources in place of the originals."""
        self.apply(mutant, folder)
        link, _ = with_value(self.link[mutant.program], "-o", str(folder / "program"))
        fresh = []
        for name in mutant.files:
            entry = self.compile[name]
            arguments, original = with_value(shlex.split(entry["command"]), "-o", str(folder / f"{name}.o"))
            arguments = [str(folder / name) if argument == entry["file"] else argument for argument in arguments]
            run(arguments + ["-w"], entry["directory"])
            # What is in a library is found here first, and is not taken from there.
            link = [argument for argument in link if argument != original]
            fresh.append(str(folder / f"{name}.o"))
        place = link.index("-o")
        run(link[:place] + fresh + link[place:], BUILD)
        return folder / "program"


def broken(program, world, seeds):
    """The first invariant that is broken there, as (name, how many seeds it took); None if none is. An assertion is
    called core, a test that fails test."""
    kind, words, first = world
    command = [program, *words]
    if kind in (SIMULATOR, SEQUENCES):
        command += ["--seeds", str(seeds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        late = threading.Timer(SECONDS_MAX, process.kill)
        late.start()
        found = next(filter(None, map(BROKEN.match, process.stdout)), None)
        in_time = late.is_alive()
        if found is None:
            process.wait()
        late.cancel()
        process.kill()  # the simplest world is of no interest here
    if found is not None:
        at = found["seed"] or found["aborted"]
        return found["name"] or found["without"] or "core", int(at) - first + 1 if at else 1
    if not in_time:
        raise RuntimeError(f"{shlex.join(map(str, command))} does not end")
    if process.returncode == -signal.SIGABRT:
        return "core", 1
    if process.returncode > 0 and kind not in FIELDS:
        return "test", 1
    if process.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))} ends with {process.returncode}")
    return None


def judge(workshop, mutant):
    """Lets a mutant live until it is caught. The line of the table, and why it is not as its header says."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=BUILD) as folder:
        try:
            found = broken(workshop.build(mutant, pathlib.Path(folder)), mutant.world, mutant.seeds)
        except (RuntimeError, KeyError) as error:
            return f"{mutant.name}: not built or not run", f"{mutant.name}: {error}"
    spent = time.monotonic() - begin
    if found is None:
        return f"{mutant.name}: survived", f"{mutant.name}: survives {mutant.seeds} seeds"
    name, seeds = found
    line = f"{mutant.name}: {name} after {seeds} of {mutant.seeds} seeds, {spent:.1f} s"
    return line, None if name in mutant.checks else f"{mutant.name}: caught by {name}, not by {mutant.checks}"


class Mutants(unittest.TestCase):
    def setUp(self):
        paths = sorted((ROOT / "tests/sim/mutants").glob("*.patch"))
        self.mutants = [Mutant(path) for path in paths if not CHOSEN or path.stem in CHOSEN]
        self.assertTrue(self.mutants)

    def test_1_the_bus_as_it_is_breaks_nothing_in_the_same_worlds(self):
        seeds = {}
        for mutant in self.mutants:
            seeds[mutant.world] = max(mutant.seeds, seeds.get(mutant.world, 0))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(lambda world: (world, broken(BUILD / "bin" / world[0], world, seeds[world])), seeds))
        self.assertEqual([], [each for each in found if each[1] is not None])

    def test_2_every_mutant_is_caught(self):
        workshop = Workshop({mutant.program for mutant in self.mutants})
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            judged = list(pool.map(lambda mutant: judge(workshop, mutant), self.mutants))
        print("\n".join(line for line, _ in judged))
        wrong = [why for _, why in judged if why is not None]
        self.assertFalse(wrong, "\n" + "\n".join(wrong))


if __name__ == "__main__":
    unittest.main()
