"""`velollm benchmark --depth`: speed against the context, on a scripted server whose true speed at each depth is known."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from benchmark_test import BenchmarkTest
from mock_server import Mock
from velollm_cli import CliTest

# A token is a word there, and tokens come at 400 / (1 + 0.1 c / 1000) a second with c of them in the context.
SCRIPT = {"rate_model": {"tg_tok_s": 400, "pp_tok_s": 100000, "tg_slope": 0.1}}
ONE = ("-m", "mock:1b", "--prompt", "Say something long.", "--max-tokens", "20", "--runs", "3", "--warmup", "1")


class Depth(CliTest):
    def setUp(self):
        super().setUp()
        self.mock = Mock(SCRIPT, self.folder)
        self.addCleanup(self.mock.stop)

    def measure(self, *words):
        return self.velollm("benchmark", "-b", "llamacpp", "--url", self.mock.url, *ONE, "-o", self.results, *words)

    def test_the_context_is_filled_as_asked(self):
        done = self.measure("--depth", "0,512,2000")
        self.assertIn(done.code, (0, 5), done)
        elements = self.valid_results()
        self.assertEqual([e["config"]["name"] for e in elements], ["custom", "custom@512", "custom@2000"])
        self.assertEqual([e["velollm"]["workload"]["context_depth"] for e in elements], [0, 512, 2000])
        plain = elements[0]["prompt_eval_count"]
        self.assertEqual([e["prompt_eval_count"] for e in elements], [plain, plain + 512, plain + 2000])
        self.assertEqual(len({e["velollm"]["workload"]["key"] for e in elements}), 3)
        self.assertEqual({e["config"]["prompt"] for e in elements}, {"Say something long."})
        self.assertRegex(done.out, rf"(?m)^  custom@512 +{plain + 512} ")

    def test_speeds_are_those_of_the_depth(self):
        # Half a second and more of tokens: what a busy host delays then weighs less than the two depths differ by.
        self.measure("--depth", "0,4000", "--max-tokens", "200")
        truth = [record for record in self.mock.truth()["requests"] if record["tokens"] == 200]
        for element, records in zip(self.valid_results(), (truth[-6:-3], truth[-3:])):
            for sample, record in zip(element["velollm"]["samples"], records):
                measured = 199e9 / (sample["event_ns"][-1] - sample["event_ns"][0])
                sent = 199e9 / (record["last_token_ns"] - record["first_token_ns"])
                self.assertAlmostEqual(measured / sent, 1, delta=0.1)
            depth = element["velollm"]["workload"]["context_depth"]
            ideal = 400 / (1 + 0.1 * depth / 1000)
            self.assertLess(element["velollm"]["measured"]["decode_tps"]["median"], ideal * 1.1)

    def test_every_request_has_words_of_its_own_in_front(self):
        self.measure("--depth", "300")
        prompts = [record["prompt_start"] for record in self.mock.truth()["requests"]]
        self.assertEqual(len(set(prompts)), len(prompts))

    def test_what_is_no_depth_is_refused(self):
        for words in ("x", "1,1", "-1", "1,", ""):
            with self.subTest(words=words):
                done = self.velollm("benchmark", "-b", "llamacpp", "--url", self.mock.url, *ONE, f"--depth={words}")
                if words:
                    self.assert_error(done, 2, f"--depth {words} is no list of depths")


class Room(BenchmarkTest):
    def test_a_context_that_holds_it_is_asked_for(self):
        done = self.quick("--depth", "0,6000")
        bodies = [generation.body for generation in self.server.generations]
        self.assertEqual({body["options"].get("num_ctx") for body in bodies}, {7168})
        self.assertIn("Options: num_ctx 7168 (--depth)", done.out)
        self.assertIn("Say hello", bodies[-1]["prompt"])

    def test_what_the_user_asks_for_stays(self):
        self.quick("--depth", "6000", "--num-ctx", "9000")
        bodies = [generation.body for generation in self.server.generations]
        self.assertEqual({body["options"].get("num_ctx") for body in bodies}, {9000})


if __name__ == "__main__":
    unittest.main()
