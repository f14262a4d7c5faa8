"""`velollm detect --engine`: what the real engines say of this machine, and engines that are broken."""

import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from detect_test import DetectTest

LLAMA_SERVER = os.environ["VELOLLM_LLAMA_SERVER"]
OLLAMA = Path(os.environ["VELOLLM_OLLAMA"])


def codes(document):
    return [warning["code"] for warning in document["warnings"]]


class DetectEngineTest(DetectTest):
    def program(self, text):
        """A program that isn't llama-server, in its place."""
        path = self.folder / "llama-server"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
        path.chmod(0o700)
        return {"VELOLLM_LLAMA_SERVER": path}

    def test_a_real_llama_server(self):
        document = self.detect("--engine", "llamacpp", env={"VELOLLM_LLAMA_SERVER": LLAMA_SERVER})
        view = document["engine_view"]
        self.assertEqual(view["engine"], "llama-server")
        self.assertRegex(view["version"], r"\d")
        self.assertGreaterEqual(view["threads"], 1)
        cpu = [device for device in view["devices"] if device["name"] == "CPU"]
        self.assertEqual(len(cpu), 1)
        self.assertAlmostEqual(cpu[0]["memory_total_mb"], document["memory"]["total_mb"], delta=1)
        for feature in ("avx2", "fma"):
            self.assertEqual(feature in view["features"], feature in document["cpu"]["features"])
        self.assertEqual("engine-threads" in codes(document),
                         view["threads"] > document["cpu"]["usable"]["threads"])

    def test_a_real_ollama_through_its_own_llama_server(self):
        document = self.detect("--engine", "ollama", env={"PATH": f"{OLLAMA.parent}:{os.environ['PATH']}"})
        view = document["engine_view"]
        self.assertEqual(view["engine"], "Ollama")
        self.assertFalse(view["server_running"])
        self.assertIsNone(view["models"])
        self.assertRegex(view["version"], r"^\d+\.\d+\.\d+")
        self.assertEqual([device["name"] for device in view["devices"]], ["CPU"])

    def test_one_thread_too_many_is_named(self):
        cpu = min(os.sched_getaffinity(0))
        document = self.detect("--engine", "llamacpp", env=self.program(
            'echo "system_info: n_threads = 2 (n_threads_batch = 2) / 2 | CPU : AVX2 = 1 | FMA = 1 |"'), cpus={cpu})
        self.assertEqual(document["cpu"]["usable"]["threads"], 1)
        self.assertIn("engine-threads", codes(document))
        self.assertIsNone(document["engine_view"]["devices"])

    def test_old_programs_list_their_devices_when_asked(self):
        document = self.detect("--engine", "llamacpp", env=self.program(
            'case "$1" in --version) echo "version: 4567 (abcdef0)";; --list-devices) echo "Available devices:";'
            ' echo "  CUDA0: NVIDIA GeForce RTX 4060 Ti (16379 MiB, 14900 MiB free)";; *) exit 1;; esac'))
        self.assertEqual(document["engine_view"]["version"], "4567 (abcdef0)")
        self.assertEqual(document["engine_view"]["devices"], [
            {"name": "CUDA0", "description": "NVIDIA GeForce RTX 4060 Ti", "memory_total_mb": 16379,
             "memory_free_mb": 14900}])

    def test_a_program_that_crashes_tells_nothing_and_breaks_nothing(self):
        document = self.detect("--engine", "llamacpp", env=self.program("kill -SEGV $$"))
        self.assertEqual(document["engine_view"], {
            "engine": "llama-server", "version": None, "server_running": False, "threads": None, "features": [],
            "devices": None, "models": None})

    def test_engines_that_are_not_there(self):
        self.assert_error(self.velollm("detect", "--engine", "llamacpp", env={"VELOLLM_LLAMA_SERVER": "/nowhere"}), 2,
                          "Not a program: /nowhere")
        self.assert_error(self.velollm("detect", "--engine", "ollama", env={"PATH": "/nowhere"}), 1, "Ollama not found")
        self.expect(self.velollm("detect", "--engine", "vllm"), 2)

    def test_text_names_the_engine_and_what_is_wrong(self):
        done = self.velollm("detect", "--engine", "llamacpp", "--format", "text", env=self.program(
            'echo "system_info: n_threads = 4096 (n_threads_batch = 2) / 2 | CPU : SSE3 = 1 |"'))
        self.expect(done, 0)
        self.assertRegex(done.out, r"\nEngine +llama-server")
        self.assertRegex(done.out, r"\n  threads +4096 by itself")
        self.assertRegex(done.out, r"\nWarning +llama-server takes 4096 threads by itself where \d+ can run")

    def test_json_in_a_file_is_whole(self):
        path = self.folder / "hardware.json"
        self.expect(self.velollm("detect", "--engine", "llamacpp", "-o", path,
                                 env={"VELOLLM_LLAMA_SERVER": LLAMA_SERVER}), 0)
        self.assertIn("engine_view", json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    unittest.main()
