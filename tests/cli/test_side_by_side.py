"""`velollm benchmark -b A,B`: several engines in turn, here the scripted server through two of its dialects."""

import json
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import CliTest

SCRIPT = {"steps": [{"dt_ms": 20}, {"dt_ms": 2, "repeat": 15}]}
ONE = ("-m", "mock:1b", "--prompt", "Say something long.", "--max-tokens", "16", "--warmup", "1")


class SideBySide(CliTest):
    def setUp(self):
        super().setUp()
        self.mock = Mock(SCRIPT, self.folder)
        self.addCleanup(self.mock.stop)

    def both(self, *words):
        return ("benchmark", "-b", "ollama,openai", "--ollama-url", self.mock.url, "--url", self.mock.url, *ONE, *words)

    def generations(self):
        """Measured requests: those of 16 tokens, without the warm-up's and the probes'."""
        return [record for record in self.mock.truth()["requests"] if record["tokens"] == 16]

    def test_each_round_asks_every_engine_the_same_in_a_drawn_order(self):
        done = self.velollm(*self.both("--runs", "12", "-o", self.results))
        self.assertIn(done.code, (0, 5), done)
        self.assertIn("Backend: ollama, openai\nModel: mock:1b\n", done.out)
        self.assertIn("Running benchmark: custom (12 rounds, each engine once a round)\n", done.out)
        elements = self.valid_results()
        self.assertEqual([e["velollm"]["run"]["runtime"]["kind"] for e in elements], ["ollama", "openai"])
        ollama, openai = (e["velollm"] for e in elements)
        self.assertEqual((ollama["method"]["interleaved_with"], openai["method"]["interleaved_with"]), (["openai"], ["ollama"]))
        self.assertEqual(ollama["run"]["id"], openai["run"]["id"])
        nonces = [[sample["nonce"] for sample in one["samples"]] for one in (ollama, openai)]
        self.assertEqual(nonces[0], nonces[1])
        self.assertEqual(len(set(nonces[0])), 12)
        first = [a["sent_ns"] < b["sent_ns"] for a, b in zip(ollama["samples"], openai["samples"])]
        self.assertEqual({True, False}, set(first), "the same engine came first in all 12 rounds")  # 1 in 2048 by chance
        for a, b in zip(zip(ollama["samples"], openai["samples"]), list(zip(ollama["samples"], openai["samples"]))[1:]):
            self.assertLess(max(s["sent_ns"] for s in a), min(s["sent_ns"] for s in b), "a round began before the last ended")
        for one in (ollama, openai):
            self.assertEqual([sample["output_tokens"] for sample in one["samples"]], [16] * 12)
            self.assertEqual([sample["counted"] for sample in one["samples"]], [True] * 12)

    def test_prompts_are_bare_text(self):
        done = self.velollm(*self.both("--runs", "2", "-o", self.results))
        self.assertIn("bare text, without a chat template", done.out)
        bodies = [(record["path"], json.loads(record["body"])) for record in self.generations()[-4:]]
        self.assertEqual({path for path, _ in bodies}, {"/api/generate", "/v1/completions"})
        for path, body in bodies:
            self.assertTrue(body["prompt"].endswith("\n\nSay something long."), body)
            self.assertEqual(body.get("raw"), True if path == "/api/generate" else None)

    def test_at_a_depth_all_engines_get_one_text_of_that_length(self):
        done = self.velollm(*self.both("--runs", "3", "--depth", "300", "-o", self.results))
        self.assertIn(done.code, (0, 5), done)
        prompts = [json.loads(record["body"])["prompt"] for record in self.generations()[-6:]]
        self.assertEqual(len(set(prompts)), 3, "each text goes to both engines, and to each once")
        counts = {element["prompt_eval_count"] for element in self.valid_results()}
        self.assertEqual(len(counts), 1)
        self.assertAlmostEqual(counts.pop(), 300 + 9, delta=3)  # a token is a word there; nonce and prompt are nine

    def test_a_reader_that_went_away_ends_it(self):
        running = self.start(*self.both("--runs", "500"))
        running.wait_for("Round 1/500")
        running.process.stdout.close()
        self.assertEqual(running.process.wait(30), 0)

    def test_the_table_stands_under_the_rounds(self):
        done = self.velollm(*self.both("--runs", "2"))
        self.assertRegex(done.out, r"(?m)^  Round 1/2\.\.\. (ollama|openai) \d")
        self.assertRegex(done.out, r"(?m)^  Generated tokens +16 +16\n")
        self.assertRegex(done.out, r"(?m)^  Whole request +\d+\.\d\d +\d+\.\d\d\n")
        quiet = self.velollm(*self.both("--runs", "2", "-q"))
        self.assertIn("custom:\n", quiet.out)
        self.assertNotIn("Round", quiet.out)
        self.assertRegex(quiet.out, r"(?m)^  Generated tokens +16 +16\n")

    def test_ctrl_c_keeps_the_rounds_that_were_measured(self):
        running = self.start(*self.both("--runs", "500", "-o", self.results))
        running.wait_for("Round 3/500")
        running.signal(signal.SIGINT)
        self.expect(running.finish(), 130)
        for element in self.valid_results():
            self.assertEqual(element["velollm"]["status"], "partial")
            self.assertGreaterEqual(len(element["velollm"]["samples"]), 2)

    def test_what_cannot_be_is_said_at_once(self):
        for words, message in ((("-b", "ollama,olama"), "Unknown backend: olama"), (("-b", "ollama,ollama"), "names ollama twice"),
                               (("-b", "ollama,"), "Unknown backend: "),
                               (("-b", "ollama,embedded", "--until", "2%"), "--until and --endpoint are for one backend"),
                               (("-b", "ollama,embedded", "--endpoint", "chat"), "--until and --endpoint are for one backend")):
            with self.subTest(words=words):
                self.assert_error(self.velollm("benchmark", *words), 2, message)

    def test_an_engine_that_is_not_there_ends_it_before_any_round(self):
        done = self.velollm("benchmark", "-b", "openai,ollama", "--url", self.mock.url, *ONE)
        self.assert_error(done, 3, "Ollama is not running")
        self.assertNotIn("Round", done.out)


if __name__ == "__main__":
    unittest.main()
