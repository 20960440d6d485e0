"""The example in C runs as anybody would run it, against an installed library, which shows what it promises."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import bus

HERE = pathlib.Path(__file__).resolve().parent
BUILD = os.environ["SYNCBUS_BUILD"]
CC = os.environ.get("CC", "cc")


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="syncbus-interop-")
        cls.prefix = pathlib.Path(cls.folder.name, "prefix")
        run(["cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "library"])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.bus = bus.Bus(jobs={"prices": {}}, resource={"lease_ttl": "3s"})
        self.addCleanup(self.bus.close)
        self.bus.start("broker")
        self.bus.wait_for(self.bus.answers, "the broker to answer")

    def environment(self, **more):
        return {**os.environ, **more}

    def build_example(self):
        package = next(self.prefix.rglob("syncbus.pc"))
        words = run(["pkg-config", "--cflags", "--libs", "syncbus"],
                    env=self.environment(PKG_CONFIG_PATH=str(package.parent))).split()
        program = pathlib.Path(self.folder.name, "lease")
        run([CC, "-std=c17", "-Wall", "-Wextra", "-Werror", *os.environ.get("SYNCBUS_FLAGS", "").split(), HERE / "lease.c",
             "-o", program, *words])
        return program, next(self.prefix.rglob("libsyncbus.so")).parent

    def test_a_c_program_takes_a_lease_with_the_installed_header_alone(self):
        self.assertEqual([path.name for path in self.prefix.rglob("*.h")], ["syncbus.h"])
        program, libraries = self.build_example()
        said = run([program, self.bus.requests, "erp"], env=self.environment(LD_LIBRARY_PATH=str(libraries)))
        self.assertRegex(said, r"^granted \d+\nleft some\nreleased\n$")

    def test_a_c_program_is_told_why_it_got_none(self):
        program, libraries = self.build_example()
        done = subprocess.run([program, self.bus.requests, "no-such"], capture_output=True, text=True, timeout=60,
                              env=self.environment(LD_LIBRARY_PATH=str(libraries)))
        self.assertEqual(done.returncode, 1)
        self.assertIn("no-such", done.stderr)

    def test_the_library_exports_its_promises_and_nothing_else(self):
        library = next(self.prefix.rglob("libsyncbus.so"))
        symbols = run(["nm", "-D", "--defined-only", "--format=just-symbols", library]).split()
        header = (bus.ROOT / "proto" / "syncbus.h").read_text()
        promised = set(re.findall(r"SYNCBUS_EXPORT[^;(]*?\*?(syncbus_\w+)\(", header))
        self.assertGreater(len(promised), 15)
        self.assertEqual({name for name in symbols if not name.startswith("SYNCBUS")}, promised)

    def test_an_example_has_at_most_forty_lines(self):
        self.assertLessEqual(len((HERE / "lease.c").read_text().splitlines()), 40)


if __name__ == "__main__":
    unittest.main()
