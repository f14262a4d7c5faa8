"""scripts/fuzz with stand-ins for the fuzz programs: who is run how, and what is said of a finding."""

import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(os.environ["VELOLLM_SOURCE_DIR"]) / "scripts/fuzz"
PATIENCE_SECONDS = 60

QUIET = 'echo "#9 DONE cov: 7 ft: 9"; echo "stat::number_of_executed_units: 42"\n'
CRASH = ('for word in "$@"; do case $word in -artifact_prefix=*) prefix=${word#-artifact_prefix=} ;; esac; done\n'
         'echo bad > "${prefix}crash-abc"; exit 77\n')


class FuzzCommand(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="velollm-fuzz-")
        self.addCleanup(temporary.cleanup)
        self.build = Path(temporary.name)
        self.place = self.build / "tests/fuzz"
        self.place.mkdir(parents=True)

    def targets(self, **programs):
        for name, text in programs.items():
            path = self.place / f"fuzz_{name}"
            path.write_text(f'#!/bin/sh\necho "$@" > "{self.place}/{name}.words"\n{text}')
            path.chmod(0o755)
        (self.place / "targets.txt").write_text("".join(f"{name}\n" for name in programs))

    def start(self, *words):
        process = subprocess.Popen([SCRIPT, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def fuzz(self, *words):
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
        return process.returncode, out, err

    def test_the_time_is_shared_evenly_two_at_once(self):
        self.targets(json=QUIET, one=QUIET, two=QUIET)
        (self.place / "seeds/one").mkdir(parents=True)
        code, out, err = self.fuzz("1", self.build)
        self.assertEqual(code, 0, out + err)
        for name in ("json", "one", "two"):
            self.assertIn("-max_total_time=40", (self.place / f"{name}.words").read_text())
            self.assertRegex(out, rf"(?m)^{name} +nothing +42 executions, cov: 7$")
        self.assertIn("-dict=tests/fuzz/json.dict", (self.place / "json.words").read_text())
        self.assertIn(" tests/fuzz/corpus/json", (self.place / "json.words").read_text())
        self.assertIn(f" {self.place}/seeds/one", (self.place / "one.words").read_text())

    def test_two_run_at_once(self):
        pipe = self.place / "pipe"
        os.mkfifo(pipe)
        self.targets(one=f'echo met > "{pipe}"\n', two=f'cat "{pipe}"\n')  # each waits for the other
        self.assertEqual(self.fuzz("1", self.build)[0], 0)

    def test_a_finding_is_kept_named_and_an_error(self):
        self.targets(good=QUIET, bad=CRASH, other=QUIET)
        code, out, err = self.fuzz("0.1", self.build)
        self.assertEqual(code, 1, out + err)
        found = list(self.place.glob("findings-*/bad-crash-abc"))
        self.assertEqual(len(found), 1)
        self.assertIn(f"\n    {self.place}/fuzz_bad {found[0]}\n", out)
        self.assertRegex(out, r"(?m)^bad +FOUND")
        self.assertRegex(out, r"(?m)^other +nothing")

    def test_a_program_that_just_fails_is_no_success(self):
        self.targets(broken="exit 1\n")
        code, out, _ = self.fuzz("1", self.build)
        self.assertEqual(code, 1)
        self.assertIn("no input was kept; see", out)

    def test_interrupting_it_ends_the_programs(self):
        pipe = self.place / "pipe"
        os.mkfifo(pipe)
        self.targets(long=f'exec cat "{pipe}"\n')
        process = self.start("1", self.build)
        with open(pipe, "w", encoding="utf-8"):  # opens when the program reads it: now it runs
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE_SECONDS), 130)

    def test_wrong_words_are_refused(self):
        self.targets(good=QUIET)
        for words in ((), ("x",), ("-1",), ("1", self.build, "more")):
            self.assertEqual(self.fuzz(*words)[0], 2, words)
        code, _, err = self.fuzz("1", self.build / "nowhere")
        self.assertEqual(code, 1)
        self.assertIn("./check --fuzz MINUTES", err)


if __name__ == "__main__":
    unittest.main()
