"""The same seed makes the same world, byte for byte; another one another."""

import pathlib
import subprocess
import sys
import unittest

SIM = pathlib.Path(sys.argv.pop(1))


def trace(seed):
    done = subprocess.run([SIM, "--seed", str(seed), "--hours", "0.3", "--trace"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return done.stdout.splitlines()[:-1]  # the last line has a speed


class SameWorld(unittest.TestCase):
    def test_the_same_seed_gives_the_same_trace(self):
        for seed in range(1, 6):
            lines = trace(seed)
            self.assertGreater(len(lines), 100)
            self.assertEqual(lines, trace(seed))

    def test_another_seed_gives_another_trace(self):
        self.assertNotEqual(trace(1), trace(2))


if __name__ == "__main__":
    unittest.main()
