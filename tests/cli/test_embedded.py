"""`velollm benchmark -b embedded` with real weights: the whole way from the file to the numbers, without a server."""

import hashlib
import json
import os
import re
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from velollm_cli import STANDARD, CliTest, counted_samples

MODEL = Path(os.environ["VELOLLM_MODEL"])
CACHE = MODEL.parent.parent.parent  # <cache>/velollm/models/FILE
QUICK = ("--max-tokens", "8", "--iterations", "2")
ONE = ("--prompt", "Say hello", "--max-tokens", "8", "--iterations", "2")
COPY = "Repeat exactly, word by word: " + "the red fox, the old barn, the tall oak, the cold lake and the long road. " * 4
ARCHITECTURE_KEY = b"general.architecture"


class EmbeddedTest(CliTest):
    def embedded(self, *words, env=None, **more):
        return self.velollm("benchmark", "-b", "embedded", *words, env={"XDG_CACHE_HOME": CACHE} | (env or {}), **more)

    def check_samples(self, element, tokens):
        for sample in element["velollm"]["samples"]:
            self.assertEqual((sample["outcome"], sample["counted"], sample["finish"]), ("ok", True, "length"))
            self.assertEqual(sample["output_tokens"], tokens)
            self.assertEqual(len(sample["event_ns"]), tokens)
            self.assertEqual(sample["event_ns"], sorted(sample["event_ns"]))
            self.assertEqual(sample["cached_tokens"], 0)
            self.assertGreater(sample["text_bytes"], 0)
        self.assertEqual(element["eval_count"], tokens)
        self.assertEqual(element["total_tokens"], tokens * element["config"]["iterations"])
        velollm = element["velollm"]
        self.assertEqual(velollm["workload"]["prompt_cache"], "cold")
        self.assertEqual(velollm["method"]["token_source"], "per_event")
        self.assertEqual(velollm["status"], "ok")


class DefaultModel(EmbeddedTest):
    def test_layout_and_file(self):
        done = self.expect(self.embedded(*QUICK, "-o", self.results), 0)
        self.assertEqual(done.err, "")
        self.assertRegex(done.out, r"\A🚀 VeloLLM Benchmark Suite\n\nBackend: embedded\nModel: SmolLM2-135M-Instruct\n\n"
                                   r"Checking llama\.cpp availability\.\.\. ✓\nllama\.cpp [^\n]*Q4_1, context 4096, \d+ threads"
                                   r"[^\n]*\n(Note: [^\n]+\n)*Loading model\.\.\. \d+\.\ds, warm-up 2 requests\n\n"
                                   r"Running 3 benchmarks\.\.\.\n\n═{55}\n\n")
        for name, *_ in STANDARD:
            self.assertRegex(done.out, rf"(?m)^Running benchmark: {name} \(2 iterations\)\n"
                                       r"  Iteration 1/2\.\.\. \d+\.\d tok/s \(\d+ms\)\n  Iteration 2/2\.\.\. \d+\.\d tok/s \(\d+ms\)\n"
                                       r"  Average: \d+\.\d tok/s, TTFT: \d+\.\dms\n"
                                       r"  Decode: \d+\.\d tok/s \(\d+\.\d \.\. \d+\.\d\), TTFT median \d+\.\dms, "
                                       r"prompt \d+ tokens uncached\n")
        results = self.valid_results()
        self.assertEqual([(e["config"]["name"], e["config"]["prompt"]) for e in results],
                         [(name, prompt) for name, prompt, *_ in STANDARD])
        for element in results:
            self.check_samples(element, 8)
            self.check_against_server(element)
            # More tokens than words: nonce, question and chat template are all in it.
            self.assertGreater(element["prompt_eval_count"], len(element["config"]["prompt"].split()) + 6)
            velollm = element["velollm"]
            self.assertEqual(velollm["run"]["runtime"]["kind"], "embedded")
            self.assertEqual(velollm["model"]["params"], 134515008)
            self.assertEqual(velollm["model"]["quant"], "Q4_1")
            self.assertNotIn("cpu_share", velollm["client"])  # engine and client are one process
        self.assertGreater(results[0]["velollm"]["measured"]["load_ms"]["median"], 0)

    def test_full_length_of_the_first_benchmark(self):
        done = self.expect(self.embedded("--prompt", STANDARD[0][1], "--max-tokens", "50", "--iterations", "5", "-o",
                                         self.results), 0)
        self.check_samples(self.valid_results()[0], 50)
        self.assertEqual(len(re.findall(r"(?m)^  Iteration \d/5\.\.\. \d", done.out)), 5)

    def test_prefill_of_a_long_prompt(self):
        prompt = "Count the sheep on the hill and name each of them. " * 20
        self.expect(self.embedded("--prompt", prompt, "--max-tokens", "4", "--iterations", "2", "-o", self.results), 0)
        element = self.valid_results()[0]
        measured = element["velollm"]["measured"]
        self.assertGreater(element["prompt_eval_count"], 200)
        for sample, speed in zip(counted_samples(element), measured["prefill_tps"]["samples"], strict=True):
            self.assertAlmostEqual(speed, sample["prompt_tokens"] / sample["server_prompt_eval_ns"] * 1e9, places=2)
        self.assertLessEqual(measured["prefill_bound_tps"]["median"], measured["prefill_tps"]["median"])

    def test_interrupt_ends_with_what_is_measured(self):
        running = self.start("benchmark", "-b", "embedded", "--prompt", "x", "--max-tokens", "20", "--iterations", "10000",
                             "-o", self.results, env={"XDG_CACHE_HOME": str(CACHE)})
        running.wait_for("Iteration 2/10000... ")
        running.signal(signal.SIGINT)
        done = self.expect(running.finish(20), 130)
        self.assertIn("Benchmark Summary", done.out)
        element = self.valid_results()[0]
        self.assertEqual(element["velollm"]["status"], "partial")
        self.assertGreaterEqual(len(counted_samples(element)), 1)


class Options(EmbeddedTest):
    def settings(self, *words, **more):
        self.expect(self.embedded(*ONE, "-o", self.results, *words, **more), 0)
        element = self.valid_results()[0]
        self.check_samples(element, 8)
        return element["velollm"]["run"]["runtime"]["settings"]

    def test_threads_context_and_batch(self):
        settings = self.settings("--num-thread", "1", "--num-ctx", "512", "--num-batch", "16")
        self.assertEqual({key: settings[key] for key in ("num_thread", "num_ctx", "num_batch")},
                         {"num_thread": 1, "num_ctx": 512, "num_batch": 16})

    def test_environment(self):
        settings = self.settings(env={"OLLAMA_NUM_THREAD": "1", "OLLAMA_NUM_CTX": "1024"})
        self.assertEqual((settings["num_thread"], settings["num_ctx"]), (1, 1024))

    def test_quantised_cache(self):
        settings = self.settings("--kv-type", "q8_0", "--flash-attn", "on")
        self.assertEqual((settings["kv_type"], settings["flash_attention"]), ("q8_0", "on"))

    def test_quantised_cache_without_flash_attention_is_explained(self):
        done = self.embedded(*ONE, "--kv-type", "q8_0", "--flash-attn", "off")
        self.assert_error(done, 1, "--flash-attn on")

    def test_unknown_values(self):
        for words in (("--kv-type", "q3_x"), ("--flash-attn", "maybe"), ("--num-ctx", "0"), ("--num-thread", "0")):
            with self.subTest(words):
                self.assert_error(self.embedded(*ONE, *words, seconds=15), 2, words[1])

    def test_context_too_small_for_the_answer(self):
        """The warm-up fits, the measured requests don't: measured, and no valid result."""
        done = self.embedded("--prompt", "x", "--max-tokens", "500", "--iterations", "2", "--num-ctx", "256", "-o", self.results)
        self.expect(done, 5)
        self.assertRegex(done.out, r"Iteration 1/2\.\.\. failed: .*\b256\b")
        self.assertIn("--num-ctx", done.out + done.err)
        element = self.valid_results()[0]
        self.assertEqual(element["velollm"]["status"], "failed")
        self.assertEqual(element["velollm"]["errors"]["failed"], 2)

    def test_context_too_small_for_the_prompt(self):
        done = self.embedded("--prompt", "word " * 400, *ONE[2:], "--num-ctx", "256", "-o", self.results)
        self.assert_error(done, 1, "256", "--num-ctx")
        self.assertFalse(self.results.exists())

    def test_context_beyond_the_training_is_told(self):
        done = self.expect(self.embedded("--prompt", "x", "--max-tokens", "2", "--iterations", "1", "--num-ctx", "100000"), 0)
        self.assertIn("8192", done.out)

    def test_memory_that_is_not_there(self):
        done = self.embedded(*ONE, "--num-ctx", "8192", "-v")
        self.expect(done, 0)
        self.assertRegex(done.out, r"Its peak memory\s+\d+\.\d MiB")


class Speculation(EmbeddedTest):
    """That the text stays the same is tested where prompts can be the same: tests/unit/engine_speculation_test.cpp."""

    def copying(self, *words):
        done = self.expect(self.embedded("--prompt", COPY, "--max-tokens", "32", "--iterations", "6", "--warmup", "1",
                                         "--num-thread", "1", "-v", "-o", self.results, *words), 0)
        element = self.valid_results()[0]
        self.check_samples(element, 32)
        return done, element["velollm"]

    def test_lookup_on_a_copying_prompt(self):
        done, velollm = self.copying("--speculation", "ngram", "--draft-tokens", "6")
        for sample in velollm["samples"]:
            self.assertGreater(sample["accepted_tokens"], 0)
            self.assertGreaterEqual(sample["draft_tokens"], sample["accepted_tokens"])
            # The first token is the prompt's; each step behind it brings one token that no draft held.
            self.assertEqual(len(set(sample["event_ns"])) + sample["accepted_tokens"], 32)
        self.assertGreater(velollm["measured"]["tokens_per_step"]["median"], 1.2)
        self.assertEqual(velollm["workload"]["spec_decode"], {"type": "ngram", "draft_model": None, "draft_tokens": 6})
        acceptance = velollm["figures"]["draft_acceptance"]
        self.assertAlmostEqual(acceptance["value"], sum(s["accepted_tokens"] for s in velollm["samples"]) /
                               sum(s["draft_tokens"] for s in velollm["samples"]), places=4)
        self.assertTrue(acceptance["ci95"][0] <= acceptance["value"] <= acceptance["ci95"][1])
        self.assertRegex(done.out, r"\n  Speculation: ngram, at most 6 tokens a step; \d+% of \d+ drafted tokens kept "
                                   r"\(\d+ \.\. \d+%\), \d\.\d\d tokens per step\n")
        self.assertRegex(done.out, r"\n    draft_acceptance +0\.\d+ \(\d\S* \.\. \d\S*\)\n")

    def test_off_is_as_without(self):
        _, velollm = self.copying("--speculation", "off")
        self.assertIsNone(velollm["workload"]["spec_decode"])
        self.assertNotIn("draft_acceptance", velollm["figures"])
        self.assertNotIn("draft_tokens", velollm["samples"][0])
        self.assertEqual(velollm["measured"]["tokens_per_step"]["median"], 1.0)

    def test_a_model_that_drafts(self):
        _, velollm = self.copying("--draft", MODEL)
        self.assertEqual(velollm["workload"]["spec_decode"],
                         {"type": "draft-simple", "draft_model": MODEL.name, "draft_tokens": 3})
        self.assertGreater(velollm["figures"]["draft_acceptance"]["value"], 0.5)  # it foresees itself
        self.assertGreater(velollm["measured"]["tokens_per_step"]["median"], 2)

    def test_what_there_is_not(self):
        for words, texts in ((("--speculation", "draft-mtp"), ("draft-mtp", "-b llamacpp")),
                             (("--speculation", "draft-simple"), ("--draft MODEL",)),
                             (("--speculation", "ngram", "--draft", MODEL), ("not with both",)),
                             (("--draft-tokens", "3"), ("--speculation ngram",))):
            with self.subTest(words):
                self.assert_error(self.embedded(*ONE, *words, seconds=15), 2, *texts)
        self.assert_error(self.embedded(*ONE, "--draft", "none.gguf", seconds=15), 4, "none.gguf")


class Files(EmbeddedTest):
    def patched(self, old: bytes, new: bytes, name: str) -> Path:
        """A copy of the model with one string of its header replaced by one of the same length."""
        data = bytearray(MODEL.read_bytes())
        place = data.index(ARCHITECTURE_KEY) + len(ARCHITECTURE_KEY)
        place = data.index(old, place)
        data[place:place + len(old)] = new
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_a_path(self):
        for words in (("-m", MODEL), ("--model", os.path.relpath(MODEL, self.folder))):
            with self.subTest(words):
                done = self.expect(self.embedded(*ONE, *words, "-o", self.results, env={"XDG_CACHE_HOME": "/nowhere"}), 0)
                self.assertIn(f"\nModel: {words[1]}\n", done.out)
                self.check_samples(self.valid_results()[0], 8)

    def test_unknown_architecture(self):
        path = self.patched(b"llama", b"lxama", "lxama.gguf")
        done = self.embedded(*ONE, "-m", path, seconds=15)
        self.assert_error(done, 1, "lxama", str(path), "-b ollama")
        self.assertNotIn("terminate", done.err)

    def test_model_of_an_ollama_store(self):
        store = self.folder / "store"
        with MODEL.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        blob = store / "blobs" / f"sha256-{digest}"
        blob.parent.mkdir(parents=True)
        try:
            os.link(MODEL, blob)
        except OSError:  # another disk
            blob.symlink_to(MODEL)
        manifest = store / "manifests/registry.ollama.ai/library/smollm2/135m"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [
            {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 5},
            {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": MODEL.stat().st_size}]}),
            encoding="utf-8")
        done = self.expect(self.embedded(*ONE, "-m", "smollm2:135m", "-o", self.results, env={"OLLAMA_MODELS": store}), 0)
        self.assertIn("\nModel: smollm2:135m\n", done.out)
        element = self.valid_results()[0]
        self.assertEqual(element["config"]["model"], "smollm2:135m")
        self.assertEqual(element["velollm"]["model"]["sha256"], digest)
        self.check_samples(element, 8)

        done = self.embedded(*ONE, "-m", "smollm2:360m", env={"OLLAMA_MODELS": store})
        self.assert_error(done, 4, "Model not found: smollm2:360m", "smollm2:135m", "ollama pull smollm2:360m")


if __name__ == "__main__":
    unittest.main()
