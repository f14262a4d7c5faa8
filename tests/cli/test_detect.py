"""`velollm detect` on the machine that the test runs on: true, the same each time, and in step with its schema."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from cgroup import Group
from detect_test import DetectTest
from velollm_cli import BINARY


class DetectMachineTest(DetectTest):
    def test_readers_of_the_original_keep_their_keys(self):
        document = self.detect()
        self.assertEqual(list(document)[:5], ["gpu", "cpu", "memory", "os", "platform"])
        self.assertEqual(list(document["cpu"])[:4], ["model", "cores", "threads", "frequency_mhz"])
        self.assertEqual(list(document["memory"])[:3], ["total_mb", "available_mb", "used_mb"])
        self.assertIsInstance(document["cpu"]["cores"], int)
        self.assertEqual(document["os"], "linux")
        self.assertEqual(document["platform"], f"linux-{os.uname().machine}")

    def test_figures_are_the_kernels(self):
        document = self.detect()
        total = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.M)
        self.assertEqual(document["memory"]["total_mb"], int(total[1]) // 1024)
        self.assertEqual(document["memory"]["page_size_kb"], os.sysconf("SC_PAGESIZE") // 1024)
        self.assertEqual(document["cpu"]["usable"]["affinity"], len(os.sched_getaffinity(0)))
        self.assertEqual(document["environment"]["kernel"], os.uname().release)
        self.assertLessEqual(document["cpu"]["usable"]["threads"], len(os.sched_getaffinity(0)))

    def test_one_allowed_cpu_is_one_thread(self):
        before = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(0, {min(before)})
        document = self.detect()
        usable = document["cpu"]["usable"]
        self.assertEqual((usable["threads"], usable["affinity"]), (1, 1))
        if document["cpu"]["cores"] > 1 and not usable["quota"]:
            self.assertEqual(usable["limit"], "affinity")
            self.assertIn("affinity to 1 of", usable["limited_by"])
            text = self.expect(self.velollm("detect", "--format", "text"), 0).out
            self.assertRegex(text.splitlines()[-1], r"^You may use 1 of \d+ threads: the affinity")

    def test_two_calls_give_the_same_bytes(self):
        def steady(document):
            for key in ("available_mb", "used_mb", "swap_free_mb"):
                document["memory"].pop(key)
            return json.dumps(document)
        self.assertEqual(steady(self.detect()), steady(self.detect()))

    def test_nothing_personal_is_written(self):
        out = self.velollm("detect", "--json").out
        host = os.uname().nodename
        if len(host) > 4:
            self.assertNotIn(host, out)
        self.assertNotIn(str(self.folder), out)

    def test_timings_are_shown_on_demand_only(self):
        self.assertNotIn("timings", self.detect())
        timings = self.detect("--timings")["timings"]
        self.assertEqual(list(timings), ["gpu_ms", "cpu_ms", "memory_ms", "environment_ms", "gpu_libraries_ms"])
        self.assertGreater(timings["cpu_ms"], 0)
        self.assertRegex(self.velollm("detect", "--timings", "--format", "text").out, r"\nTime taken +gpu [\d.]+ ms, ")

    def test_the_probe_has_a_figure_or_a_reason(self):
        document = self.detect("--bandwidth", seconds=60)
        probe = document["memory"]["bandwidth"]["measured"]
        self.assertEqual(probe["valid"], probe["read_gbps"] is not None)
        self.assertEqual(probe["valid"], probe["reason"] is None)
        peak = document["cpu"]["peak"]
        self.assertEqual(peak["valid"], peak["fp32_gflops"] is not None)
        self.assertIsNone(self.detect()["memory"]["bandwidth"]["measured"])

    # ---- limits, set for real ----

    def in_group(self, controller, limits_v1, limits_v2, *words):
        """What `velollm detect` prints in such a group; None where this machine lets us make none. Then the trees
        container-v2-quota, container-v1-lxc and docker-v1 of the unit tests stand for it alone."""
        group = Group.make(controller, limits_v1, limits_v2)
        if group is None:
            print(f"no {controller} group may be made here", file=sys.stderr)
            return None
        self.addCleanup(group.remove)
        done = subprocess.run(group.words([BINARY, "detect", *words]), env=self.environment(), capture_output=True,
                              text=True, timeout=60, check=True)
        return done.stdout

    def test_affinity_binds(self):
        cpu = min(os.sched_getaffinity(0))
        usable = self.detect(cpus={cpu})["cpu"]["usable"]
        self.assertEqual(usable["affinity"], 1)
        self.assertEqual(usable["threads"], 1)
        if os.cpu_count() > 1 and usable["quota"] is None:
            self.assertEqual(usable["limit"], "affinity")
            self.assertRegex(usable["limited_by"], r"^affinity to 1 of \d+ CPUs$")

    def test_a_cpu_quota_binds(self):
        text = self.in_group("cpu", {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": 100000}, {"cpu.max": "100000 100000"})
        if text is None:
            return
        usable = self.checked(text)["cpu"]["usable"]
        self.assertEqual(usable["threads"], 1)
        self.assertEqual(usable["quota"], 1)
        if len(os.sched_getaffinity(0)) > 1:
            self.assertEqual(usable["limit"], "quota")
            self.assertEqual(usable["limited_by"], "cgroup quota 1.00 CPUs")

    def test_a_memory_limit_binds(self):
        limit = 512 << 20
        text = self.in_group("memory", {"memory.limit_in_bytes": limit}, {"memory.max": limit})
        if text is None:
            return
        memory = self.checked(text)["memory"]
        self.assertEqual(memory["limit_mb"], 512)
        self.assertLessEqual(memory["available_mb"], 512)
        self.assertGreater(memory["available_mb"], 400)


if __name__ == "__main__":
    unittest.main()
