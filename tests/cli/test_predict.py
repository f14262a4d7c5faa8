"""`velollm predict`: what a model takes, whether it fits, and how fast it can be at most."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

SCHEMA = SOURCE / "schema/velollm-prediction-1.schema.json"
MIB = 1 << 20


class PredictTest(CliTest):
    def predict(self, *words, **more):
        done = self.expect(self.velollm("predict", "--json", *words, **more), 0)
        file = self.folder / "prediction.json"
        file.write_text(done.out, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(file)], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(check.returncode, 0, f"{check.stdout}{check.stderr}\n{done.out[:3000]}")
        return json.loads(done.out)

    def test_a_model_that_is_not_here(self):
        document = self.predict("llama3.1:8b", "--num-ctx", "32768")
        host = document["memory"]["host"]
        self.assertEqual(round(host["weights_bytes"] / MIB), 4685)
        self.assertEqual(host["cache_bytes"], 4096 * MIB)
        self.assertEqual(round(host["compute_bytes"] / MIB), 148)
        self.assertEqual(document["needed_bytes"], host["total_bytes"])
        self.assertEqual(document["fits"], document["needed_bytes"] <= document["available_bytes"])
        self.assertEqual(document["model"]["quantization"], "Q4_K_M")
        self.assertIsNone(document["decode"]["most_tps"])

    def test_another_quantisation_and_cache(self):
        document = self.predict("llama3.1:8b", "--quantization", "q4_0", "--kv-type", "q8_0", "--num-ctx", "32768")
        self.assertEqual(round(document["memory"]["host"]["weights_bytes"] / MIB), 4438)
        self.assertEqual(document["memory"]["host"]["cache_bytes"], 2176 * MIB)
        self.assertEqual(document["settings"]["key_type"], "q8_0")

    def test_a_file_that_is_here_is_exact(self):
        model = os.environ["VELOLLM_MODEL"]
        document = self.predict(model)
        self.assertEqual(document["model"]["architecture"], "llama")
        self.assertEqual(document["model"]["blocks"], 30)
        self.assertEqual(document["memory"]["host"]["cache_bytes"], 90 * MIB)
        self.assertTrue(document["fits"])
        self.assertEqual(document["largest_context"], document["model"]["trained_context"])

    def test_without_a_temporary_folder_formulas_tell_and_nothing_is_written_here(self):
        document = self.predict("llama3.1:8b", env={"TMPDIR": "/nowhere"})
        self.assertEqual(document["memory"]["basis"], "formula")
        self.assertEqual(list(self.folder.rglob("*.gguf")), [])

    def test_depth_costs_cache(self):
        shallow, deep = (self.predict("llama3.1:8b", "--depth", depth)["decode"] for depth in ("0", "32768"))
        self.assertEqual(deep["bytes_per_token"] - shallow["bytes_per_token"], 4096 * MIB)

    def test_a_measured_bandwidth_makes_a_ceiling(self):
        decode = self.predict("smollm2:135m", "--bandwidth")["decode"]
        if decode["bandwidth_gbps"] is None:  # a busy machine measures none
            self.assertIsNone(decode["most_tps"])
            return
        self.assertEqual(decode["bandwidth_basis"], "measured")
        self.assertAlmostEqual(decode["most_tps"] * decode["bytes_per_token"] / 1e9, decode["bandwidth_gbps"],
                               delta=0.06)

    def test_a_model_that_is_too_large_is_said_to_be(self):
        done = self.expect(self.velollm("predict", "deepseek-v3:671b"), 0)
        self.assertRegex(done.out, r"It doesn't fit in memory: [\d.]+ GiB are needed, [\d.]+ GiB are available\.")
        self.assertIn("No context fits", done.out)
        self.assertNotIn("tok/s", done.out)

    def test_text_says_what_is_computed_and_how(self):
        done = self.expect(self.velollm("predict", "smollm2:135m"), 0)
        self.assertRegex(done.out, r"^smollm2:135m, \S+, llama, 30 blocks, trained for \d+ tokens\n")
        self.assertRegex(done.out, r"\n  total +[\d.]+ MiB  by (formula|the engine's own account)\n")
        self.assertRegex(done.out, r"\nIt fits in memory: ")
        self.assertRegex(done.out, r"\nSpeed: [\d.]+ GB are read for a token\. For a forecast add --bandwidth")

    def test_a_forecast_is_a_range_with_its_basis(self):
        document = self.predict("llama3.1:8b", "--bandwidth", "--num-thread", "1")
        speed = document["speed"]
        self.assertEqual(speed["engine"], "embedded")
        self.assertEqual(speed["threads"], 1)
        self.assertEqual(speed["basis"], "formula")
        if document["decode"]["bandwidth_gbps"] is None:  # a busy machine measures none
            self.assertEqual(speed["missing"], "the bandwidth of the memory is not known")
            return
        self.assertLess(speed["decode"]["low_tps"], speed["decode"]["likely_tps"])
        self.assertLess(speed["decode"]["likely_tps"], speed["decode"]["high_tps"])
        self.assertLess(speed["decode"]["high_tps"], document["decode"]["most_tps"])
        # What was measured once is known from then on.
        again = self.predict("llama3.1:8b", "--num-thread", "1")
        self.assertEqual(again["speed"]["decode"], speed["decode"])

    def test_measuring_is_refused_where_it_can_say_nothing(self):
        self.assert_error(self.velollm("predict", "deepseek-v3:671b", "--measure"), 1, "doesn't fit memory")
        self.assert_error(self.velollm("predict", "smollm2:135m", "--measure", "-b", "ollama"), 2, "embedded engine")

    def test_a_broken_calibration_is_left_alone(self):
        state = self.folder / "state"
        file = state / "velollm/calibration.json"
        file.parent.mkdir(parents=True)
        file.write_text("{", encoding="utf-8")
        done = self.expect(self.velollm("predict", "smollm2:135m", env={"XDG_STATE_HOME": str(state)}), 0)
        self.assertRegex(done.out, r"Note: \S+calibration\.json can't be used: ")
        self.assertEqual(file.read_text(encoding="utf-8"), "{")

    def test_mistakes(self):
        self.assert_error(self.velollm("predict", "lama3.1:8b"), 4, "llama3.1:8b")
        self.assert_error(self.velollm("predict", "llama3.1:8b", "--quantization", "Q9_X"), 2)
        self.assert_error(self.velollm("predict", "llama3.1:8b", "--kv-type", "f17"), 2, "f17")
        self.assert_error(self.velollm("predict", os.environ["VELOLLM_MODEL"], "--quantization", "Q8_0"), 2)
        self.expect(self.velollm("predict"), 2)
        self.expect(self.velollm("predict", "llama3.1:8b", "--num-ctx", "0"), 2)
        self.expect(self.velollm("predict", "llama3.1:8b", "--num-ctx", "99999999999999"), 2)
        broken = self.folder / "broken.gguf"
        broken.write_bytes(b"GGUF" + b"\xff" * 100)
        self.assert_error(self.velollm("predict", broken), 1)


if __name__ == "__main__":
    unittest.main()
