"""scripts/prove with a workshop that builds and tests nothing: what counts as proved."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import select
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["VELOLLM_SOURCE_DIR"])


def load():
    loader = importlib.machinery.SourceFileLoader("prove", str(SOURCE / "scripts/prove"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prove", loader))
    loader.exec_module(module)
    return module


PROVE = load()
RIGHT = "int f() {\n    return 1;\n}\n"


class Workshop:
    """Its tests read the source: each is red when the source isn't what it demands."""

    def __init__(self, tree, compiles=lambda text: True):
        self.tree, self.compiles = tree, compiles
        (tree / "a.cpp").write_text(RIGHT)

    def source(self):
        return (self.tree / "a.cpp").read_text()

    def make(self, _tests):
        return self.compiles(self.source())

    def test(self, name):
        if name == "Blind.Test":
            return PROVE.GREEN
        return PROVE.GREEN if self.source() == RIGHT else PROVE.RED


class Prove(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="velollm-prove-")
        self.addCleanup(temporary.cleanup)
        self.tree = Path(temporary.name)

    def entry(self, **more):
        return {"id": "M01", "what": "w", "tests": ["Good.Test"], "file": "a.cpp", "old": "return 1;", "new": "return 2;"} | more

    def prove(self, *entries, **more):
        workshop = Workshop(self.tree, **more)
        words = io.StringIO()
        with contextlib.redirect_stdout(words):
            unproved = PROVE.prove_all(workshop, entries)
        self.assertEqual(workshop.source(), RIGHT, "the source is as it was")
        return unproved, words.getvalue()

    def test_a_test_that_turns_red_proves(self):
        unproved, words = self.prove(self.entry())
        self.assertEqual(unproved, [])
        self.assertRegex(words, r"M01 +proved .*Good.Test red")

    def test_all_tests_must_turn_red(self):
        unproved, words = self.prove(self.entry(tests=["Good.Test", "Blind.Test"]), self.entry(id="M02"))
        self.assertEqual(unproved, ["M01"])
        self.assertIn("Blind.Test GREEN", words)

    def test_what_does_not_compile_proves_nothing(self):
        unproved, words = self.prove(self.entry(), compiles=lambda text: text == RIGHT)
        self.assertEqual(unproved, ["M01"])
        self.assertIn("doesn't compile", words)

    def test_a_text_that_is_gone_or_there_twice_proves_nothing(self):
        self.assertEqual(self.prove(self.entry(old="return 3;"))[0], ["M01"])
        self.assertEqual(self.prove(self.entry(old="n"))[0], ["M01"])

    def test_tests_that_are_red_already_are_named(self):
        workshop = Workshop(self.tree)
        self.assertEqual(PROVE.baseline(workshop, [self.entry()]), [])
        (self.tree / "a.cpp").write_text("broken")
        self.assertEqual(PROVE.baseline(workshop, [self.entry(tests=["Good.Test", "Blind.Test"])]), ["Good.Test"])

    def test_what_takes_too_long_ends_with_all_that_it_started(self):
        workshop = PROVE.Workshop(self.tree, 1)
        with self.assertRaises(subprocess.TimeoutExpired):
            workshop.run(["sh", "-c", f"tail -f /dev/null & echo $! > {self.tree}/child; wait"], 2)
        child = int((self.tree / "child").read_text())
        with contextlib.suppress(ProcessLookupError):  # gone already
            handle = os.pidfd_open(child)
            self.addCleanup(os.close, handle)
            self.assertTrue(select.select([handle], [], [], 30)[0], "it still runs")

    def test_the_copy_has_what_the_tree_has_and_equal_files_stay(self):
        root, copy = self.tree / "root", self.tree / "copy"
        root.mkdir()
        subprocess.run(["git", "init", "-q", root], check=True)
        (root / "kept").write_text("1")
        (root / "changed").write_text("1")
        PROVE.copy_tree(root, copy)
        (copy / "stray").write_text("1")
        os.utime(copy / "kept", (1, 1))
        (root / "changed").write_text("2")
        PROVE.copy_tree(root, copy)
        self.assertEqual(sorted(path.name for path in copy.iterdir()), ["changed", "kept"])
        self.assertEqual((copy / "changed").read_text(), "2")
        self.assertEqual((copy / "kept").stat().st_mtime, 1)

    def test_the_table_has_a_row_for_each(self):
        rows = PROVE.table([self.entry(old="a | b"), {"id": "M02", "what": "w", "absent": "later"}]).splitlines()
        self.assertEqual(rows[2:], ["| M01 | w | `Good.Test` | a.cpp: `a \\| b` → `return 2;` |", "| M02 | w | none yet | later |"])

    def test_an_unknown_id_is_refused(self):
        done = subprocess.run([SOURCE / "scripts/prove", "--only", "M99", "--table"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("There is no M99", done.stderr)


if __name__ == "__main__":
    unittest.main()
