"""What `velollm benchmark` says against what `velollm-mock` knows it did, script by script (method 6.3): what an event, a
count and a broken answer are. The scripts about connections, load and the machine are in test_conformance_run.py.
"""

import os
import statistics
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
import conformance
from conformance import BACKENDS, PLAIN


class Conformance(conformance.Conformance):
    def test_c01_plain_through_every_dialect(self):
        for backend, endpoints in BACKENDS.items():
            for endpoint in endpoints:
                with self.subTest(backend=backend, endpoint=endpoint):
                    steps = [{"dt_ms": 30}, {"dt_ms": 10, "repeat": 63}]
                    element, _ = self.measure_times(f"C01 {backend} {endpoint}", {"steps": steps}, backend, endpoint)
                    self.row("C01", f"tokens, {backend} {endpoint}", [64] * 3, self.tokens_of(element))
                    self.row("C01", f"events, {backend} {endpoint}", [64] * 3, self.events_of(element))

    def test_c02_role_and_empty_events_are_no_first_token(self):
        for kind in ("role", "empty"):
            element, _ = self.measure_times(f"C02 {kind}", {"steps": [{"kind": kind, "dt_ms": 5}, *PLAIN]})
            self.row("C02", f"events after one of kind {kind}", [64] * 3, self.events_of(element))
            self.row("C02", f"TTFT not at the event of kind {kind}", True,
                     min(s["event_ns"][0] for s in self.samples(element)) >= 34e6)

    def test_c03_four_tokens_a_chunk(self):
        steps = [{"dt_ms": 30, "k": 4}, {"dt_ms": 34, "k": 4, "repeat": 15}]
        element, _ = self.measure_times("C03 llamacpp", {"steps": steps}, "llamacpp")
        self.row("C03", "tokens of each event, llamacpp", [4] * 16, self.samples(element)[0]["event_tokens"])
        measured = element["velollm"]["measured"]
        self.within("C03", "four ITL in an ICL, llamacpp", measured["icl_ms"]["median"], measured["itl_ms"]["median"] * 4,
                    0.01, "ms")
        element, _ = self.measure({"steps": steps})
        self.row("C03", "tokens, openai", [64] * 3, self.tokens_of(element))
        self.row("C03", "first chunk said to be unknown, openai", True, "first_chunk_unknown" in self.warnings(element))

    def test_c04_five_tokens_first(self):
        element, truth = self.measure_times("C04", {"steps": [{"dt_ms": 30, "k": 5}, {"dt_ms": 8.5, "repeat": 59}]}, "llamacpp")
        self.row("C04", "tokens of the first two events", [5, 1], self.samples(element)[0]["event_tokens"][:2])
        self.row("C04", "tokens behind the first event, by TPOT", 59, self.decode_tokens(element))
        self.assertEqual(conformance.tokens_of_first(truth[0]), 5)

    def test_c05_reasoning_counts_and_is_not_visible(self):
        element, _ = self.measure_times("C05", {"steps": [{"kind": "reasoning", "dt_ms": 20},
                                                          {"kind": "reasoning", "dt_ms": 8, "repeat": 31},
                                                          {"dt_ms": 8, "repeat": 32}]})
        measured = element["velollm"]["measured"]
        self.row("C05", "tokens", [64] * 3, self.tokens_of(element))
        self.row("C05", "TTFO after TTFT by 32 gaps", True, measured["ttfo_ms"]["min"] - measured["ttft_ms"]["min"] > 200)

    def test_c06_tool_calls_are_tokens_and_not_visible(self):
        element, _ = self.measure({"steps": [{"kind": "tool", "dt_ms": 20}, {"kind": "tool", "dt_ms": 5, "repeat": 15}]}, tokens=16)
        self.row("C06", "events", [16] * 3, self.events_of(element))
        self.row("C06", "TTFO absent", True, "ttfo_ms" in element["velollm"]["absent"])

    def test_c07_held_back_characters(self):
        # Four times, two tokens make no event; the third brings all three of a character.
        held = [{"kind": "silent", "dt_ms": 15, "repeat": 2}, {"dt_ms": 15, "text": "\u6c34"}]
        steps = [{"dt_ms": 30}, *[{"dt_ms": 8, "repeat": 13}, *held] * 4]
        element, truth = self.measure_times("C07 llamacpp", {"steps": steps}, "llamacpp", tokens=65)
        self.row("C07", "tokens", [65] * 3, self.tokens_of(element))
        self.row("C07", "tokens of each event, llamacpp", [1] + ([1] * 13 + [3]) * 4, self.samples(element)[0]["event_tokens"])
        self.row("C07", "tokens behind the first event, by TPOT", 64, self.decode_tokens(element))
        longest = statistics.median(conformance.longest_gap_ms(record) for record in truth)
        # Against the log, and by half: a delay of the machine makes a gap longer or shorter, other gaps are a fifth of it.
        self.row("C07", "the wait is the longest gap", True, element["velollm"]["measured"]["stall_ms"]["median"] > longest / 2)
        element, _ = self.measure({"steps": steps}, tokens=65)
        self.row("C07", "tokens, openai", [65] * 3, self.tokens_of(element))
        self.row("C07", "events, openai", [57] * 3, self.events_of(element))
        self.row("C07", "first chunk said to be unknown, openai", True, "first_chunk_unknown" in self.warnings(element))

    def test_c08_usage_wherever_it_is_put(self):
        for place in ("own", "last_choice", "every"):
            element, _ = self.measure({"steps": PLAIN, "finish": {"reason": "length", "usage_at": place}})
            self.row("C08", f"tokens, usage {place}", [64] * 3, self.tokens_of(element))
            self.row("C08", f"estimated, usage {place}", False, "tokens_estimated" in self.warnings(element))
        element, _ = self.measure({"steps": PLAIN, "finish": {"reason": "length", "usage_at": "none"}})
        self.row("C08", "estimated, usage none", True, "tokens_estimated" in self.warnings(element))

    def test_c09_speculative_bursts(self):
        # Steps of 20 ms that bring one to four tokens each, every token in an event of its own.
        steps = [{"dt_ms": 30}]
        for burst in (1, 2, 3, 4) * 6:
            steps += [{"dt_ms": 20}] + [{"dt_ms": 0, "repeat": burst - 1}] * (burst > 1)
        for backend in ("llamacpp", "openai"):
            element, _ = self.measure({"steps": steps}, backend, tokens=61)
            measured = element["velollm"]["measured"]
            self.row("C09", f"tokens, {backend}", [61] * 3, self.tokens_of(element))
            self.row("C09", f"bursts are said to be some, {backend}", True, "bursts" in self.warnings(element))
            self.row("C09", f"TPOT by count, {backend}", 60, self.decode_tokens(element))
            self.within("C09", f"tokens per step, {backend}", 2.5, measured["tokens_per_step"]["median"], 0.3)
            self.within("C09", f"step gap, {backend}", 20.0, measured["step_gap_ms"]["median"], 2.0, "ms")
            self.row("C09", f"gaps between tokens mean little, {backend}", True, measured["icl_ms"]["median"] < 10)

    def test_c10_one_token_and_one_event(self):
        element, _ = self.measure({"steps": [{"kind": "role", "dt_ms": 5}], "requests": [{}, {"steps": PLAIN}]}, runs=2, warmup=0)
        self.row("C10", "outcomes, one without a token", ["ok", "empty"], [s["outcome"] for s in self.samples(element)])
        self.row("C10", "it has no TTFT", 1, element["velollm"]["measured"]["ttft_ms"]["n"])
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
        element, _ = self.measure({"steps": PLAIN, "requests": [{}, {}, {"finish": {"stall_after": 5}}, {}]}, runs=4, warmup=0,
                                  more=("--timeout", "1"))
        self.row("C11", "outcomes, one that says nothing more", ["timeout"],
                 [s["outcome"] for s in self.samples(element) if s["outcome"] != "ok"])
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
        # 16 tokens: whether n or n - 1 are divided is 7 % of the speed.
        steps = [{"dt_ms": 30}, {"dt_ms": 16, "repeat": 15}]
        for old in (False, True):
            element, _ = self.measure({"steps": steps, "quirks": {"old_rate": old}}, "llamacpp", tokens=16)
            self.within("C15", f"speed by the server's clock, old_rate {old}", 62.5,
                        element["velollm"]["measured"]["server_decode_tps"]["median"], 1.5, "tok/s")

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

    def decode_tokens(self, element):
        """The tokens behind the first event, as TPOT takes them: time over time per token."""
        sample = self.samples(element)[1]
        milliseconds = (sample["event_ns"][-1] - sample["event_ns"][0]) / 1e6
        return round(milliseconds / element["velollm"]["measured"]["tpot_ms"]["samples"][1])


if __name__ == "__main__":
    assert os.environ["VELOLLM_MOCK"]
    unittest.main()
