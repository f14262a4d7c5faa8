"""`velollm benchmark` against real Ollama servers: 0.32 (llama-server inside) and, where it is installed, 0.24."""

import json
import os
import shutil
import signal
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import create_model, start_llama_server, start_ollama
from velollm_cli import CliTest, counted_samples

MODEL = "smollm2:135m"
ONE = ("--prompt", "Tell a long story about a lighthouse keeper", "--max-tokens", "12", "--iterations", "3")
COPY = "Repeat exactly, word by word: " + "the red fox, the old barn, the tall oak, the cold lake and the long road. " * 4


def descendants_of(pid):
    """Children of any thread: a Go program starts its own from many."""
    lists = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    children = [int(word) for text in lists for word in text.split()]
    return children + [below for child in children for below in descendants_of(child)]


class OllamaTests:
    """The tests; a class below says for which server."""

    binary = ""
    version = ""

    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix="velollm-ollama-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.engine = start_ollama(cls.binary, cls.shared)
        cls.addClassCleanup(cls.engine.stop)
        create_model(cls.engine, cls.binary, MODEL, os.environ["VELOLLM_MODEL"], cls.shared)

    def benchmark(self, *words, env=None, **more):
        return self.velollm("benchmark", "-m", MODEL, "-o", self.results, *words,
                            env={"OLLAMA_HOST": f"127.0.0.1:{self.engine.port}"} | (env or {}), **more)

    def loaded(self) -> list:
        return self.engine.ask("GET", "/api/ps")[1]["models"]

    def check_element(self, element, tokens):
        """Counts are those of the server's final record, and belong together."""
        for sample in element["velollm"]["samples"]:
            self.assertEqual(sample["outcome"], "ok")
            self.assertGreater(sample["server_prompt_eval_ns"], 0)
            # The server's own total lies within what the client saw: from its request to the last record.
            self.assertLessEqual(sample["server_total_ns"], sample["done_ns"])
            self.assertLessEqual(sample["server_prompt_eval_ns"] + sample["server_eval_ns"], sample["server_total_ns"] * 1.01)
            self.assertLessEqual(sample["output_tokens"], tokens)
            self.assertLessEqual(len(sample["event_ns"]), sample["output_tokens"])
            if sample["finish"] == "length":
                self.assertEqual(sample["output_tokens"], tokens)
        self.check_against_server(element)
        velollm = element["velollm"]
        self.assertIn(velollm["status"], ("ok", "invalid"))  # a busy machine may load the model again
        self.assertEqual(velollm["run"]["runtime"]["kind"], "ollama")
        self.assertEqual(velollm["run"]["runtime"]["version"], self.version)
        self.assertEqual(velollm["method"]["tokens"], "server")
        self.assertEqual(velollm["model"]["quant"], "Q4_1")
        self.assertLess(velollm["client"]["cpu_share"], 0.2)

    def test_four_backends_run_the_same_tokens(self):
        """The model of Ollama's store through all engines; a llama-server of its own serves /v1."""
        server = start_llama_server(os.environ["VELOLLM_LLAMA_SERVER"], os.environ["VELOLLM_MODEL"], self.folder)
        self.addCleanup(server.stop)
        done = self.velollm("benchmark", "-b", "embedded,ollama,llamacpp,openai", "--llama-server",
                            os.environ["VELOLLM_LLAMA_SERVER"], "--url", server.url, "-m", MODEL, "-o", self.results,
                            "--prompt", "Tell a long story about a lighthouse keeper", "--max-tokens", "8", "--runs", "3",
                            env={"OLLAMA_HOST": f"127.0.0.1:{self.engine.port}", "OLLAMA_MODELS": self.shared / "models"},
                            seconds=120.0)
        self.assertIn(done.code, (0, 5), done)
        elements = self.valid_results()
        self.assertEqual([e["velollm"]["run"]["runtime"]["kind"] for e in elements],
                         ["embedded", "ollama", "llama-server", "openai"])
        samples = [e["velollm"]["samples"] for e in elements]
        for of_round in zip(*samples):
            self.assertEqual([s["prompt_tokens"] for s in of_round], [of_round[0]["prompt_tokens"]] * 4)
            self.assertEqual([s["output_tokens"] for s in of_round], [8] * 4)
        for element in elements:
            waterfall = element["velollm"]["waterfall"]
            parts = sum(waterfall.get(part, 0) for part in ("before_ms", "prompt_ms", "decode_ms", "stream_ms", "after_ms"))
            self.assertAlmostEqual(parts, waterfall["whole_ms"], 2)
        self.assertNotIn("did not read the same tokens", done.out)
        self.assertIn("tokenize_ms", elements[2]["velollm"]["waterfall"])
        self.assertIn("round_trip_ms", elements[1]["velollm"]["waterfall"])

    def test_a_prediction_of_its_model_is_that_of_the_file(self):
        """The program can't see the server's store: it knows what /api/show says, and no more."""
        env = {"OLLAMA_HOST": f"127.0.0.1:{self.engine.port}"}
        create_model(self.engine, self.binary, "velollm-predicted", os.environ["VELOLLM_MODEL"], self.shared)

        def predict(*words, env):
            return json.loads(self.expect(self.velollm("predict", *words, "--json", "-b", "ollama", env=env), 0).out)

        def key():
            state = json.loads((self.folder / "home/state/velollm/calibration.json").read_text(encoding="utf-8"))
            return {one["key"] for one in state["predictions"]}
        shown = predict("velollm-predicted", env=env)
        stored = predict("velollm-predicted", env={"OLLAMA_MODELS": self.shared / "models"})
        self.assertEqual(shown["model"].pop("name"), "velollm-predicted")
        stored["model"].pop("name")
        self.assertEqual(shown["model"], stored["model"])
        for part in ("settings", "memory", "needed_bytes", "largest_context"):
            self.assertEqual(shown[part], stored[part])
        self.assertEqual(shown["decode"]["bytes_per_token"], stored["decode"]["bytes_per_token"])
        # With a bandwidth both are forecast, and kept under the name of their shape.
        for where in (env, {"OLLAMA_MODELS": self.shared / "models"}):
            known = predict("velollm-predicted", "--bandwidth", env=where)
            if known["speed"]["decode"]:  # a busy machine measures none
                self.assertEqual(len(key()), 1)

    def test_a_template_that_a_server_adds_is_seen(self):
        done = self.velollm("benchmark", "-b", "ollama,openai", "--url", self.engine.url, "-m", MODEL, "--prompt", "Say more",
                            "--max-tokens", "4", "--runs", "2", env={"OLLAMA_HOST": f"127.0.0.1:{self.engine.port}"})
        self.assertIn("openai did not read the same tokens", done.out)

    def test_its_openai_endpoints(self):
        for endpoint in ("chat", "completions"):
            done = self.expect(self.velollm("benchmark", "-b", "openai", "--url", self.engine.url, "--endpoint", endpoint,
                                            "-m", MODEL, "-o", self.results, *ONE), 0)
            self.assertEqual(done.err, "")
            element = self.valid_results()[0]
            for sample in counted_samples(element):
                self.assertLessEqual(sample["output_tokens"], 12)
                self.assertGreater(sample["prompt_tokens"], 8)
            self.assertEqual(element["velollm"]["run"]["runtime"]["settings"]["owned_by"], "library")
        done = self.velollm("benchmark", "-b", "openai", "--url", self.engine.url, "-m", "smollm:135m", *ONE)
        self.assert_error(done, 4, "Model not found: smollm:135m", MODEL)

    def test_benchmark(self):
        done = self.expect(self.benchmark(*ONE), 0)
        self.assertIn(f"\nModel: {MODEL}\n\nChecking Ollama availability... ✓\nOllama {self.version}, Q4_1, context 4096", done.out)
        self.assertEqual(done.err, "")
        results = self.valid_results()
        self.assertEqual(results[0]["config"]["model"], MODEL)
        self.check_element(results[0], 12)

    def test_standard_suite_cut_short(self):
        self.expect(self.benchmark("--max-tokens", "6", "--iterations", "2"), 0)
        for element in self.valid_results():
            self.check_element(element, 6)

    def test_counts_are_those_that_the_server_gives_for_the_same_request(self):
        """The same prompt, nonce included, asked again: the same answer, the same counts."""
        self.expect(self.benchmark(*ONE), 0)
        element = self.valid_results()[0]
        sample = counted_samples(element)[0]
        prompt = f"{sample['nonce']}\n\n{element['config']['prompt']}"
        status, answer = self.engine.ask("POST", "/api/generate", {
            "model": MODEL, "prompt": prompt, "stream": False, "options": {"num_predict": 12, "temperature": 0, "seed": 42}})
        self.assertEqual(status, 200)
        self.assertEqual(sample["prompt_tokens"], answer["prompt_eval_count"])
        self.assertEqual(sample["output_tokens"], answer["eval_count"])

    def test_chat(self):
        self.expect(self.benchmark(*ONE, "--endpoint", "chat"), 0)
        self.check_element(self.valid_results()[0], 12)

    def test_model_missing(self):
        done = self.benchmark(*ONE, "-m", "smollm2:360m", seconds=15)
        lines = self.assert_error(done, 4, "ollama pull smollm2:360m", MODEL)
        self.assertEqual(lines[0], "Error: Model not found: smollm2:360m")

    def test_num_ctx_of_the_environment_reaches_the_engine(self):
        done = self.expect(self.benchmark(*ONE, env={"OLLAMA_NUM_CTX": "1024"}), 0)
        self.assertIn("\nOptions: num_ctx 1024 (OLLAMA_NUM_CTX)\n", done.out)
        self.assertIn("context 1024", done.out)
        self.assertEqual([model["context_length"] for model in self.loaded()], [1024])
        # The warm-up and the iterations had the same options: no request loaded the model again.
        velollm = self.valid_results()[0]["velollm"]
        self.assertNotIn("reloaded", velollm["warnings"])
        self.assertEqual(velollm["run"]["runtime"]["context_tokens"], 1024)

    def test_reload_measures_the_loading(self):
        self.expect(self.benchmark(*ONE), 0)
        self.assertEqual(len(self.loaded()), 1)
        done = self.expect(self.benchmark(*ONE, "--reload"), 0)
        self.assertRegex(done.out, r"(?m)^Loading model\.\.\. \d+\.\ds( from the page cache, \d+\.\ds from the disk)?, warm-up 2 requests$")
        load = self.valid_results()[0]["velollm"]["measured"]["load_ms"]
        self.assertGreater(load["median"], 20)  # a resident model answers within a few milliseconds
        self.assertLess(self.valid_results()[0]["velollm"]["measured"]["load_resident_ms"]["median"], load["median"])

    def test_prompt_longer_than_the_context(self):
        done = self.benchmark("--prompt", "word " * 1500, *ONE[2:], "--num-ctx", "512")
        self.assertIn(done.code, (1, 5), str(done))
        told = done.out + done.err
        self.assertIn("context", told)
        self.assertIn("--num-ctx", told)
        self.assertNotIn('{"error"', told, "the engine's JSON is no message")

    def test_server_killed_while_measuring(self):
        own = self.folder / "own"
        own.mkdir()
        engine = start_ollama(self.binary, own, OLLAMA_MODELS=str(self.shared / "models"))
        self.addCleanup(engine.stop)
        running = self.start("benchmark", "-m", MODEL, "--url", engine.url, "--prompt", "Tell a story", "--max-tokens", "60",
                             "--iterations", "1000", "-o", self.results)
        running.wait_for("Iteration 2/1000... ")
        engine.stop(signal.SIGKILL)
        done = running.finish(20)
        self.assertIn(done.code, (3, 5), str(done))
        self.assertTrue(done.err.startswith("Error: "), str(done))
        self.assertIn("failed: ", done.out)
        self.assertIn("Benchmark Summary", done.out)
        element = self.valid_results()[0]
        self.assertGreaterEqual(len(counted_samples(element)), 2)
        self.assertGreaterEqual(element["velollm"]["errors"]["failed"], 1)

    def test_interrupt_frees_the_server(self):
        running = self.start("benchmark", "-m", MODEL, "--url", self.engine.url, "--prompt", "Tell a story", "--max-tokens",
                             "2000", "--iterations", "3", "-o", self.results)
        running.wait_for("Running benchmark: custom")
        running.signal(signal.SIGINT)
        self.expect(running.finish(10), 130)
        self.expect(self.benchmark(*ONE), 0)


class Ollama032(OllamaTests, CliTest):
    binary = os.environ["VELOLLM_OLLAMA"]
    version = "0.32.15"

    def own_server(self, *words):
        """A server that is started for the benchmark, beside the one that runs."""
        return ("benchmark", "-m", MODEL, "-o", self.results, "--num-thread", "1", "--prompt", COPY, *words), {
            "VELOLLM_OLLAMA": self.binary, "OLLAMA_MODELS": str(self.shared / "models"), "HOME": str(self.folder)}

    def test_speculation_reaches_its_llama_server(self):
        words, env = self.own_server("--max-tokens", "96", "--iterations", "1000", "--speculation", "ngram-simple")
        running = self.start(*words, env=env)
        running.wait_for("Iteration 1/1000... ")
        environments = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in descendants_of(running.process.pid)]
        self.assertEqual(len(environments), 2, "ollama, and its llama-server")
        for environment in environments:
            self.assertIn(b"LLAMA_ARG_SPEC_TYPE=ngram-simple", environment)
        running.wait_for("Iteration 5/1000... ")
        running.signal(signal.SIGINT)
        done = self.expect(running.finish(20), 130)
        velollm = self.valid_results()[0]["velollm"]
        self.assertEqual(velollm["workload"]["spec_decode"], {"type": "ngram-simple", "draft_model": None, "draft_tokens": None})
        self.assertEqual(velollm["run"]["runtime"]["settings"]["LLAMA_ARG_SPEC_TYPE"], "ngram-simple")
        self.assertNotIn("draft_acceptance", velollm["figures"])
        self.assertIn("doesn't tell how many tokens were drafted", velollm["absent"]["draft_acceptance"])
        self.assertIn("  Speculation: ngram-simple; share of drafts kept: none (Ollama doesn't tell", done.out)
        # What it drafts comes in bursts; how much there is to copy in an answer is the model's choice.
        self.assertGreater(max(velollm["measured"]["tokens_per_step"]["samples"]), 1.2)

    def test_a_draft_model_reaches_its_llama_server(self):
        words, env = self.own_server("--max-tokens", "24", "--iterations", "2", "--speculation", "draft-simple", "--draft",
                                     os.environ["VELOLLM_MODEL"], "--draft-tokens", "4")
        self.expect(self.velollm(*words, env=env), 0)
        velollm = self.valid_results()[0]["velollm"]
        self.assertEqual(velollm["workload"]["spec_decode"], {
            "type": "draft-simple", "draft_model": Path(os.environ["VELOLLM_MODEL"]).name, "draft_tokens": 4})
        self.assertGreater(velollm["measured"]["tokens_per_step"]["median"], 1.5)

    def test_one_that_runs_is_not_asked_for_speculation(self):
        self.assert_error(self.benchmark(*ONE, "--speculation", "ngram", "--url", self.engine.url), 2,
                          "LLAMA_ARG_SPEC_TYPE=ngram-mod ollama serve", "--url")
        words, env = self.own_server("--speculation", "ngram", "--draft-tokens", "4")
        self.assert_error(self.velollm(*words, env=env), 2, "--draft-tokens")


if os.environ.get("VELOLLM_OLLAMA_024"):
    class Ollama024(OllamaTests, CliTest):
        binary = os.environ["VELOLLM_OLLAMA_024"]
        version = "0.24.0"

        def test_speculation_is_refused(self):
            done = self.velollm("benchmark", "-m", MODEL, *ONE, "--speculation", "ngram", env={
                "VELOLLM_OLLAMA": self.binary, "OLLAMA_MODELS": str(self.shared / "models"), "HOME": str(self.folder)})
            self.assert_error(done, 2, "Ollama 0.24.0 has no speculative decoding", "-b llamacpp")


if __name__ == "__main__":
    unittest.main()
