"""`velollm recommend`: which models fit this machine, as text and as JSON of its schema."""

import hashlib
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest  # noqa: E402

SCHEMA = SOURCE / "schema/velollm-recommendation-1.schema.json"
FAKE = os.environ["VELOLLM_FAKE_NVML"]
MODEL = Path(os.environ["VELOLLM_MODEL"])


class RecommendTest(CliTest):
    def check_schema(self, text):
        file = self.folder / "recommendation.json"
        file.write_text(text, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(file)], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(check.returncode, 0, f"{check.stdout}{check.stderr}\n{text[:3000]}")
        return json.loads(text)

    def recommend(self, *words, code=0, **more):
        done = self.expect(self.velollm("recommend", "--json", *words, **more), code)
        return self.check_schema(done.out)

    def test_the_approved_example_fits_the_schema(self):
        self.check_schema((SOURCE / "tests/approved/recommendation.json").read_text(encoding="utf-8"))

    def test_what_fits_has_room_for_the_context(self):
        document = self.recommend("--min-ctx", "8192", "--kv-type", "q8_0")
        self.assertEqual(document["wanted"]["context"], 8192)
        self.assertEqual(document["wanted"]["cache_type"], "q8_0")
        for candidate in document["fitting"]:
            self.assertLessEqual(candidate["needed_bytes"], candidate["limit_bytes"])
            self.assertGreaterEqual(candidate["largest_context"], 8192)
        refused = {candidate["model"]: candidate for candidate in document["refused"]}
        self.assertRegex(refused["deepseek-v3:671b"]["reason"], r"^needs \d+\.\d GiB, [\d.]+ GiB may be taken$")
        self.assertEqual(refused["tinyllama"]["reason"], "was trained for 2048 tokens")

    def test_the_text_is_short_and_says_why(self):
        done = self.expect(self.velollm("recommend"), 0)
        self.assertRegex(done.out, r"^May be taken: [\d.]+ GiB of memory\nWanted: a context of 4096 tokens in f16, at least 5 tok/s\n")
        self.assertRegex(done.out, r"\nBest answers  \S+ \S+: the largest and newest that fits\n")
        self.assertRegex(done.out, r"\n\d+ of 64 known models fit\. Refused:\n")
        self.assertIn("--bandwidth measures it", done.out)
        self.assertLess(len(done.out.splitlines()), 25)
        everything = self.expect(self.velollm("recommend", "--all"), 0)
        self.assertGreater(len(everything.out.splitlines()), 64)

    def test_a_measured_bandwidth_makes_speeds(self):
        document = self.recommend("--bandwidth", "--min-speed", "0.001")
        gbps = document["machine"]["host_measured_gbps"]
        best = document["picks"]["best"]
        if gbps is None:  # a busy machine measures none
            self.assertIsNone(best["speed"]["decode"])
            self.assertIn("could not be measured", " ".join(document["notes"]))
            return
        speed = best["speed"]["decode"]
        self.assertLess(speed["low_tps"], speed["likely_tps"])
        self.assertLess(speed["high_tps"], gbps * 1e9 / best["bytes_per_token"])
        # What was measured once is known from then on, to predict as well.
        again = self.recommend("--min-speed", "0.001")
        self.assertEqual(again["machine"]["host_measured_gbps"], gbps)
        done = self.expect(self.velollm("predict", "llama3.2:1b", "--json"), 0)
        one = next(c for c in self.recommend("--min-speed", "0.001")["fitting"] if c["model"] == "llama3.2:1b")
        if one["quantization"] == "Q4_K_M":
            self.assertEqual(json.loads(done.out)["speed"]["decode"], one["speed"]["decode"])

    def test_a_gpu_is_filled_first(self):
        env = {"VELOLLM_NVML": FAKE, "FAKE_NVML_SCENE": "desktop"}
        document = self.recommend(env=env)
        machine = document["machine"]
        self.assertEqual(machine["gpu"], "NVIDIA GeForce RTX 4090")
        self.assertEqual(machine["gpu_limit_bytes"], (23040 - 1024) << 20)
        best = document["picks"]["best"]
        self.assertTrue(best["on_gpu"])
        self.assertGreaterEqual(best["parameters"], 13e9)
        self.assertEqual(best["speed"]["basis"], "formula")
        self.assertGreater(best["speed"]["decode"]["likely_tps"], 5)
        text = self.expect(self.velollm("recommend", env=env), 0).out
        self.assertIn("21.5 GiB of NVIDIA GeForce RTX 4090 (1008 GB/s, theoretical); ", text)
        self.assertIn(" of the GPU, context up to ", text)

    def test_a_model_of_the_store_is_marked(self):
        store = self.folder / "store"
        with MODEL.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        blob = store / "blobs" / f"sha256-{digest}"
        blob.parent.mkdir(parents=True)
        blob.symlink_to(MODEL)
        manifest = store / "manifests/registry.ollama.ai/library/mine/latest"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [
            {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": MODEL.stat().st_size}]}),
            encoding="utf-8")
        document = self.recommend(env={"OLLAMA_MODELS": store})
        mine = [c for c in document["fitting"] if c["model"] == "mine:latest"]
        self.assertEqual(len(mine), 1)
        self.assertTrue(mine[0]["here"])
        self.assertIsNone(mine[0]["released"])
        self.assertEqual([c["model"] for c in document["fitting"] if c["here"]], ["mine:latest"])
        self.assertIn("mine:latest Q4_1 (here)",
                      self.expect(self.velollm("recommend", "--all", env={"OLLAMA_MODELS": store}), 0).out)

    def test_nothing_fits(self):
        document = self.recommend("--min-ctx", "100000000", code=1)
        self.assertIsNone(document["picks"]["best"])
        self.assertEqual(document["fitting"], [])
        done = self.velollm("recommend", "--min-ctx", "100000000")
        self.assertEqual(done.code, 1)
        self.assertIn("Nothing that is known fits. Try a smaller --min-ctx", done.out)

    def test_a_file(self):
        path = self.folder / "out.json"
        self.expect(self.velollm("recommend", "-o", path), 0)
        self.check_schema(path.read_text(encoding="utf-8"))

    def test_it_is_fast(self):
        best = 9.0
        for _ in range(5):
            start = time.monotonic()
            self.expect(self.velollm("recommend", "-q"), 0)
            best = min(best, time.monotonic() - start)
        self.assertLess(best, 1.0)  # 0.2 s on a quiet machine; sanitizers and neighbours take their share

    def test_a_broken_calibration_is_left_alone(self):
        file = self.folder / "state/velollm/calibration.json"
        file.parent.mkdir(parents=True)
        file.write_text("{", encoding="utf-8")
        done = self.expect(self.velollm("recommend", "--bandwidth", env={"XDG_STATE_HOME": str(self.folder / "state")}), 0)
        self.assertRegex(done.out, r"Note: \S+calibration\.json can't be used: ")
        self.assertEqual(file.read_text(encoding="utf-8"), "{")

    def test_mistakes(self):
        self.assert_error(self.velollm("recommend", "--kv-type", "f17"), 2, "f17")
        self.expect(self.velollm("recommend", "--min-ctx", "0"), 2)
        self.expect(self.velollm("recommend", "--min-speed", "-1"), 2)
        self.expect(self.velollm("recommend", "--backend", "openai"), 2)
        self.expect(self.velollm("recommend", "llama3.1:8b"), 2)


if __name__ == "__main__":
    unittest.main()
