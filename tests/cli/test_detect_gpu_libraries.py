"""`velollm detect --json` beside libraries that answer like those of Intel, or hang, crash and lie."""

import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest  # noqa: E402

SCHEMA = SOURCE / "schema/velollm-hardware-1.schema.json"
LIMIT_S = 3.0
# What a busy machine may add to the limit; a second wait for a library would be longer.
SLACK_S = 2.5
BARE = os.environ["VELOLLM_FAKE_NVML_BARE"]


class LibraryTest(CliTest):
    def run_detect(self, **env):
        """The document, and how long it took. No scene and no library is ever an error."""
        started = time.monotonic()
        done = self.velollm("detect", "--json", env=env)
        seconds = time.monotonic() - started
        self.expect(done, 0)
        self.assertEqual(done.err, "")
        self.assertLess(seconds, LIMIT_S + SLACK_S)
        return json.loads(done.out), seconds

    def known_by(self, document, source):
        """What the library added. A machine with such a GPU of its own shows it as well."""
        return [gpu for gpu in document["gpus"] if gpu["memory"]["source"] == source or gpu["id"].startswith(source)]

    def codes(self, document):
        return [warning["code"] for warning in document["warnings"]]

    def the_warning(self, document, code):
        self.assertEqual(self.codes(document), [code])
        return document["warnings"][0]["message"]

    def check_schema(self, document, name):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(document))
        check = subprocess.run([SCHEMA_CHECK, SCHEMA, path], capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 0, f"{name}: {check.stdout}{check.stderr}")


class LevelZero(LibraryTest):
    FAKE = os.environ["VELOLLM_FAKE_LEVEL_ZERO"]
    FAKE_OLD = os.environ["VELOLLM_FAKE_LEVEL_ZERO_OLD"]

    def detect(self, scene, library=FAKE):
        return self.run_detect(VELOLLM_LEVEL_ZERO=library, FAKE_LEVEL_ZERO_SCENE=scene)

    def the_gpu(self, scene, library=FAKE):
        document, _ = self.detect(scene, library)
        gpus = [gpu for gpu in document["gpus"] if gpu["vendor"] == "Intel"]
        self.assertEqual(len(gpus), 1, gpus)
        return gpus[0]

    def test_every_fact_of_a_card(self):
        document, _ = self.detect("desktop")
        gpu = self.the_gpu("desktop")
        self.assertEqual(document["warnings"], [])
        self.assertEqual(gpu["id"], "pci:0000:03:00.0")
        self.assertEqual(gpu["name"], "Intel(R) Arc(TM) A770 Graphics")
        self.assertEqual(gpu["kind"], "discrete")
        self.assertEqual(gpu["memory"], {
            "dedicated_total_mb": 16384, "dedicated_used_mb": 9216, "model": "dedicated", "shared_total_mb": None,
            "shared_used_mb": None, "usable_mb": 7168, "usable_rule": "dedicated: free", "source": "level_zero",
            "used_source": "level_zero"})
        self.assertEqual(gpu["pcie"], {"generation": None, "lanes": 8, "max_generation": 4, "max_lanes": 16})
        self.assertEqual(gpu["clocks"],
                         {"core_mhz": None, "max_core_mhz": 2400, "memory_mhz": None, "max_memory_mhz": 2187})
        self.assertEqual((gpu["memory_bus_bits"], gpu["memory_type"], gpu["power_limit_w"]), (256, "GDDR6", 190))
        self.assertEqual(gpu["bandwidth"], {"theoretical_gbps": 560, "basis": "stated by Level Zero"})
        # Files don't show it here, so that nobody knows its driver.
        self.assertEqual([(backend["name"], backend["usable"]) for backend in gpu["backends"]],
                         [("sycl", None), ("vulkan", None)])

    def test_the_document_fits_its_schema(self):
        for scene in ("desktop", "integrated", "tiles", "plain", "absurd", "names", "no-driver"):
            self.check_schema(self.detect(scene)[0], scene)

    def test_an_older_loader_is_asked_by_the_plain_functions(self):
        gpu = self.the_gpu("desktop", self.FAKE_OLD)
        self.assertEqual((gpu["id"], gpu["memory"]["dedicated_used_mb"]), ("pci:0000:03:00.0", 9216))
        self.assertEqual(gpu["power_limit_w"], 150)  # by the older function

    def test_memory_of_tiles_is_added_up_and_the_machines_is_not(self):
        gpu = self.the_gpu("tiles")
        self.assertEqual(gpu["memory"]["dedicated_total_mb"], 2 * 16384)
        self.assertEqual((gpu["memory_bus_bits"], gpu["memory_type"]), (2 * 128 * 32, "HBM"))
        self.assertEqual(gpu["bandwidth"]["theoretical_gbps"], 1120)

    def test_an_integrated_one_shares_the_machines_memory(self):
        gpu = self.the_gpu("integrated")
        self.assertEqual((gpu["id"], gpu["kind"], gpu["memory"]["model"]), ("pci:0000:00:02.0", "integrated", "unified"))
        self.assertIsNone(gpu["memory"]["dedicated_total_mb"])

    def test_what_isnt_told_stays_unknown(self):
        gpu = self.the_gpu("plain")
        self.assertEqual((gpu["memory_bus_bits"], gpu["memory_type"]), (None, None))
        self.assertEqual(gpu["bandwidth"], {"theoretical_gbps": None, "basis": None})
        self.assertEqual(gpu["power_limit_w"], 225)  # of the card, before that of its parts
        self.assertIsNone(self.the_gpu("constant")["memory_bus_bits"])
        self.assertEqual(self.the_gpu("model")["name"], "Arc by its model")

    def test_all_memory_free_means_that_the_user_may_not_know(self):
        memory = self.the_gpu("all-free")["memory"]
        self.assertEqual((memory["dedicated_total_mb"], memory["dedicated_used_mb"], memory["used_source"]),
                         (16384, None, None))

    def test_what_is_no_gpu_is_no_gpu(self):
        document, _ = self.detect("npu")
        self.assertEqual((len(document["gpus"]), document["warnings"]), (1, []))
        document, _ = self.detect("none")
        self.assertEqual((document["gpus"], document["warnings"]), ([], []))

    def test_what_it_prints_stays_out_of_the_output(self):
        self.the_gpu("chatty")

    def test_each_refusal_has_its_own_message(self):
        for scene, code, words in (("no-driver", "library-missing", "finds no driver of Intel's compute runtime"),
                                   ("no-permission", "gpu-unreadable", "may not use the GPU's device files"),
                                   ("unknown", "gpu-unreadable", "code 0x7ffffffe")):
            document, _ = self.detect(scene)
            self.assertEqual(document["gpus"], [])
            self.assertIn(words, self.the_warning(document, code))
        self.assertIn("lacks the function zeInit", self.the_warning(self.detect("", BARE)[0], "library-unusable"))
        self.the_warning(self.detect("", "/nowhere/libze_loader.so.1")[0], "library-missing")

    def test_hangs_and_crashes_are_named(self):
        for scene in ("hang-init", "hang-device"):
            document, seconds = self.detect(scene)
            self.assertGreater(seconds, LIMIT_S * 0.9)
            self.assertIn("no answer within 3 s", self.the_warning(document, "probe-timeout"))
        for scene in ("crash-init", "crash-device"):
            document, seconds = self.detect(scene)
            self.assertLess(seconds, LIMIT_S)
            self.assertIn("killed by signal 11", self.the_warning(document, "probe-crashed"))

    def test_lies_are_left_out_and_named(self):
        document, _ = self.detect("absurd")
        gpu = document["gpus"][0]
        self.assertEqual(gpu["id"], "level_zero:0")
        self.assertEqual([gpu["memory"]["dedicated_total_mb"], gpu["power_limit_w"], gpu["pcie"]["max_generation"],
                          gpu["clocks"]["max_core_mhz"], gpu["bandwidth"]["theoretical_gbps"]], [None] * 5)
        message = self.the_warning(document, "values-impossible")
        for word in ("memory", "PCI address", "PCIe link", "power limit", "memory bandwidth"):
            self.assertIn(word, message)
        self.assertIn("free memory", self.the_warning(self.detect("more-free")[0], "values-impossible"))

    def test_names_without_end_and_counts_beyond_reason(self):
        name = self.the_gpu("names")["name"]
        self.assertLess(len(name), 200)
        document, _ = self.detect("many")
        self.assertEqual(len(document["gpus"]), 1)
        self.assertIn("gpu-unreadable", self.codes(document))


class Vulkan(LibraryTest):
    def test_a_real_renderer_on_the_processor_is_no_gpu(self):
        drivers = list(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json"))
        if not drivers:
            print("Mesa's lavapipe is not installed: the library of the tests stands for it alone", file=sys.stderr)
            return
        document, _ = self.run_detect(VELOLLM_VULKAN="libvulkan.so.1", VK_ICD_FILENAMES=str(drivers[0]))
        self.assertEqual(self.known_by(document, "vulkan"), [])
        self.assertEqual(self.codes(document), [])
        done = self.velollm("detect", "--format", "text",
                            env={"VELOLLM_VULKAN": "libvulkan.so.1", "VK_ICD_FILENAMES": str(drivers[0])})
        self.assertRegex(done.out, r"Not a GPU +llvmpipe.*: software renderer")

    FAKE = os.environ["VELOLLM_FAKE_VULKAN"]

    def detect(self, scene, library=FAKE, **env):
        return self.run_detect(VELOLLM_VULKAN=library, FAKE_VULKAN_SCENE=scene, **env)

    def test_a_card_with_its_memory(self):
        document, _ = self.detect("desktop")
        self.assertEqual(document["warnings"], [])
        gpu = document["gpus"][0]
        self.assertEqual((gpu["id"], gpu["name"], gpu["vendor"]), ("pci:0000:01:00.0", "NVIDIA by Vulkan", "Nvidia"))
        memory = gpu["memory"]
        self.assertEqual((memory["dedicated_total_mb"], memory["dedicated_used_mb"], memory["source"]),
                         (8192, 2048, "vulkan"))
        self.check_schema(document, "desktop")

    def test_without_extensions_address_and_use_are_unknown(self):
        gpu = self.detect("bare")[0]["gpus"][0]
        self.assertEqual((gpu["id"], gpu["memory"]["dedicated_total_mb"], gpu["memory"]["dedicated_used_mb"]),
                         ("vulkan:0", 8192, None))

    def test_an_integrated_one_shares_the_machines_memory(self):
        gpu = self.detect("integrated")[0]["gpus"][0]
        self.assertEqual((gpu["kind"], gpu["memory"]["dedicated_total_mb"]), ("integrated", None))

    def test_a_renderer_on_the_processor_is_not_a_gpu(self):
        document, _ = self.detect("software")
        self.assertEqual((document["gpus"], document["warnings"]), ([], []))
        done = self.velollm("detect", "--format", "text", env={"VELOLLM_VULKAN": self.FAKE,
                                                               "FAKE_VULKAN_SCENE": "software"})
        self.expect(done, 0)
        self.assertRegex(done.out, r"Not a GPU +NVIDIA by Vulkan: software renderer")

    def test_failures_and_lies_are_named(self):
        self.the_warning(self.detect("hang")[0], "probe-timeout")
        self.the_warning(self.detect("crash")[0], "probe-crashed")
        self.the_warning(self.detect("no-driver")[0], "library-missing")
        self.the_warning(self.detect("", BARE)[0], "library-unusable")
        document, _ = self.detect("absurd")
        message = self.the_warning(document, "values-impossible")
        self.assertIn("memory", message)
        self.assertIn("PCI address", message)
        self.assertLess(len(self.detect("names")[0]["gpus"][0]["name"]), 200)
        self.assertEqual(len(self.detect("many")[0]["gpus"]), 1)

    def test_it_is_asked_after_the_others(self):
        document, _ = self.detect("desktop", VELOLLM_LEVEL_ZERO=os.environ["VELOLLM_FAKE_LEVEL_ZERO"],
                                  FAKE_LEVEL_ZERO_SCENE="desktop")
        self.assertEqual([gpu["id"] for gpu in document["gpus"]], ["pci:0000:03:00.0", "pci:0000:01:00.0"])
        document, _ = self.detect("desktop", VELOLLM_LEVEL_ZERO=os.environ["VELOLLM_FAKE_LEVEL_ZERO"],
                                  FAKE_LEVEL_ZERO_SCENE="hang-init")
        self.assertEqual((document["gpus"], self.codes(document)), ([], ["probe-timeout"]))  # no time is left


class Together(LibraryTest):
    def test_all_hang_within_one_limit(self):
        document, seconds = self.run_detect(
            VELOLLM_NVML=os.environ["VELOLLM_FAKE_NVML"], FAKE_NVML_SCENE="hang-init",
            VELOLLM_LEVEL_ZERO=os.environ["VELOLLM_FAKE_LEVEL_ZERO"], FAKE_LEVEL_ZERO_SCENE="hang-device")
        self.assertGreater(seconds, LIMIT_S * 0.9)
        self.assertEqual(self.codes(document), ["probe-timeout"] * 2)

    def test_one_that_hangs_costs_the_others_nothing(self):
        document, _ = self.run_detect(
            VELOLLM_NVML=os.environ["VELOLLM_FAKE_NVML"], FAKE_NVML_SCENE="hang-init",
            VELOLLM_LEVEL_ZERO=os.environ["VELOLLM_FAKE_LEVEL_ZERO"], FAKE_LEVEL_ZERO_SCENE="desktop")
        self.assertEqual([gpu["id"] for gpu in document["gpus"]], ["pci:0000:03:00.0"])
        self.the_warning(document, "probe-timeout")


if __name__ == "__main__":
    unittest.main()
