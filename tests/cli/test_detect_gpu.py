"""`velollm detect --json` beside a library that answers like NVIDIA's, or hangs, crashes and lies."""

import json
import os
import select
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest  # noqa: E402

FAKE = os.environ["VELOLLM_FAKE_NVML"]
FAKE_OLD = os.environ["VELOLLM_FAKE_NVML_OLD"]
FAKE_BARE = os.environ["VELOLLM_FAKE_NVML_BARE"]
SCHEMA = SOURCE / "schema/velollm-hardware-1.schema.json"
LIMIT_S = 3.0
# What a busy machine may add to the limit; a second wait for the library would be longer.
SLACK_S = 2.5


class DetectGpuTest(CliTest):
    def detect(self, scene, library=FAKE, **env):
        """The document, and how long it took. No scene and no library is ever an error."""
        started = time.monotonic()
        done = self.velollm("detect", "--json", env={"VELOLLM_NVML": library, "FAKE_NVML_SCENE": scene, **env})
        seconds = time.monotonic() - started
        self.expect(done, 0)
        self.assertEqual(done.err, "")
        self.assertLess(seconds, LIMIT_S + SLACK_S)
        return json.loads(done.out), seconds

    def nvidia(self, document):
        return [gpu for gpu in document["gpus"] if gpu["vendor"] == "Nvidia"]

    def the_gpu(self, document):
        gpus = self.nvidia(document)
        self.assertEqual(len(gpus), 1, gpus)
        return gpus[0]

    def codes(self, document):
        return [warning["code"] for warning in document["warnings"]]

    def the_warning(self, document, code):
        self.assertEqual(self.codes(document), [code])
        return document["warnings"][0]["message"]


class Answers(DetectGpuTest):
    def test_every_fact_of_a_desktop_card(self):
        document, _ = self.detect("desktop")
        gpu = self.the_gpu(document)
        self.assertEqual(document["warnings"], [])
        self.assertEqual(gpu["id"], "pci:0000:01:00.0")
        self.assertEqual(gpu["name"], "NVIDIA GeForce RTX 4090")
        self.assertEqual(gpu["kind"], "discrete")
        self.assertEqual(gpu["driver"], {"name": "nvidia", "version": "560.35.03", "cuda": "12.6"})
        self.assertEqual(gpu["memory"], {
            "dedicated_total_mb": 24576, "dedicated_used_mb": 1536, "model": "dedicated", "shared_total_mb": None,
            "shared_used_mb": None, "usable_mb": 23040, "usable_rule": "dedicated: free", "source": "nvml",
            "used_source": "nvml"})
        self.assertEqual(gpu["compute_capability"], "8.9")
        self.assertEqual(gpu["pcie"], {"generation": 1, "lanes": 8, "max_generation": 4, "max_lanes": 16})
        self.assertEqual(gpu["clocks"],
                         {"core_mhz": 210, "max_core_mhz": 3105, "memory_mhz": 405, "max_memory_mhz": 10501})
        self.assertEqual((gpu["memory_bus_bits"], gpu["power_limit_w"], gpu["ecc"], gpu["mig"]), (384, 450, False, None))
        self.assertEqual(gpu["bandwidth"], {"theoretical_gbps": 1008.1, "basis": "10501 MHz * 2 * 384 bits / 8"})
        self.assertEqual(gpu["backends"][0],
                         {"name": "cuda", "usable": True, "reason": "the driver runs CUDA up to 12.6"})
        self.assertEqual(document["gpu"], {
            "name": "NVIDIA GeForce RTX 4090", "vendor": "Nvidia", "vram_total_mb": 24576, "vram_free_mb": 23040,
            "driver_version": "560.35.03", "compute_capability": "8.9"})

    def test_the_document_fits_its_schema(self):
        for scene in ("desktop", "mig", "gb10", "absurd", "names", "no-driver"):
            document, _ = self.detect(scene)
            path = self.folder / f"{scene}.json"
            path.write_text(json.dumps(document))
            check = subprocess.run([SCHEMA_CHECK, SCHEMA, path], capture_output=True, text=True, check=False)
            self.assertEqual(check.returncode, 0, f"{scene}: {check.stdout}{check.stderr}")

    def test_slices_of_a_card_whose_own_memory_may_not_be_read(self):
        document, _ = self.detect("mig")
        gpu = self.the_gpu(document)
        self.assertTrue(gpu["mig"])
        self.assertIsNone(gpu["memory"]["dedicated_total_mb"])
        self.assertEqual(gpu["partitions"], [
            {"type": "mig", "profile": "1g.5gb", "memory_total_mb": 5120, "memory_used_mb": 1280},
            {"type": "mig", "profile": "1g.5gb", "memory_total_mb": 5120, "memory_used_mb": 768}])
        self.assertEqual((gpu["memory"]["usable_mb"], gpu["memory"]["usable_rule"]),
                         (4352, "mig: free in the largest slice"))
        self.assertIn("2 can be seen", self.the_warning(document, "gpu-mig"))

    def test_a_part_that_shares_the_machines_memory(self):
        document, _ = self.detect("gb10")
        gpu = self.the_gpu(document)
        self.assertEqual((gpu["kind"], gpu["memory"]["model"]), ("integrated", "unified"))
        self.assertIsNone(gpu["memory"]["dedicated_total_mb"])
        self.assertEqual(gpu["memory"]["usable_mb"], document["memory"]["available_mb"])
        self.assertEqual((gpu["power_limit_w"], gpu["ecc"], gpu["memory_bus_bits"]), (None, None, None))

    def test_memory_by_the_old_function_where_the_new_one_fails(self):
        gpu = self.the_gpu(self.detect("wsl")[0])
        self.assertEqual((gpu["memory"]["dedicated_total_mb"], gpu["memory"]["dedicated_used_mb"]), (24576, 1024))

    def test_an_old_library_tells_what_it_knows(self):
        document, _ = self.detect("desktop", FAKE_OLD)
        gpu = self.the_gpu(document)
        self.assertEqual(document["warnings"], [])
        self.assertEqual((gpu["id"], gpu["name"]), ("pci:0000:01:00.0", "NVIDIA GeForce RTX 4090"))
        self.assertEqual(gpu["memory"]["dedicated_used_mb"], 1024)
        self.assertEqual((gpu["compute_capability"], gpu["driver"]["version"], gpu["mig"]), (None, None, None))

    def test_two_cards_one_of_them_lost(self):
        self.assertEqual([gpu["id"] for gpu in self.nvidia(self.detect("two")[0])],
                         ["pci:0000:01:00.0", "pci:0000:02:00.0"])
        document, _ = self.detect("lost")
        self.assertEqual(self.the_gpu(document)["id"], "pci:0000:01:00.0")
        self.assertIn("counts 2 GPUs, and 1 of them", self.the_warning(document, "gpu-unreadable"))

    def test_no_card_is_no_warning(self):
        document, _ = self.detect("none")
        self.assertEqual((self.nvidia(document), document["warnings"]), ([], []))

    def test_what_it_prints_stays_out_of_the_output(self):
        self.the_gpu(self.detect("chatty")[0])

    def test_text_shows_the_card_and_the_warning(self):
        done = self.velollm("detect", "--format", "text", env={"VELOLLM_NVML": FAKE, "FAKE_NVML_SCENE": "mig"})
        self.expect(done, 0)
        self.assertIn("NVIDIA A100-SXM4-40GB, memory unknown, 4.2 GiB usable, PCIe 4.0 x16, driver nvidia 560.35.03",
                      done.out)
        self.assertIn("CUDA yes", done.out)
        self.assertRegex(done.out, r"Warning +NVIDIA A100-SXM4-40GB is cut into slices")


class Refusals(DetectGpuTest):
    def test_each_has_its_own_message(self):
        for scene, code, words in (("mismatch", "driver-library-mismatch", "NVIDIA's library 12.565.57 doesn't fit"),
                                   ("no-driver", "driver-not-loaded", "no loaded kernel driver"),
                                   ("no-permission", "gpu-unreadable", "may not use the GPU's device files"),
                                   ("unknown", "gpu-unreadable", "code 999")):
            document, _ = self.detect(scene)
            self.assertEqual(self.nvidia(document), [])
            self.assertIn(words, self.the_warning(document, code))

    def test_a_library_that_is_missing_is_none_or_lacks_functions(self):
        document, _ = self.detect("", "/nowhere/libnvidia-ml.so.1")
        self.assertIn("/nowhere/libnvidia-ml.so.1", self.the_warning(document, "library-missing"))
        noise = self.folder / "noise.so"
        noise.write_bytes(bytes(range(256)) * 16)
        self.the_warning(self.detect("", noise)[0], "library-unusable")
        self.assertIn("lacks the function nvmlInit_v2",
                      self.the_warning(self.detect("", FAKE_BARE)[0], "library-unusable"))


class Failures(DetectGpuTest):
    def test_one_that_hangs_costs_the_limit_and_is_named(self):
        for scene in ("hang-init", "hang-device"):
            document, seconds = self.detect(scene)
            self.assertGreater(seconds, LIMIT_S * 0.9)
            self.assertEqual(self.nvidia(document), [])
            self.assertIn("no answer within 3 s", self.the_warning(document, "probe-timeout"))
            self.assertGreater(document["memory"]["total_mb"], 0)

    def test_one_that_crashes_costs_nothing_and_is_named(self):
        for scene, words in (("crash-init", "killed by signal 11"), ("crash-device", "killed by signal 11"),
                             ("abort", "killed by signal 6"), ("exit", "ended the process")):
            document, seconds = self.detect(scene)
            self.assertLess(seconds, LIMIT_S)
            self.assertEqual(self.nvidia(document), [])
            self.assertIn(words, self.the_warning(document, "probe-crashed"))

    def test_what_it_started_ends_with_it(self):
        pid_file = self.folder / "pid"
        self.the_gpu(self.detect("helper", FAKE_NVML_PID_FILE=pid_file)[0])
        try:
            helper = os.pidfd_open(int(pid_file.read_text()))
        except ProcessLookupError:
            return  # it is gone
        self.addCleanup(os.close, helper)
        # A killed process ends when it next gets a CPU; one that wasn't killed never does.
        self.assertEqual(select.select([helper], [], [], 20)[0], [helper], "the helper still runs")


class Lies(DetectGpuTest):
    def test_values_that_cant_be_true_are_left_out_and_named(self):
        document, _ = self.detect("absurd")
        gpu = self.the_gpu(document)
        self.assertEqual(gpu["id"], "nvml:0")
        self.assertEqual(gpu["name"], "NVIDIA GeForce RTX 4090")
        self.assertEqual([gpu["memory"]["dedicated_total_mb"], gpu["compute_capability"], gpu["driver"]["cuda"],
                          gpu["power_limit_w"], gpu["ecc"], gpu["pcie"]["generation"], gpu["clocks"]["max_core_mhz"]],
                         [None] * 7)
        self.assertEqual(gpu["pcie"]["max_generation"], 4)
        message = self.the_warning(document, "values-impossible")
        for word in ("memory", "PCI address", "compute capability", "PCIe link", "power limit", "clock", "ECC mode"):
            self.assertIn(word, message)

    def test_more_free_than_there_is_leaves_the_use_unknown(self):
        document, _ = self.detect("more-free")
        memory = self.the_gpu(document)["memory"]
        self.assertEqual((memory["dedicated_total_mb"], memory["dedicated_used_mb"]), (1024, None))
        self.assertIn("free memory", self.the_warning(document, "values-impossible"))

    def test_names_without_end_and_without_sense(self):
        name = self.the_gpu(self.detect("names")[0])["name"]
        self.assertLess(len(name), 200)
        self.assertEqual(set(name) - {"\ufffd", "."}, set())

    def test_a_card_without_a_name_has_one(self):
        self.assertEqual(self.the_gpu(self.detect("no-text")[0])["name"], "NVIDIA GPU")

    def test_counts_beyond_reason_are_cut(self):
        document, _ = self.detect("many")
        self.the_gpu(document)
        self.assertIn("counts 4000000000 GPUs", self.the_warning(document, "gpu-unreadable"))
        self.assertEqual(len(self.the_gpu(self.detect("many-slices")[0])["partitions"]), 16)


if __name__ == "__main__":
    unittest.main()
