"""GPUs beside a benchmark: a library that answers like NVIDIA's is watched by a process of its own."""

import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from benchmark_test import BenchmarkTest

FAKE = os.environ["VELOLLM_FAKE_NVML"]


class GpuWatchTest(BenchmarkTest):
    def measured(self, scene, **more):
        """The result of a short benchmark beside such a library."""
        done = self.benchmark("--prompt", "Hello", "--max-tokens", "20", "--iterations", "3", "-o", self.results,
                                  env={"VELOLLM_NVML": FAKE, "FAKE_NVML_SCENE": scene, **more})
        self.expect(done, 0)
        return self.valid_results()[0]["velollm"], done

    def test_the_watcher_writes_a_line_five_times_a_second(self):
        running = self.start("gpu-watch", env={"VELOLLM_NVML": FAKE, "FAKE_NVML_SCENE": "two"})
        running.wait_for("}\n{")
        running.kill()
        line = json.loads(running._out.decode().splitlines()[0])  # pylint: disable=protected-access
        self.assertEqual(line["gpus"][0], {"id": "pci:0000:01:00.0", "busy": 97, "mw": 330000, "celsius": 71,
                                           "mhz": 210, "mj": 1063000, "reasons": 4})
        self.assertEqual(line["gpus"][1]["id"], "pci:0000:02:00.0")

    def test_without_a_library_there_is_nothing_to_watch(self):
        done = self.velollm("gpu-watch", env={"VELOLLM_NVML": "/nowhere.so"})
        self.expect(done, 1)
        self.assertEqual(done.out, "")

    def test_a_result_has_what_the_gpu_did(self):
        element, _ = self.measured("desktop")
        gpus = element["host"]["gpus"]
        self.assertEqual([gpu["id"] for gpu in gpus], ["pci:0000:01:00.0"])
        if "watts" in gpus[0]:  # two readings are needed, and the run may have been shorter
            self.assertGreaterEqual(gpus[0]["watts"]["min"], 300)
            self.assertLessEqual(gpus[0]["watts"]["max"], 330)
            self.assertEqual(gpus[0]["slowed_share"], 0)
        self.assertNotIn("energy", gpus[0])  # far too short

    def test_a_library_that_hangs_or_crashes_costs_nothing(self):
        for scene in ("hang-init", "crash-init", "no-driver"):
            element, done = self.measured(scene)
            self.assertNotIn("gpus", element["host"], scene)
            self.assertNotIn("rror", done.err)


if __name__ == "__main__":
    unittest.main()
