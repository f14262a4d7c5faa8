"""`velollm predict --measure`, and what benchmarks and forecasts make of each other, with the embedded engine."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

MODEL = Path(os.environ["VELOLLM_MODEL"])
ONE = ("--prompt", "Say hello", "--max-tokens", "16", "--iterations", "2", "--num-thread", "1")
# What a machine that has other work says, and a shared one may have some at any time.
BUSY = r"Error: The machine is (busy: others used [\d.]+ cores during the measurement|too unsteady)"


class PredictEngineTest(CliTest):
    def setUp(self):
        super().setUp()
        self.cache = self.folder / "cache"
        self.calibration = self.folder / "home/state/velollm/calibration.json"

    def check_schema(self, name, file):
        done = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema" / name), str(file)], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def known(self):
        self.check_schema("velollm-calibration-1.schema.json", self.calibration)
        return json.loads(self.calibration.read_text(encoding="utf-8"))

    def benchmark(self):
        return self.expect(self.velollm("benchmark", "-b", "embedded", "-m", MODEL, *ONE), 0)

    def test_a_shape_is_timed_and_leaves_nothing(self):
        done = self.velollm("predict", "smollm2:135m", "--measure", "--num-thread", "1", "--json",
                            env={"XDG_CACHE_HOME": self.cache}, seconds=300)
        self.assertEqual(list((self.cache / "velollm").iterdir()), [])
        if done.code == 1:
            self.assertRegex(done.err, BUSY)
            return
        self.expect(done, 0)
        file = self.folder / "prediction.json"
        file.write_text(done.out, encoding="utf-8")
        self.check_schema("velollm-prediction-1.schema.json", file)
        speed = json.loads(done.out)["speed"]
        self.assertEqual(speed["basis"], "measured_here")
        self.assertEqual(speed["measured"]["blocks"], [30])
        self.assertGreaterEqual(speed["measured"]["rounds"], 5)
        for kind in ("decode", "prefill"):
            self.assertLess(speed[kind]["low_tps"], speed[kind]["likely_tps"])
            self.assertGreater(speed[kind]["low_tps"], 0.6 * speed[kind]["high_tps"])
        # It is known from then on, with as many threads and no others.
        for threads, basis in ((1, "measured_here"), (2, "formula")):
            again = self.expect(self.velollm("predict", "smollm2:135m", "--num-thread", threads, "--json"), 0)
            self.assertEqual(json.loads(again.out)["speed"]["basis"], basis)

    def test_beside_a_busy_neighbour_it_refuses(self):
        neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"])  # pylint: disable=consider-using-with
                      for _ in range(os.cpu_count() or 1)]
        try:
            done = self.velollm("predict", "smollm2:135m", "--measure", "--num-thread", "1",
                                env={"XDG_CACHE_HOME": self.cache}, seconds=300)
        finally:
            for neighbour in neighbours:
                neighbour.kill()
                neighbour.wait()
        self.assertEqual(done.code, 1, done.out + done.err)
        self.assertRegex(done.err, BUSY)
        self.assertEqual(done.out, "")

    def wait_for_its_file(self, process):
        """Until the process holds a file without a name, with something in it."""
        folder = Path(f"/proc/{process.pid}/fd")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for descriptor in folder.iterdir():
                try:
                    if "(deleted)" in os.readlink(descriptor) and descriptor.stat().st_blocks > 1000:
                        return
                except OSError:
                    continue
        self.fail("it made no file")

    def test_killed_or_interrupted_it_leaves_nothing(self):
        for number in (signal.SIGKILL, signal.SIGINT):
            with self.subTest(number):
                running = self.start("predict", "llama3.2:1b", "--measure", env={"XDG_CACHE_HOME": self.cache})
                self.wait_for_its_file(running.process)
                running.process.send_signal(number)
                done = running.finish(60)
                self.assertEqual(done.code, 130 if number == signal.SIGINT else -number, done.err)
                self.assertEqual(list((self.cache / "velollm").iterdir()), [])

    def test_a_benchmark_says_what_had_been_forecast(self):
        self.benchmark()
        known = self.known()
        self.assertEqual([run["source"] for run in known["runs"]], ["benchmark"])
        run = known["runs"][0]
        self.assertEqual((run["engine"], run["threads"], run["blocks"], run["quantization"]), ("embedded", 1, 30, "Q4_1"))
        own = self.expect(self.velollm("predict", MODEL, "--num-thread", "1", "--json"), 0)
        self.assertEqual(json.loads(own.out)["speed"]["basis"], "measured_here")

        # The same run, taken for another model's.
        run["key"] = "another"
        self.calibration.write_text(json.dumps(known), encoding="utf-8")
        text = self.expect(self.velollm("predict", MODEL, "--num-thread", "1"), 0).out
        self.assertIn("From other models: 1 run of 1 other model here.", text)
        done = self.benchmark()
        self.assertRegex(done.out, r"\nDecode speed of \S+ as predicted on \d{4}-\d\d-\d\d: [\d.]+ \.\. [\d.]+ tok/s, "
                                   r"likely [\d.]+\. Measured, at that depth: [\d.]+")
        past = self.known()["predictions"]
        self.assertEqual(len(past), 1)
        self.assertGreater(past[0]["measured"], 0)
        self.assertEqual(len(self.known()["runs"]), 2)
        # It has its truth: the next benchmark has nothing to say of it.
        self.assertNotIn("as predicted", self.benchmark().out)


if __name__ == "__main__":
    unittest.main()
