"""`velollm benchmark -b llamacpp` against a real llama-server."""

import json
import os
import select
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import start_llama_server
from mock_server import Mock
from velollm_cli import CliTest, counted_samples

ONE = ("--prompt", "Tell a long story about a lighthouse keeper", "--max-tokens", "12", "--iterations", "3")
COPY = "Repeat exactly, word by word: " + "the red fox, the old barn, the tall oak, the cold lake and the long road. " * 4


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

    def test_tokens_of_a_server_without_a_count_are_counted_here(self):
        words = " the sea is wide and the night is long"
        mock = Mock({"steps": [{"dt_ms": 20, "text": words}, {"dt_ms": 5, "text": words, "repeat": 3}],
                     "finish": {"usage_at": "none"}}, self.folder)
        self.addCleanup(mock.stop)
        truth = len(self.engine.ask("POST", "/tokenize", {"content": words * 4})[1]["tokens"])
        done = self.velollm("benchmark", "-b", "openai", "--url", mock.url, "-m", "mock:1b", "--tokenizer",
                            os.environ["VELOLLM_MODEL"], "-o", self.results, *ONE, "--max-tokens", truth, "--quick")
        self.assertIn(done.code, (0, 5), done)
        velollm = json.loads(self.results.read_text(encoding="utf-8"))[0]["velollm"]
        self.assertEqual([sample["retokenised_tokens"] for sample in velollm["samples"]], [truth] * 3)
        self.assertEqual((velollm["method"]["tokens"], velollm["method"]["token_source"]), ("client-tokenizer", "retokenised"))
        self.assertIn("tokens_estimated", velollm["warnings"])
        seconds = [(sample["event_ns"][-1] - sample["event_ns"][0]) / 1e9 for sample in velollm["samples"]]
        self.assertAlmostEqual(velollm["measured"]["decode_tps"]["median"], (truth - 1) / statistics.median(seconds), delta=0.01)
        done = self.velollm("benchmark", "-b", "openai", "--url", mock.url, "--tokenizer", "none.gguf", *ONE)
        self.assert_error(done, 4, "none.gguf")

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

    def test_the_three_ways_in_count_the_same(self):
        """/completion with the template applied here, chat with the server applying it, and the same as any /v1 server."""
        ways = {"completion": ("-b", "llamacpp"), "chat": ("-b", "llamacpp", "--endpoint", "chat"), "openai": ("-b", "openai")}
        prompts = {}
        for name, words in ways.items():
            self.expect(self.velollm("benchmark", "--url", self.engine.url, "-o", self.results, *ONE, *words), 0)
            element = self.valid_results()[0]
            samples = counted_samples(element)
            self.assertEqual([sample["output_tokens"] for sample in samples], [12, 12, 12], name)
            self.assertEqual([sample["cached_tokens"] for sample in samples], [0, 0, 0], name)
            self.assertEqual(element["velollm"]["method"]["token_source"], "server_total" if name == "openai" else "running_count")
            self.assertIn("server_decode_tps", element["velollm"]["measured"])
            self.check_against_server(element)
            nonces = [self.engine.ask("POST", "/tokenize", {"content": sample["nonce"]})[1]["tokens"] for sample in samples]
            prompts[name] = {sample["prompt_tokens"] - len(tokens) for sample, tokens in zip(samples, nonces, strict=True)}
        self.assertEqual(prompts["chat"], prompts["completion"])
        self.assertEqual(prompts["openai"], prompts["completion"])

    def test_chat_of_a_prompt_that_is_too_long(self):
        done = self.benchmark("--prompt", "word " * 4000, *ONE[2:], "--endpoint", "chat")
        self.assert_error(done, 1, "context", "-c ")

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


def children_of(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


class StartedHere(CliTest):
    """-m FILE without --url: llama-server is started, and is gone afterwards whatever happens."""

    def words(self, *more):
        return ("benchmark", "-b", "llamacpp", "-m", os.environ["VELOLLM_MODEL"], "--llama-server",
                os.environ["VELOLLM_LLAMA_SERVER"], "-o", self.results, *more)

    def running_server(self):
        """A benchmark under way, and a handle on its server."""
        running = self.start(*self.words("--prompt", "Tell a story", "--max-tokens", "60", "--iterations", "1000"))
        running.wait_for("Iteration 1/1000... ")
        (child,) = children_of(running.process.pid)
        self.assertIn("llama-server", Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"))
        handle = os.pidfd_open(child)
        self.addCleanup(os.close, handle)
        return running, handle

    def assert_gone(self, handle, seconds=20):
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        self.assertTrue(poller.poll(seconds * 1000), "llama-server outlived the program")

    def test_benchmark(self):
        done = self.expect(self.velollm(*self.words(*ONE, "--num-ctx", "1024", "--num-thread", "1", "--num-batch", "64")), 0)
        self.assertEqual(done.err, "")
        self.assertRegex(done.out, r"\nllama-server \S+, Q4_1, context 1024, 1 threads?[^\n]*\n"
                                   r"Loading model\.\.\. \d+\.\ds, warm-up 2 requests\n")
        element = self.valid_results()[0]
        self.assertEqual(element["eval_count"], 12)
        self.assertEqual(element["config"]["model"], os.environ["VELOLLM_MODEL"])
        self.assertGreater(element["velollm"]["measured"]["load_ms"]["median"], 0)
        runtime = element["velollm"]["run"]["runtime"]
        self.assertEqual(runtime["settings"]["flags"], "-c 1024 -t 1 -tb 1 -np 1 --no-webui -b 64 -ub 64")
        self.assertGreater(runtime["memory_bytes"], 50_000_000)
        with socket.socket() as probe:  # nobody listens there any more
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", int(runtime["address"].rsplit(":", 1)[1]))), 0)

    def test_reload_starts_it_again(self):
        self.expect(self.velollm(*self.words(*ONE, "--reload")), 0)
        self.assertGreater(self.valid_results()[0]["velollm"]["measured"]["load_ms"]["median"], 0)

    def test_draft(self):
        self.expect(self.velollm(*self.words(*ONE, "--draft", os.environ["VELOLLM_MODEL"])), 0)
        element = self.valid_results()[0]
        self.assertIn("--spec-type draft-simple", element["velollm"]["run"]["runtime"]["settings"]["flags"])
        self.assertGreater(element["velollm"]["figures"]["draft_acceptance"]["value"], 0)
        self.assertEqual(element["eval_count"], 12)

    def test_lookup_on_a_copying_prompt(self):
        done = self.expect(self.velollm(*self.words(
            "--prompt", COPY, "--max-tokens", "64", "--iterations", "3", "--num-thread", "1", "--speculation", "ngram-simple",
            "--draft-tokens", "8")), 0)
        velollm = self.valid_results()[0]["velollm"]
        self.assertTrue(velollm["run"]["runtime"]["settings"]["flags"].endswith(
            "--spec-type ngram-simple --spec-ngram-simple-size-m 8 --spec-ngram-simple-size-n 8"))
        self.assertEqual(velollm["workload"]["spec_decode"], {"type": "ngram-simple", "draft_model": None, "draft_tokens": 8})
        samples = velollm["samples"]
        self.assertGreater(sum(s.get("accepted_tokens", 0) for s in samples), 0)
        self.assertGreater(velollm["measured"]["tokens_per_step"]["median"], 1.0)
        self.assertAlmostEqual(velollm["figures"]["draft_acceptance"]["value"],
                               sum(s.get("accepted_tokens", 0) for s in samples) /
                               sum(s.get("draft_tokens", 0) for s in samples), places=4)
        self.assertIn("  Speculation: ngram-simple, at most 8 tokens a step; ", done.out)

    def test_speculation_by_its_short_names(self):
        for name, flags in (("ngram", "--spec-type ngram-mod"), ("off", "--spec-type none")):
            with self.subTest(name):
                self.expect(self.velollm(*self.words(*ONE, "--speculation", name)), 0)
                self.assertTrue(self.valid_results()[0]["velollm"]["run"]["runtime"]["settings"]["flags"].endswith(flags))

    def test_gone_after_an_interrupt(self):
        running, handle = self.running_server()
        running.signal(signal.SIGINT)
        self.expect(running.finish(20), 130)
        self.assert_gone(handle, 0)  # before the program's own end
        self.assertEqual(self.valid_results()[0]["velollm"]["status"], "partial")

    def test_gone_after_a_kill(self):
        running, handle = self.running_server()
        running.signal(signal.SIGKILL)
        self.expect(running.finish(20), -signal.SIGKILL)
        self.assert_gone(handle)

    def test_found_by_environment_and_path(self):
        binary = Path(os.environ["VELOLLM_LLAMA_SERVER"])
        words = [word for word in self.words(*ONE) if word not in ("--llama-server", str(binary))]
        self.expect(self.velollm(*words, env={"VELOLLM_LLAMA_SERVER": binary}), 0)
        self.expect(self.velollm(*words, env={"PATH": f"{binary.parent}:/usr/bin:/bin"}), 0)
        cache = self.folder / "cache/velollm/engines/llama.cpp-1/bin"
        cache.mkdir(parents=True)
        (cache / "llama-server").symlink_to(binary)
        self.expect(self.velollm(*words, env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": self.folder / "cache"}), 0)
        self.assert_error(self.velollm(*words, env={"PATH": "/usr/bin:/bin"}), 1, "llama-server not found", "scripts/setup",
                          "--llama-server", "-b embedded")

    def test_one_that_ends_shows_its_last_words(self):
        fake = self.folder / "fake-server"
        fake.write_text("#!/bin/sh\necho loading\necho \"error: unknown model architecture: 'sea'\" >&2\nexit 4\n",
                        encoding="utf-8")
        fake.chmod(0o755)
        words = [fake if str(word) == os.environ["VELOLLM_LLAMA_SERVER"] else word for word in self.words(*ONE)]
        self.assert_error(self.velollm(*words, seconds=20), 1, "llama-server ended while loading", "(with exit code 4)",
                          "too old for the model", "unknown model architecture: 'sea'")

    def test_real_refusals(self):
        done = self.velollm(*self.words(*ONE, "--kv-type", "nonsense"))
        self.assert_error(done, 1, "llama-server ended while loading", "nonsense")
        done = self.velollm(*self.words(*ONE, "--speculation", "nonsense"))
        self.assert_error(done, 1, "llama-server ended while loading", "unknown speculative type: nonsense", "--spec-type")
        self.assert_error(self.velollm(*self.words(*ONE, "--speculation", "ngram-cache", "--draft-tokens", "4")), 2,
                          "ngram-cache")
        self.assert_error(self.velollm("benchmark", "-b", "llamacpp", "--url", "localhost:1", "--speculation", "ngram", *ONE),
                          2, "--spec-type ngram-mod", "-m FILE.gguf")
        self.assert_error(self.velollm("benchmark", "-b", "llamacpp", "-m", "none.gguf", *ONE), 4, "none.gguf")
        self.assert_error(self.velollm(*self.words(*ONE, "--url", "localhost:1")), 2, "--llama-server", "--url")
        self.assert_error(self.velollm("benchmark", "-b", "ollama", "--draft", "x", *ONE), 2, "-b llamacpp")


if __name__ == "__main__":
    unittest.main()
