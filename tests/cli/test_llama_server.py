"""`velollm benchmark -b llamacpp` against a real llama-server."""

import os
import shutil
import signal
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import start_llama_server
from velollm_cli import CliTest, counted_samples

ONE = ("--prompt", "Tell a long story about a lighthouse keeper", "--max-tokens", "12", "--iterations", "3")


class LlamaServer(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix="velollm-llama-server-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.engine = start_llama_server(os.environ["VELOLLM_LLAMA_SERVER"], os.environ["VELOLLM_MODEL"], cls.shared)
        cls.addClassCleanup(cls.engine.stop)

    def benchmark(self, *words, **more):
        return self.velollm("benchmark", "-b", "llamacpp", "--url", self.engine.url, "-o", self.results, *words, **more)

    def check_element(self, element, tokens):
        for sample in element["velollm"]["samples"]:
            self.assertEqual((sample["outcome"], sample["counted"], sample["finish"]), ("ok", True, "length"))
            self.assertEqual(sample["output_tokens"], tokens)  # the end token is ignored: a fixed amount of work
            self.assertEqual(sample["cached_tokens"], 0)
            self.assertEqual(sum(sample.get("event_tokens") or [1] * len(sample["event_ns"])), tokens)
        self.assertEqual(element["eval_count"], tokens)
        self.assertEqual(element["total_tokens"], tokens * element["config"]["iterations"])
        velollm = element["velollm"]
        self.assertEqual(velollm["status"], "ok")
        self.assertEqual(velollm["workload"]["prompt_cache"], "cold")
        self.assertEqual(velollm["method"]["token_source"], "running_count")
        self.assertEqual(velollm["run"]["runtime"]["kind"], "llama-server")
        self.assertIn("itl_ms", velollm["measured"])  # every event is counted
        self.check_against_server(element)

    def test_benchmark(self):
        done = self.expect(self.benchmark(*ONE), 0)
        self.assertRegex(done.out, r"\nBackend: llamacpp\nModel: smollm2:135m\n\nChecking llama-server availability\.\.\. ✓\n"
                                   r"llama-server \S+, [^\n]*context 2048\b")
        self.assertRegex(done.out, r", prompt \d+ tokens uncached\n|, prompt \d+ tokens uncached \[")
        self.assertEqual(done.err, "")
        self.check_element(self.valid_results()[0], 12)

    def test_standard_suite_cut_short(self):
        self.expect(self.benchmark("--max-tokens", "6", "--iterations", "2"), 0)
        results = self.valid_results()
        self.assertEqual(len(results), 3)
        for element in results:
            self.check_element(element, 6)

    def test_prefill_of_a_long_prompt(self):
        self.expect(self.benchmark("--prompt", "Count the sheep on the hill. " * 30, *ONE[2:]), 0)
        element = self.valid_results()[0]
        speeds = element["velollm"]["measured"]["prefill_tps"]["samples"]
        for sample, speed in zip(counted_samples(element), speeds, strict=True):
            self.assertGreater(sample["prompt_tokens"], 150)
            self.assertAlmostEqual(speed, sample["prompt_tokens"] / sample["server_prompt_eval_ns"] * 1e9, places=2)
        self.assertLess(element["velollm"]["measured"]["prefill_bound_tps"]["median"], max(speeds))

    def test_prompt_counts_are_those_of_the_server(self):
        """The prompt as the program sent it, chat template included, has as many tokens as the file says."""
        self.expect(self.benchmark(*ONE), 0)
        element = self.valid_results()[0]
        sample = counted_samples(element)[0]
        words = f"{sample['nonce']}\n\n{element['config']['prompt']}"
        _, templated = self.engine.ask("POST", "/apply-template", {"messages": [{"role": "user", "content": words}]})
        _, tokens = self.engine.ask("POST", "/tokenize", {"content": templated["prompt"], "add_special": True,
                                                          "parse_special": True})
        self.assertEqual(sample["prompt_tokens"], len(tokens["tokens"]))

    def test_prompt_longer_than_the_context(self):
        done = self.benchmark("--prompt", "word " * 4000, *ONE[2:])
        self.assert_error(done, 1, "context", "-c ")
        self.assertNotIn('{"error"', done.err)

    def test_options_of_an_ollama_request_are_refused(self):
        self.assert_error(self.benchmark(*ONE, "--num-ctx", "512", seconds=15), 2, "-c")

    def test_what_is_set_for_ollama_is_no_mistake_here(self):
        """The guide exports these for Ollama; `velollm benchmark -b llamacpp` is in the guide too."""
        self.expect(self.benchmark(*ONE, env={"OLLAMA_NUM_CTX": "4096", "OLLAMA_KEEP_ALIVE": "5m"}), 0)

    def test_reload_is_refused(self):
        self.assert_error(self.benchmark(*ONE, "--reload", seconds=15), 2, "llama-server")

    def test_model_name_that_does_not_matter(self):
        done = self.expect(self.benchmark(*ONE, "-m", "qwen3:8b"), 0)
        self.assertIn("\nModel: smollm2:135m\n", done.out)
        self.assertIn("smollm2:135m, whatever -m says", done.out)
        self.assertEqual(self.valid_results()[0]["config"]["model"], "smollm2:135m")

    def test_ollama_at_this_address_is_an_error_that_names_the_server(self):
        done = self.velollm("benchmark", "-b", "ollama", "--url", self.engine.url, seconds=20)
        self.assert_error(done, 1, "Not an Ollama server", f"velollm benchmark -b llamacpp --url {self.engine.url}")

    def test_interrupt_leaves_the_server_usable(self):
        running = self.start("benchmark", "-b", "llamacpp", "--url", self.engine.url, "--prompt", "Tell a story",
                             "--max-tokens", "400", "--iterations", "1000", "-o", self.results)
        running.wait_for("Iteration 1/1000... ")
        running.signal(signal.SIGINT)
        done = self.expect(running.finish(10), 130)
        self.assertIn("Benchmark Summary", done.out)
        element = self.valid_results()[0]
        self.assertEqual(element["velollm"]["status"], "partial")
        self.assertGreaterEqual(len(counted_samples(element)), 1)
        self.assertEqual(self.engine.ask("GET", "/health"), (200, {"status": "ok"}))
        self.expect(self.benchmark(*ONE), 0)
        self.check_element(self.valid_results()[0], 12)


class Starting(CliTest):
    def test_a_server_that_dies_while_measuring(self):
        engine = start_llama_server(os.environ["VELOLLM_LLAMA_SERVER"], os.environ["VELOLLM_MODEL"], self.folder)
        self.addCleanup(engine.stop)
        running = self.start("benchmark", "-b", "llamacpp", "--url", engine.url, "--prompt", "Tell a story", "--max-tokens",
                             "60", "--iterations", "1000", "-o", self.results)
        running.wait_for("Iteration 2/1000... ")
        engine.stop(signal.SIGKILL)
        done = running.finish(20)
        lines = self.assert_error(done, 3)
        self.assertEqual(lines[0], f"Error: llama-server is not running at {engine.url}")
        element = self.valid_results()[0]
        self.assertGreaterEqual(len(counted_samples(element)), 2)
        self.assertIn("Benchmark Summary", done.out)


if __name__ == "__main__":
    unittest.main()
