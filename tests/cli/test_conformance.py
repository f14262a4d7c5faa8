"""What `velollm benchmark` says against what `velollm-mock` knows it did, script by script (method 6.3).

Counts, outcomes and findings are exact. Times are compared with the server's own log of what it wrote when, never with
the plan; where the machine stood still meanwhile, they are printed as not judged. The table goes to standard error.
"""

import json
import os
import statistics
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import CliTest

PLAIN = [{"dt_ms": 30}, {"dt_ms": 4, "repeat": 63}]
BACKENDS = {"openai": ("chat", "completions"), "llamacpp": ("completion", "chat"), "ollama": ("generate", "chat")}

# Method 6.4: what holds on any host, and when a host is too noisy to judge.
TTFT_BIAS_MS = 0.5
SPEED_ERROR = 0.001
QUIET_P99_MS, QUIET_MAX_MS = 1.0, 5.0


def truth_of(record):
    """(TTFT ms, decode speed or None, tokens) of one request as the server did it."""
    writes = [w for w in record["writes"] if w["events"]]
    first, last = writes[0], writes[-1]
    ttft = (first["written_ns"] - record["read_ns"]) / 1e6
    seconds = (last["written_ns"] - first["written_ns"]) / 1e9
    tokens = sum(w["tokens"] for w in writes)
    return ttft, (tokens - first["tokens"]) / seconds if seconds else None, tokens


class Conformance(CliTest):
    table = []

    @classmethod
    def tearDownClass(cls):
        print("\n| script | what | expected | got |\n|---|---|---|---|", file=sys.stderr)
        for row in cls.table:
            print("| " + " | ".join(map(str, row)) + " |", file=sys.stderr)

    def measure(self, script, backend="openai", endpoint=None, tokens=64, runs=3, warmup=1, code=(0, 5)):
        """(element of the result file, the server's records of the measured requests)."""
        with tempfile.TemporaryDirectory() as folder:
            mock = Mock(script, folder)
            try:
                endpoint = endpoint or BACKENDS[backend][0]
                done = self.velollm("benchmark", "-b", backend, "--endpoint", endpoint, "--url",
                                    f"http://127.0.0.1:{mock.port}", "-m", "mock:1b", "--prompt", "Say something long.",
                                    "--max-tokens", tokens, "--runs", runs, "--warmup", warmup, "-o", self.results)
                self.assertIn(done.code, code, done)
                truth = mock.truth()["requests"]
            finally:
                mock.stop()
        return json.loads(self.results.read_text(encoding="utf-8"))[0], truth[-runs:]

    def row(self, script, what, expected, got):
        self.table.append((script, what, expected, got))
        self.assertEqual(got, expected, f"{script}: {what}")

    def samples(self, element):
        return element["velollm"]["samples"]

    def check_times(self, script, element, truth):
        """Medians of the errors of TTFT and decode speed against the log."""
        ttft, speed = [], []
        for sample, record in zip(self.samples(element), truth):
            true_ttft, true_speed, _ = truth_of(record)
            ttft.append(sample["event_ns"][0] / 1e6 - true_ttft)
            if true_speed:
                tokens = sample.get("event_tokens") or [1] * len(sample["event_ns"])
                seconds = (sample["event_ns"][-1] - sample["event_ns"][0]) / 1e9
                speed.append((sum(tokens) - tokens[0]) / seconds / true_speed - 1)
        hiccups = element["velollm"]["host"]["hiccups"]
        errors = f"TTFT {statistics.median(ttft):+.3f} ms, speed {100 * statistics.median(speed or [0]):+.4f} %"
        if hiccups["p99_ms"] >= QUIET_P99_MS or hiccups["max_ms"] >= QUIET_MAX_MS:
            self.table.append((script, "times", "not judged: too noisy",
                               f"{errors}; hiccups p99 {hiccups['p99_ms']:.2f}, max {hiccups['max_ms']:.2f} ms"))
            return
        self.table.append((script, "times", f"<= {TTFT_BIAS_MS} ms, {100 * SPEED_ERROR} %", errors))
        self.assertLessEqual(abs(statistics.median(ttft)), TTFT_BIAS_MS)
        if speed:
            self.assertLessEqual(abs(statistics.median(speed)), SPEED_ERROR)

    def tokens_of(self, element):
        return [sample.get("output_tokens") for sample in self.samples(element)]

    def warnings(self, element):
        return set(element["velollm"]["warnings"])

    def test_c01_plain_through_every_dialect(self):
        for backend, endpoints in BACKENDS.items():
            for endpoint in endpoints:
                with self.subTest(backend=backend, endpoint=endpoint):
                    element, truth = self.measure({"steps": PLAIN}, backend, endpoint)
                    self.row("C01", f"tokens, {backend} {endpoint}", [64] * 3, self.tokens_of(element))
                    self.row("C01", f"events, {backend} {endpoint}", [64] * 3,
                             [len(s["event_ns"]) for s in self.samples(element)])
                    self.check_times(f"C01 {backend} {endpoint}", element, truth)

    def test_c02_role_and_empty_events_are_no_first_token(self):
        for kind in ("role", "empty"):
            element, truth = self.measure({"steps": [{"kind": kind, "dt_ms": 5}, *PLAIN]})
            self.row("C02", f"events after one of kind {kind}", [64] * 3, [len(s["event_ns"]) for s in self.samples(element)])
            self.assertGreaterEqual(min(s["event_ns"][0] for s in self.samples(element)), 34e6)
            self.check_times(f"C02 {kind}", element, truth)

    def test_c03_four_tokens_a_chunk(self):
        steps = [{"dt_ms": 30, "k": 4}, {"dt_ms": 20, "k": 4, "repeat": 15}]
        element, truth = self.measure({"steps": steps}, "llamacpp")
        self.row("C03", "tokens of each event, llamacpp", [4] * 16, self.samples(element)[0]["event_tokens"])
        self.check_times("C03 llamacpp", element, truth)
        measured = element["velollm"]["measured"]
        self.assertAlmostEqual(measured["itl_ms"]["median"] * 4, measured["icl_ms"]["median"], delta=0.01)
        element, _ = self.measure({"steps": steps})
        self.row("C03", "tokens, openai", [64] * 3, self.tokens_of(element))
        self.row("C03", "first chunk said to be unknown, openai", True, "first_chunk_unknown" in self.warnings(element))

    def test_c04_five_tokens_first(self):
        element, truth = self.measure({"steps": [{"dt_ms": 30, "k": 5}, {"dt_ms": 5, "repeat": 59}]}, "llamacpp")
        self.row("C04", "tokens of the first two events", [5, 1], self.samples(element)[0]["event_tokens"][:2])
        self.check_times("C04", element, truth)

    def test_c05_reasoning_counts_and_is_not_visible(self):
        element, truth = self.measure({"steps": [{"kind": "reasoning", "dt_ms": 20}, {"kind": "reasoning", "dt_ms": 5, "repeat": 31},
                                                 {"dt_ms": 5, "repeat": 32}]})
        measured = element["velollm"]["measured"]
        self.row("C05", "tokens", [64] * 3, self.tokens_of(element))
        self.row("C05", "TTFO after TTFT by 32 gaps", True, measured["ttfo_ms"]["min"] - measured["ttft_ms"]["min"] > 150)
        self.check_times("C05", element, truth)

    def test_c06_tool_calls_are_tokens_and_not_visible(self):
        element, _ = self.measure({"steps": [{"kind": "tool", "dt_ms": 20}, {"kind": "tool", "dt_ms": 5, "repeat": 15}]}, tokens=16)
        self.row("C06", "events", [16] * 3, [len(s["event_ns"]) for s in self.samples(element)])
        self.row("C06", "TTFO", True, "ttfo_ms" in element["velollm"]["absent"])

    def test_c08_usage_wherever_it_is_put(self):
        for place in ("own", "last_choice", "every"):
            element, _ = self.measure({"steps": PLAIN, "finish": {"reason": "length", "usage_at": place}})
            self.row("C08", f"tokens, usage {place}", [64] * 3, self.tokens_of(element))
            self.row("C08", f"estimated, usage {place}", False, "tokens_estimated" in self.warnings(element))
        element, _ = self.measure({"steps": PLAIN, "finish": {"reason": "length", "usage_at": "none"}})
        self.row("C08", "estimated, usage none", True, "tokens_estimated" in self.warnings(element))

    def test_c10_one_token_and_one_event(self):
        for steps, tokens in (([{"dt_ms": 20}], 1), ([{"dt_ms": 20, "k": 8}], 8)):
            element, _ = self.measure({"steps": steps}, "llamacpp", tokens=tokens)
            velollm = element["velollm"]
            self.row("C10", f"tokens of {len(steps)} event", [tokens] * 3, self.tokens_of(element))
            self.row("C10", "decode speed", True, "decode_tps" in velollm["absent"] and "tpot_ms" in velollm["absent"])
            self.assertGreater(velollm["measured"]["ttft_ms"]["min"], 19)

    def test_c11_broken_answers_are_failures(self):
        for ending, outcome in (({"error_after": 5}, "error"), ({"rst_after": 5}, "truncated"), ({"close_after": 5}, "truncated")):
            element, _ = self.measure({"steps": PLAIN, "requests": [{}, {}, {"finish": ending}, {}]}, runs=4, warmup=0)
            outcomes = [s["outcome"] for s in self.samples(element)]
            self.row("C11", f"one broken answer, {next(iter(ending))}", [outcome], [o for o in outcomes if o != "ok"])
            self.row("C11", "it is in no average", 3, element["velollm"]["measured"]["ttft_ms"]["n"])

    def test_c13_pings_comments_and_cuts_change_nothing(self):
        steps = [{"dt_ms": 30}, {"kind": "comment", "dt_ms": 1}, {"kind": "ping", "dt_ms": 1}, {"dt_ms": 3, "repeat": 15}]
        for cut in (1, 7):
            for backend in BACKENDS:
                kept = [step for step in steps if backend != "ollama" or step.get("kind") is None]
                element, truth = self.measure({"steps": kept, "tcp": {"split_writes": cut}}, backend, tokens=16)
                self.row("C13", f"tokens, {backend}, cut after every {cut} bytes", [16] * 3, self.tokens_of(element))
                self.assertEqual(len(truth), 3)

    def test_c14_what_ollama_leaves_out_is_absent(self):
        element, _ = self.measure({"steps": PLAIN, "quirks": {"prompt_count": False}}, "ollama")
        self.row("C14", "prompt tokens", [None] * 3, [s.get("prompt_tokens") for s in self.samples(element)])
        self.row("C14", "prompt_eval_count", None, element["prompt_eval_count"])

    def test_c15_both_forms_of_the_servers_rate(self):
        speeds = []
        for old in (False, True):
            element, truth = self.measure({"steps": PLAIN, "quirks": {"old_rate": old}}, "llamacpp")
            self.row("C15", f"client and server agree, old_rate {old}", False,
                     "client_server_mismatch" in self.warnings(element))
            speeds.append(element["velollm"]["measured"]["server_decode_tps"]["median"] / truth_of(truth[1])[1])
        self.assertAlmostEqual(speeds[0], speeds[1], delta=0.02)

    def test_c16_a_cached_prompt_is_no_sample(self):
        element, _ = self.measure({"steps": PLAIN, "prompt": {"cached": 6, "cached_from": 2}}, "llamacpp")
        self.row("C16", "status", "invalid", element["velollm"]["status"])
        self.row("C16", "finding", True, "cached_prompt" in self.warnings(element))

    def test_c17_a_cut_prompt_is_no_sample(self):
        element, _ = self.measure({"steps": PLAIN, "prompt": {"reported": 2}}, "ollama")
        self.row("C17", "finding", True, "prompt_truncated" in self.warnings(element))

    def test_c18_an_early_end_is_said(self):
        element, _ = self.measure({"steps": [{"dt_ms": 20}, {"dt_ms": 2, "repeat": 39}], "finish": {"reason": "stop"}}, tokens=128)
        self.row("C18", "finding", True, "early_eos" in self.warnings(element))

    def test_c27_a_slow_start_is_not_in_the_result(self):
        settings = Path(self.folder) / "home/config/velollm/velollm.json"
        settings.write_text(json.dumps({"quiet-check": 0}), encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            # The first four answers take four times as long.
            mock = Mock({"steps": [{"dt_ms": 30}, {"dt_ms": 5, "repeat": 31}], "drift": {"slow_first": 4, "slow_factor": 4}}, folder)
            try:
                self.velollm("benchmark", "-b", "llamacpp", "--url", f"http://127.0.0.1:{mock.port}", "--prompt", "Say something.",
                             "--max-tokens", "32", "--runs", "3", "-o", self.results)
            finally:
                mock.stop()
        element = self.valid_results()[0]
        slow = [w for w in element["velollm"]["preparation"]["warm_up"] if w["tpot_ms"] > 15]
        self.row("C27", "slow answers in the warm-up", 4, len(slow))
        self.row("C27", "slow answers in the result", True, element["velollm"]["measured"]["tpot_ms"]["max"] < 15)


if __name__ == "__main__":
    assert os.environ["VELOLLM_MOCK"]
    unittest.main()
