"""`velollm compare`: verdicts, exit codes, likeness and forms, on files that the program itself has measured."""

import copy
import csv
import io
import itertools
import json
import shlex
import statistics
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

SCHEMA = SOURCE / "schema/velollm-comparison-1.schema.json"
SCRIPT = {"steps": [{"dt_ms": 4}, {"dt_ms": 1, "repeat": 15}]}
ONE = ("-m", "mock:1b", "--prompt", "Say something long.", "--max-tokens", "16", "--warmup", "1", "--runs", "8")
QUIET = [100.0, 100.2, 99.8, 100.1, 99.9, 100.3, 99.7, 100.0]
NOISY = [100.0, 130.0, 80.0, 115.0, 90.0, 140.0, 70.0, 100.0]
APART = "measured at different times; drift of the machine is not excluded"


RUNS = itertools.count()


def steadied(elements):
    """A copy of a result whose times are those of a machine with nothing else to do: what was measured here depends on
    the load of this one, and a test's verdict mustn't."""
    elements = copy.deepcopy(elements)
    for element in elements:
        for metric in element["velollm"]["measured"].values():
            if metric.get("samples"):
                middle = statistics.median(metric["samples"])
                metric["samples"] = [middle * QUIET[i % len(QUIET)] / 100 for i in range(len(metric["samples"]))]
    return elements


def measured(elements, speeds, name=None, **runtime):
    """A copy of a result whose decode speeds are `speeds`, as if another run had measured them."""
    elements = copy.deepcopy(elements)
    run = next(RUNS)
    for element in elements:
        velollm = element["velollm"]
        velollm["run"]["id"] += f" {run}"
        velollm["measured"]["decode_tps"] |= {"n": len(speeds), "samples": speeds}
        velollm["run"]["runtime"] |= runtime
        if name:
            element["config"]["name"] = name
            velollm["workload"]["key"] = name
    return elements


class CompareTest(CliTest):
    known = {}  # results that one test has measured and others use

    def setUp(self):
        super().setUp()
        if not self.known:
            mock = Mock(SCRIPT, self.folder)
            self.addCleanup(mock.stop)
            first, second, both = (self.folder / name for name in ("first.json", "second.json", "both.json"))
            for file in (first, second):
                self.velollm("benchmark", "--ollama-url", mock.url, *ONE, "-o", file)
            self.velollm("benchmark", "-b", "ollama,openai", "--ollama-url", mock.url, "--url", mock.url, *ONE, "-o", both)
            for file in (first, second, both):
                self.known[file.stem] = self.valid_results(file)
        self.base, self.both = steadied(self.known["first"]), steadied(self.known["both"])

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def quiet(self, factor, name="b.json"):
        return self.write(name, measured(self.base, [value * factor for value in QUIET]))

    def compare(self, *words, code, **more):
        return self.expect(self.velollm("compare", *words, **more), code)

    def check_schema(self, text):
        file = self.write("checked.json", text)
        check = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(file)], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(check.returncode, 0, f"{check.stdout}{check.stderr}\n{text[:3000]}")
        return json.loads(text)

    # ---- what comes out ----

    def test_two_real_runs(self):
        a, b = self.write("a.json", self.known["first"]), self.write("b.json", self.known["second"])
        done = self.velollm("compare", a, b)
        self.assertIn(done.code, (0, 10, 11), done)
        self.assertIn("8 and 8 values", done.out)
        self.assertIn(APART, done.out)
        document = self.check_schema(self.velollm("compare", a, b, "--format", "json").out)
        one = document["compared"][0]["benchmarks"][0]
        self.assertFalse(one["paired"])
        self.assertEqual(one["metrics"][0]["metric"], "decode_tps")
        self.assertEqual([metric["metric"] for metric in one["metrics"]].count("tpot_ms"), 0)
        medians = [element[0]["velollm"]["measured"]["decode_tps"]["median"] for element in (self.known["first"], self.known["second"])]
        self.assertAlmostEqual(one["metrics"][0]["baseline"]["value"], medians[0], 3)
        self.assertAlmostEqual(one["metrics"][0]["compared"]["value"], medians[1], 3)

    def test_the_exit_code_is_the_verdict(self):
        a = self.quiet(1.0, "a.json")
        for factor, code, word in ((1.06, 0, "FASTER"), (1.0, 0, "SAME"), (0.94, 10, "SLOWER"), (1.012, 0, "SMALL"),
                                   (0.988, 0, "SMALL"), (0.981, 11, "SMALL")):
            with self.subTest(factor=factor):
                done = self.compare(a, self.quiet(factor), code=code)
                self.assertRegex(done.out, rf"(?m)^  {word} +decode ")
        noisy = self.write("noisy.json", measured(self.base, NOISY))
        done = self.compare(a, noisy, code=11)
        self.assertRegex(done.out, r"(?m)^  UNCLEAR +decode .* p = \d\.\d+")
        self.assertRegex(done.out, r"this test could only see [\d.]+ % or more; 2 % takes about \d+ values on each side")
        self.assertIn("Result, with 2 % as the limit: cannot tell: custom\n", done.out)
        self.compare(a, self.quiet(0.94), "--delta", "10%", code=0)
        self.compare(a, self.quiet(0.981), "--delta", "0.03", code=0)
        self.compare(self.quiet(0.94), a, code=0)

    def test_few_values_are_shown_and_no_verdict(self):
        a, b = (self.write(name, measured(self.base, speeds)) for name, speeds in
                (("a.json", [100.0, 101.0, 102.0]), ("b.json", [150.0, 151.0, 152.0])))
        done = self.compare(a, b, code=11)
        self.assertIn("an interval takes 4 on each side (velollm", done.out)
        self.assertRegex(done.out, r"100\.0\s+101\.0\s+102\.0\s+against\s+150\.0\s+151\.0\s+152\.0")

    def test_rounds_measured_in_turn_are_pairs(self):
        both = self.write("both.json", self.both)
        document = self.check_schema(self.velollm("compare", f"{both}@engine=ollama", f"{both}@engine=openai",
                                                  "--format", "json").out)
        side = document["compared"][0]
        metric = side["benchmarks"][0]["metrics"][0]
        self.assertTrue(metric["paired"])
        self.assertEqual(metric["baseline"]["n"], 8)
        self.assertEqual({d["key"]: d["weight"] for d in side["differences"]}["engine"], "declared")
        self.assertIn("8 pairs", self.velollm("compare", f"{both}@engine=ollama", f"{both}@engine=openai").out)
        self.assert_error(self.velollm("compare", both, both), 1, "both.json has custom more than once, measured with different ",
                          "both.json@engine=ollama\n", "both.json@engine=openai\n")
        self.assert_error(self.velollm("compare", f"{both}@engine=ollama", f"{both}@engine=vllm"), 1,
                          "has no benchmark with engine=vllm", "It has engine: ollama, openai")

    def test_few_rounds_measured_in_turn_stay_pairs(self):
        both = copy.deepcopy(self.both)
        for element, factor in zip(both, (1.0, 1.05)):
            velollm = element["velollm"]
            velollm["measured"] = {"decode_tps": {"n": 5, "samples": [value * factor for value in (100, 90, 80, 70, 60)]}}
            velollm["samples"] = [one for one in velollm["samples"] if one["counted"]][:5]
        path = self.write("both.json", both)
        done = self.compare(f"{path}@engine=ollama", f"{path}@engine=openai", code=11)
        self.assertIn("measured in turn, in pairs", done.out)
        self.assertRegex(done.out, r"UNCLEAR +decode \+5\.0 % +5 pairs ")
        self.assertRegex(done.out, r"\n +5 pairs; an interval takes 6; 100\.0 90\.0")

    def test_of_many_values_some_are_drawn_and_that_is_said(self):
        turns = [100.0, 120.0] * 600
        a, b = (self.write(name, measured(self.base, speeds))
                for name, speeds in (("a.json", turns), ("b.json", turns[1:] + turns[:1])))
        done = self.compare(a, b, code=0)
        self.assertRegex(done.out, r"SAME +decode .* 1000 and 1000 values  \(110\.0 -> 110\.0")
        self.assertIn("drawn at random from 1200 and 1200 values", done.out)
        document = self.check_schema(self.compare(a, b, "--json", code=0).out)
        values = document["compared"][0]["benchmarks"][0]["metrics"][0]["baseline"]
        self.assertEqual((values["n"], values["drawn_from"]), (1000, 1200))

    def test_values_that_no_machine_has_are_left_out(self):
        a, b = (self.write(name, measured(self.base, speeds)) for name, speeds in
                (("a.json", QUIET + [1e308, 5e-324]), ("b.json", [1e308] * 8 + QUIET)))
        done = self.compare(a, b, code=0)
        self.assertIn("8 and 8 values", done.out)
        self.assertRegex(done.out, r"10 values of decode_tps are 0 or less, or out of all\s+range: left out")
        self.check_schema(self.compare(a, b, "--json", code=0).out)

    def test_drift_that_both_share_is_not_seen_in_pairs(self):
        both = copy.deepcopy(self.both)
        falling = [100.0, 90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0]
        for element, factor in zip(both, (1.0, 1.05)):
            element["velollm"]["measured"]["decode_tps"]["samples"] = [value * factor for value in falling]
        path = self.write("both.json", both)
        done = self.compare(f"{path}@engine=ollama", f"{path}@engine=openai", code=0)
        self.assertRegex(done.out, r"FASTER +decode \+5\.0\d? %")
        for element in both:
            element["velollm"]["method"].pop("interleaved_with")
        path = self.write("apart.json", both)
        self.compare(f"{path}@engine=ollama", f"{path}@engine=openai", code=11)

    def test_files_of_the_original_format_have_one_value(self):
        old = [{key: value for key, value in element.items() if key != "velollm"} for element in self.base]
        new = copy.deepcopy(old)
        new[0]["tokens_per_second"] *= 1.25
        done = self.compare(self.write("a.json", old), self.write("b.json", new), code=11)
        self.assertRegex(done.out, r"UNCLEAR +overall \+25\.0 %")
        self.assertIn("one value each: nothing is known of the spread", done.out)
        done = self.compare(self.write("a.json", old), self.write("c.json", self.base), code=11)
        self.assertIn("one value on one side", done.out)

    # ---- what may be compared ----

    def test_unlike_runs_are_refused_with_each_difference(self):
        other = measured(self.base, QUIET, context_tokens=8192, version="9.9.9")
        other[0]["velollm"]["model"]["quant"] = "Q8_0"
        a = self.write("a.json", measured(self.base, QUIET))
        quant = self.base[0]["velollm"]["model"]["quant"]
        context = self.base[0]["velollm"]["run"]["runtime"]["context_tokens"]
        b = self.write("b.json", other)
        self.assert_error(self.velollm("compare", a, b), 1, f"context: {context} against 8192  (custom)",
                          f"quantization: {quant} against Q8_0", "--vary quantization,context_tokens", "--force")
        self.assert_error(self.velollm("compare", a, b, "--vary", "context"), 1, "quantization: ")
        done = self.compare(a, b, "--vary", "context,quant", code=0)
        self.assertIn(f"context: {context} against 8192\n", done.out)
        self.assertIn("engine version: ", done.out)
        forced = self.compare(a, b, "--force", code=0)
        self.assertIn(f"context: {context} against 8192 - UNLIKE, and forced", forced.out)
        self.assertLess(forced.out.index("UNLIKE"), forced.out.index("SAME"))

    def test_before_and_after_a_change_of_settings(self):
        a = self.write("baseline.json", measured(self.base, QUIET, context_tokens=4096, settings={}))
        b = self.write("optimized.json", measured(self.base, [value * 1.1 for value in QUIET], context_tokens=8192,
                                                  settings={"num_ctx": 8192, "num_thread": 4}))
        done = self.compare(a, b, code=0)
        self.assertRegex(done.out, r"settings: none against\s+num_ctx=8192 num_thread=4")

    def test_an_invalid_run_is_refused(self):
        bad = measured(self.base, QUIET)
        bad[0]["velollm"]["status"] = "invalid"
        a, b = self.quiet(1.0, "a.json"), self.write("bad.json", bad)
        self.assert_error(self.velollm("compare", a, b), 1, "status: ok against invalid", "Measure again")
        self.compare(a, b, "--force", code=0)

    def test_benchmarks_of_one_side_are_listed_and_not_counted(self):
        two = measured(self.base, QUIET, "one") + measured(self.base, QUIET, "two")
        three = measured(self.base, [value * 1.1 for value in QUIET], "one") + measured(self.base, QUIET, "three")
        three += measured(self.base, [value * 1.21 for value in QUIET], "two")
        done = self.compare(self.write("a.json", two), self.write("b.json", three), code=0)
        self.assertRegex(done.out, r"Note: Only in \S*b\.json: three")
        self.assertIn("Geometric mean of 2 benchmarks: decode +15.4 %", done.out)
        self.assert_error(self.velollm("compare", self.write("a.json", measured(self.base, QUIET, "one")),
                                       self.write("b.json", measured(self.base, QUIET, "two"))), 1,
                          "no benchmark in common", "--vary workload")

    def test_a_hint_that_names_runs_can_be_followed(self):
        runs = []
        for engine, version in itertools.product(("ollama", "llama-server"), ("1.0 beta", "2.0")):
            runs += measured(self.base, QUIET, kind=engine, version=version)
        path = self.write("runs.json", runs)
        for words in (str(path), f"{path}@engine=ollama"):
            steps = 0
            while (done := self.velollm("compare", words, words)).code == 1 and steps < 3:
                self.assertIn("Name one of them: ", done.err)
                words = shlex.split(done.err.split("Name one of them: ")[1].splitlines()[0])[0]
                steps += 1
            self.assertEqual(done.code, 0, done)
            file, selection = words.split("@")
            self.assertEqual((file, sorted(selection.split(","))), (str(path), ["engine=ollama", "engine_version=1.0 beta"]))

    def test_a_key_that_no_benchmark_has_is_a_mistake(self):
        a = self.quiet(1.0, "a.json")
        self.assert_error(self.velollm("compare", a, f"{a}@foo=bar"), 2, "no benchmark is told by foo",
                          "Keys are name, run, workload, model, ")

    def test_one_run_of_llama_bench_in_two_forms(self):
        folder = SOURCE / "tests/traces/results/llama-bench-0.5.0"
        done = self.compare(folder / "plain.json", folder / "plain.md", code=11)
        self.assertRegex(done.out, r"model: SmolLM2-135M-Instruct\.Q4_1\.gguf against llama 256M\s+Q4_1")
        self.assertIn("doesn't tell its hardware", done.out)

    def test_names_cannot_steer_the_terminal(self):
        a = self.write("a.json", measured(self.base, QUIET, "ev\x1b[31mil\x07\u009bx"))
        for form in ("text", "json", "csv", "md"):
            done = self.compare(a, a, "--format", form, code=0)
            self.assertIn("ev [31mil  x", done.out)
            self.assertNotRegex(done.out.replace("\r\n", "\n"), "[\x00-\x09\x0b-\x1f\x7f-\x9f]")

    # ---- where it comes from ----

    def test_hardware_beside_results_is_theirs(self):
        old = [{key: value for key, value in element.items() if key != "velollm"} for element in self.base]
        sides = []
        for name, gpu in (("one", "RTX 4090"), ("two", "GTX 1060"), ("three", "RTX 4090")):
            sides.append(self.write(f"{name}/benchmark.json", old).parent)
            self.write(f"{name}/hardware.json", {"gpu": {"name": gpu}, "cpu": {"model": "C"}, "os": "linux"})
        unlike = "machine: C, RTX 4090 against C, GTX 1060"
        self.assert_error(self.velollm("compare", sides[0], sides[1]), 1, unlike)
        self.assert_error(self.velollm("compare", *(side / "benchmark.json" for side in sides[:2])), 1, unlike)
        done = self.compare(sides[0], sides[1], "--vary", "hardware", code=11)
        self.assertIn(unlike, done.out)
        done = self.compare(sides[0], sides[2], code=11)
        self.assertIn("C, RTX 4090\n", done.out)
        self.assertNotIn("hardware.json", done.out)
        # What a result tells itself counts.
        own = self.write("two/benchmark.json", self.base).parent
        self.compare(own, self.write("three/benchmark.json", self.base).parent, code=0)

    def test_a_folder_holds_runs_and_other_things(self):
        self.write("new/b.json", measured(self.base, [value * 1.06 for value in QUIET]))
        self.write("new/c.json", measured(self.base, [value * 1.06 for value in reversed(QUIET)] + [106.0]))
        self.write("new/hardware.json", {"gpu": None, "cpu": {}})
        self.write("new/notes.txt", "nothing")
        done = self.compare(self.quiet(1.0, "a.json"), self.folder / "new", code=0)
        self.assertIn("8 and 17 values", done.out)
        self.assertRegex(done.out, r"no results in hardware\.json")
        self.assertIn("custom: the values are of 1 and 2 runs", done.out)
        self.assertNotIn("notes.txt", done.out)
        (self.folder / "empty").mkdir()
        self.assert_error(self.velollm("compare", self.folder / "empty", self.folder / "new"), 2, "has no result file")

    def test_standard_input(self):
        text = json.dumps(measured(self.base, [value * 0.9 for value in QUIET])).encode()
        done = self.compare(self.quiet(1.0, "a.json"), "-", code=10, stdin=text)
        self.assertIn("standard input", done.out)
        self.assert_error(self.velollm("compare", "-", "-", stdin=text), 2, "one side only")
        self.assert_error(self.velollm("compare", self.folder / "a.json", "-", stdin=b""), 2, "standard input")

    def test_files_that_cannot_be_read(self):
        a = self.quiet(1.0, "a.json")
        whole = json.dumps(self.base)
        for name, content in (("cut.json", whole[:len(whole) // 2]), ("empty.json", ""), ("bytes.json", bytes(range(256)) * 40),
                              ("list.json", "[]"), ("other.json", '{"a": 1}'), ("deep.json", "[" * 100_000)):
            with self.subTest(name=name):
                self.assert_error(self.velollm("compare", a, self.write(name, content)), 2, name)
        self.assert_error(self.velollm("compare", a, self.folder / "absent.json"), 2, "Cannot read", "absent.json")

    # ---- how it is said ----

    def test_many_sides_are_one_table(self):
        sides = [self.quiet(1.0, "a.json")] + [self.quiet(factor, f"a rather long name of a file {i}.json")
                                              for i, factor in enumerate((1.1, 1.0, 0.9, 1.0, 1.2))]
        done = self.compare(*sides, code=10)
        for row in (r"  B .*FASTER +110\.0 +\+10\.0 %", r"  C .*SAME", r"  D .*SLOWER", r"  F .*FASTER"):
            self.assertRegex(done.out, "(?m)^" + row)
        self.assertEqual([line for line in done.out.splitlines()
                          if len(line) > 100 and str(self.folder) not in line], [])
        self.assertIn("slower: custom in D", done.out)
        self.assertIn("E2E", self.velollm("compare", *sides, "-v").out)
        self.assertNotIn("E2E", done.out)

    def test_forms(self):
        a, b = self.quiet(1.0, "a.json"), self.quiet(0.9)
        rows = list(csv.DictReader(io.StringIO(self.compare(a, b, "--format", "csv", code=10).out)))
        self.assertEqual((rows[0]["metric"], rows[0]["verdict"], rows[0]["primary"]), ("decode_tps", "slower", "yes"))
        self.assertAlmostEqual(float(rows[0]["ratio"]), 0.9, 6)
        markdown = self.compare(a, b, "--format", "md", code=10).out
        self.assertRegex(markdown, r"(?m)^\| custom \| decode \| 100\.0 tok/s \| 90\.0 tok/s \| -10\.0 % \| \[.*\| SLOWER \| 8 and 8 values \|$")
        self.assertIn(APART, markdown)
        self.check_schema((SOURCE / "tests/approved/comparison.json").read_text(encoding="utf-8"))

    def test_a_file_gets_the_form_of_its_name(self):
        a, b = self.quiet(1.0, "a.json"), self.quiet(0.9)
        for name, begin in (("out.md", "| benchmark"), ("out.Markdown", "| benchmark"), ("out.csv", "baseline,compared"),
                            ("out.json", "{"), ("out", "{")):
            done = self.compare(a, b, "-o", self.folder / name, code=10)
            self.assertTrue((self.folder / name).read_text(encoding="utf-8").startswith(begin), name)
            self.assertIn("SLOWER", done.out)
            self.assertIn(f"Results saved to {self.folder / name}\n", done.out)
        self.assertEqual(self.compare(a, b, "-q", "-o", self.folder / "out.md", code=10).out, "")
        self.check_schema(self.compare(a, b, "-o", "-", code=10).out)
        self.check_schema(self.compare(a, b, "--json", code=10).out)
        self.compare(a, b, "--json", "-o", self.folder / "as.md", code=10)
        self.check_schema((self.folder / "as.md").read_text(encoding="utf-8"))
        self.assert_error(self.velollm("compare", a, b, "-o", self.folder / "no" / "where.json"), 1)
        self.assert_error(self.velollm("compare", a, b, "-o", b), 2, "is one of the results, and -o would replace it")
        # Before anything is read, and before anything is printed.
        self.assert_error(self.velollm("compare", a, self.folder / "absent.json", "-o", self.folder / "no" / "where.json"), 1,
                          "where.json")
        self.no_litter()

    def test_mistakes(self):
        a = self.quiet(1.0, "a.json")
        b = self.quiet(1.0)
        self.assert_error(self.velollm("compare"), 2, "two to six")
        self.assert_error(self.velollm("compare", a), 2, "two to six")
        self.assert_error(self.velollm("compare", *[a] * 7), 2, "two to six results, and here are 7")
        for delta in ("0", "-1%", "x", "100%", "nan"):
            self.assert_error(self.velollm("compare", a, b, f"--delta={delta}"), 2, f"--delta {delta} is no share")
        self.assert_error(self.velollm("compare", a, b, "--delta", "0.9"), 2, "--delta 0.9 could be 0.9 % or 90 %",
                          "Write 0.9% or 0.009 for the one, 90% for the other")
        self.assert_error(self.velollm("compare", a, b, "--delta", "0.5"), 2, "0.5 % or 50 %")
        self.assert_error(self.velollm("compare", a, b, "--delta", "2"), 2, "--delta 2 is no share", "Write 2% or 0.02")
        for words in (("ab", "--null", "--delta", "0.9"), ("benchmark", "--until", "0.9")):
            self.assert_error(self.velollm(*words), 2, f"{words[-2]} 0.9 could be 0.9 % or 90 %")
        for delta, share in (("0.49", 0.49), ("0.9%", 0.009), ("0.02", 0.02), ("2 %", 0.02), ("90%", 0.9)):
            self.assertEqual(json.loads(self.velollm("compare", a, b, "--delta", delta, "--json").out)["delta"], share)
        self.assert_error(self.velollm("compare", a, b, "--vary", "joy"), 2, "--vary joy")
        self.assert_error(self.velollm("compare", a, b, "--metric", "joy"), 1, "no values of joy on both sides")
        settings = self.write("settings.json", {"delta": "20%"})
        self.compare(a, self.quiet(0.9), "--config", settings, code=0)

    def test_another_measure_decides_when_it_is_named(self):
        slow = measured(self.base, QUIET)
        ttft = slow[0]["velollm"]["measured"]["ttft_ms"]
        ttft["samples"] = [value * 10 for value in ttft["samples"]]
        a, b = self.quiet(1.0, "a.json"), self.write("b.json", slow)
        self.compare(a, b, code=0)
        done = self.compare(a, b, "--metric", "ttft_ms", code=10)
        self.assertRegex(done.out, r"(?m)^  SLOWER +TTFT \+\d+\.\d %")


if __name__ == "__main__":
    unittest.main()
