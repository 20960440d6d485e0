"""The rules of style that a program can check, over every file under version control."""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(sys.argv.pop(1))

PURE = ("broker/core/", "proto/base/", "proto/session.", "services/sync/machine.", "services/sync/pages.",
        "services/order/machine.")
IMPURE_INCLUDE = re.compile(r'#include\s*[<"](zmq|czmq|lmdb|curl|time\.h|sys/|unistd|fcntl|pthread|poll|proto/io|proto/client)')
IMPURE_SYMBOL = re.compile(
    r"^(zmq_|mdb_|curl_|clock_|gettimeofday|time$|nanosleep|usleep|sleep$|open|read$|write$|socket|poll|select|epoll"
    r"|pthread_|getenv|getrandom|s?rand$|random$|fopen|fprintf|printf|puts)")
ALLOCATION = re.compile(r"^(malloc|calloc|realloc|free|strdup|aligned_alloc|posix_memalign)$")
PURE_ARCHIVES = {"core": True, "session": False, "sync_machine": False, "sync_pages": False, "sync_rules": False,
                 "order_machine": False, "base": False}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|atoll|strtok|gets|alloca|system|popen|tmpnam)\s*\(")
SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|zclock_sleep)\s*\(")
LINES_MAX = 600


def tracked(*patterns):
    """Files under version control, with text."""
    names = subprocess.run(["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, check=True, capture_output=True,
                           text=True).stdout.split("\0")
    return {name: (ROOT / name).read_text(errors="replace") for name in names if name and (ROOT / name).is_file()}


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


class Style(unittest.TestCase):
    def setUp(self):
        self.code = tracked("*.c", "*.h")

    def assert_none(self, found):
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_the_pure_parts_include_no_io_and_no_clock(self):
        self.assert_none([f"{name}: {match.group(0)}" for name, text in self.code.items() if name.startswith(PURE)
                          for match in IMPURE_INCLUDE.finditer(text)])

    def test_the_pure_parts_call_no_io_and_no_clock_and_the_core_allocates_nothing(self):
        found = []
        for name, no_allocation in PURE_ARCHIVES.items():
            archives = list(BUILD.rglob(f"lib{name}.a"))
            self.assertEqual(len(archives), 1, f"one lib{name}.a is expected: {archives}")
            symbols = subprocess.run(["nm", "--undefined-only", "--format=just-symbols", archives[0]], check=True,
                                     capture_output=True, text=True).stdout.split()
            found += [f"lib{name}.a calls {symbol}" for symbol in set(symbols)
                      if IMPURE_SYMBOL.match(symbol) or (no_allocation and ALLOCATION.match(symbol))]
        self.assert_none(found)

    def test_only_one_file_of_each_shell_includes_its_library(self):
        owners = {"zmq.h": {"broker/net.c", "proto/client.c"}, "lmdb.h": {"proto/io/store.c"},
                  "systemd/sd-daemon.h": {"proto/io/notify.c"}}
        self.assert_none([f"{name} includes {header}" for header, allowed in owners.items()
                          for name, text in self.code.items()
                          if f"#include <{header}>" in text and name not in allowed and not name.startswith("tests/")])

    def test_nothing_below_includes_what_is_above_it(self):
        below = {"proto/": ("broker/", "services/", "tools/"), "broker/": ("services/", "tools/"),
                 "services/": ("broker/", "tools/"), "tools/": ("broker/", "services/")}
        self.assert_none([f"{name} includes {match.group(1)}" for name, text in self.code.items()
                          for folder, others in below.items() if name.startswith(folder)
                          for match in re.finditer(r'#include "([^"]+)"', text) if match.group(1).startswith(others)])

    def test_no_file_is_longer_than_its_limit(self):
        self.assert_none([f"{name}: {text.count(chr(10))} lines" for name, text in self.code.items()
                          if text.count("\n") > LINES_MAX])

    def test_no_function_is_longer_than_seventy_lines(self):
        found = []
        for name, text in self.code.items():
            for match in re.finditer(r"^\{\n(.*?)^\}", text, flags=re.DOTALL | re.MULTILINE):
                if match.group(1).count("\n") > 70:
                    line = text[:match.start()].count("\n")
                    found.append(f"{name}:{line}: {match.group(1).count(chr(10))} lines")
        self.assert_none(found)

    def test_no_function_that_cannot_be_used_safely_is_called(self):
        self.assert_none([f"{name}: {match.group(0)}" for name, text in self.code.items()
                          for match in BANNED.finditer(without_comments(text))])

    def test_what_programs_say_goes_through_the_one_place_that_shows_no_control_characters(self):
        speaking = re.compile(r"\b(v?f?printf|puts|fputs|putchar|fputc|fwrite|dprintf|perror)\s*\(")
        own_words = {"proto/io/say.c", "proto/io/config.c"}  # the latter prints the table of its options alone
        self.assert_none([f"{name}: {match.group(0)}" for name, text in self.code.items()
                          if name.startswith(("broker/", "proto/", "services/", "tools/syncbus/"))
                          and name not in own_words for match in speaking.finditer(without_comments(text))])

    def test_no_unit_or_scenario_test_sleeps(self):
        self.assert_none([f"{name}: {match.group(0)}" for name, text in self.code.items()
                          if name.startswith(("tests/unit/", "tests/scenario/"))
                          for match in SLEEP.finditer(without_comments(text))])

    def test_nothing_is_left_for_later(self):
        mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
        self.assert_none([name for name, text in tracked().items() if mark.search(text)])

    def test_every_folder_says_what_lives_in_it(self):
        folders = {parent for name in tracked() for parent in pathlib.PurePath(name).parents}
        silent = [str(folder) for folder in sorted(folders)
                  if not (ROOT / folder / "README.md").exists() and not str(folder).startswith((".ci", "tests/fuzz/corpus"))
                  and not (str(folder).startswith("tests/unit/"))]
        self.assert_none(silent)

    def test_the_code_has_the_projects_format(self):
        files = [ROOT / name for name in self.code]
        done = subprocess.run(["clang-format-14", "--dry-run", "--Werror", *files], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr[:4000])


if __name__ == "__main__":
    unittest.main()
