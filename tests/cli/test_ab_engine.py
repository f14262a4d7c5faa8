"""`velollm ab` with real engines: each half of a pair has a load of its own, and settings reach the engine."""

import json
import os
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import create_model, start_ollama
from velollm_cli import CliTest


class AbEngines(CliTest):
    def test_the_embedded_engine_loads_for_each_half(self):
        done = self.velollm("ab", "-b", "embedded", "-m", os.environ["VELOLLM_MODEL"], "--a", "num_batch=512", "--b", "num_batch=8",
                            "--depth", "120", "--metric", "ttft_ms", "--max-tokens", "4", "--pairs", "3", "--requests", "1",
                            "--warmup", "1", "--quiet-check", "0", "--json")
        self.expect(done, 11)
        document = json.loads(done.out)
        self.assertTrue(document["reload"])
        self.assertEqual(len(document["pairs"]), 3)
        self.assertTrue(all(pair["a"]["load_ms"] > 0 and pair["b"]["load_ms"] > 0 for pair in document["pairs"]))
        self.assertIn("common_text", document)

    def test_what_a_larger_context_takes_of_memory(self):
        done = self.velollm("ab", "-b", "embedded", "-m", os.environ["VELOLLM_MODEL"], "--a", "num_ctx=1024", "--b", "num_ctx=8192",
                            "--max-tokens", "4", "--pairs", "1", "--requests", "1", "--warmup", "1", "--quiet-check", "0")
        self.expect(done, 11)
        # 30 layers, 3 heads of 64 for keys and for values, two bytes each: 22.5 KiB a token.
        a, b = (float(value) for value in re.search(r"takes (\d+) MiB of memory with A, (\d+) MiB with B \(\+\d+ %\)",
                                                    done.out).groups())
        self.assertGreaterEqual(b - a, 7168 * 22.5 / 1024 - 1)

    def test_environment_and_flags_of_a_llama_server(self):
        done = self.velollm("ab", "-b", "llamacpp", "-m", os.environ["VELOLLM_MODEL"], "--a",
                            "LLAMA_ARG_THREADS=1", "--b=--flash-attn=off", "--b", "num_thread=1", "--max-tokens", "4", "--pairs", "2", "--requests", "1", "--warmup", "1",
                            "--quiet-check", "0", env={"VELOLLM_LLAMA_SERVER": os.environ["VELOLLM_LLAMA_SERVER"]})
        self.expect(done, 11)
        self.assertIn("A  LLAMA_ARG_THREADS=1\nB  --flash-attn=off num_thread=1\n", done.out)
        self.assertIn("2 pairs", done.out)
        done = self.velollm("ab", "-b", "llamacpp", "-m", os.environ["VELOLLM_MODEL"], "--a=--no-such-flag", "--quiet-check", "0",
                            env={"VELOLLM_LLAMA_SERVER": os.environ["VELOLLM_LLAMA_SERVER"]})
        self.assert_error(done, 1, "--no-such-flag")

    def test_an_ollama_of_our_own(self):
        engine = start_ollama(os.environ["VELOLLM_OLLAMA"], self.folder)
        create_model(engine, os.environ["VELOLLM_OLLAMA"], "smollm2:135m", os.environ["VELOLLM_MODEL"], self.folder)
        engine.stop()
        done = self.velollm("ab", "-m", "smollm2:135m", "--a", "LLAMA_ARG_THREADS=1", "--b", "num_thread=1", "--max-tokens", "4",
                            "--pairs", "2", "--requests", "1", "--warmup", "1", "--quiet-check", "0", seconds=300,
                            env={"VELOLLM_OLLAMA": os.environ["VELOLLM_OLLAMA"], "OLLAMA_MODELS": str(self.folder / "models")})
        self.expect(done, 11)
        self.assertIn("2 pairs", done.out)


if __name__ == "__main__":
    unittest.main()
