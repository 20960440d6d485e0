"""Every promise of tests/promises.md names tests that show it, and each of them is there."""
import pathlib
import re
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[2]
NAME = re.compile(r"`([^`/ ]+)/([^`/ ]+)`")
# A case in Python; one in C, that is run below; a fuzz target.
RUN = (r"^\s*def {0}\(self\)", r"^static void {0}\(\s*void \*\*(?s:.*)\b{0}\b", r"^int {0}\(const uint8_t")


def rows(text):
    """(promise, names of its tests) of each row of the tables."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| promise ")):
            promise, _, shown = line.strip("| ").rpartition("|")
            yield promise.strip(), NAME.findall(shown)


def is_there(file, case, sources):
    if file == "scenario":
        return (TESTS / "scenario" / f"{case}.txt").exists()
    return any(re.search(pattern.format(re.escape(case)), sources.get(file, ""), re.MULTILINE) for pattern in RUN)


class Promises(unittest.TestCase):
    def setUp(self):
        self.rows = list(rows((TESTS / "promises.md").read_text()))
        self.sources = {path.stem: path.read_text() for path in [*TESTS.rglob("*.c"), *TESTS.rglob("test_*.py")]}

    def test_each_promise_names_a_test(self):
        self.assertGreater(len(self.rows), 100)
        self.assertEqual([promise for promise, names in self.rows if not names], [])

    def test_each_test_that_is_named_is_there(self):
        self.assertEqual([f"{file}/{case}" for _, names in self.rows for file, case in names
                          if not is_there(file, case, self.sources)], [])

    def test_what_is_no_test_is_found_out(self):
        for name in ("scenario/no_such_story", "test_core/no_such_case", "no_such_file/a_case", "test_core/set_up"):
            self.assertFalse(is_there(*name.split("/"), self.sources), name)


if __name__ == "__main__":
    unittest.main()
