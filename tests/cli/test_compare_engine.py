"""`velollm compare` of what a real engine did: twice the same, and two engines in turn."""

import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from velollm_cli import CliTest

MODEL = os.environ["VELOLLM_MODEL"]
SERVER = os.environ["VELOLLM_LLAMA_SERVER"]
ONE = ("-m", MODEL, "--prompt", "Say hello", "--max-tokens", "8", "--iterations", "6", "--warmup", "1", "--quiet-check", "0")


class CompareEngineTest(CliTest):
    def measure(self, name, *words):
        file = self.folder / name
        done = self.velollm("benchmark", *words, *ONE, "-o", file, env={"VELOLLM_LLAMA_SERVER": SERVER}, seconds=300)
        self.assertIn(done.code, (0, 5), done)  # a busy machine makes an invalid run, which is no matter here
        return file

    def compared(self, *words):
        done = self.velollm("compare", *words, "--force", "--format", "json")
        self.assertIn(done.code, (0, 10, 11), done)
        return json.loads(done.out)["compared"][0]

    def test_one_engine_twice(self):
        side = self.compared(self.measure("a.json", "-b", "embedded"), self.measure("b.json", "-b", "embedded"))
        self.assertEqual([d for d in side["differences"] if d["weight"] == "refuses" and d["key"] != "status"], [])
        one = side["benchmarks"][0]
        self.assertFalse(one["paired"])
        keys = [metric["metric"] for metric in one["metrics"]]
        self.assertEqual(keys[0], "decode_tps")
        self.assertLessEqual({"ttft_ms", "e2e_ms"}, set(keys))
        for metric in one["metrics"]:
            self.assertEqual((metric["baseline"]["n"], metric["compared"]["n"]), (6, 6), metric)
            if interval := metric["interval"]:
                self.assertLessEqual(interval["low"], metric["ratio"])
                self.assertLessEqual(metric["ratio"], interval["high"])
                self.assertGreaterEqual(interval["level"], 1 - metric["alpha"])

    def test_two_engines_in_turn(self):
        both = self.measure("both.json", "-b", "embedded,llamacpp")
        side = self.compared(f"{both}@engine=embedded", f"{both}@engine=llamacpp")
        self.assertEqual([d["key"] for d in side["differences"] if d["weight"] == "refuses" and d["key"] != "status"], [])
        metric = side["benchmarks"][0]["metrics"][0]
        self.assertTrue(metric["paired"])
        self.assertEqual(metric["baseline"]["n"], 6)


if __name__ == "__main__":
    unittest.main()
