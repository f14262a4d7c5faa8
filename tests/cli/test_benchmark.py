"""`velollm benchmark` against a scripted Ollama: what it prints and writes when all goes well."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from benchmark_test import BenchmarkTest, apart_from_the_machine, small_suite
from scripted_server import Ollama, Reply
from velollm_cli import BINARY, RESULT_SCHEMA, STANDARD, CliTest, decode_speed, jq

RULE = "═" * 55

# The example of the original guide, cut where lines may be added, with its own numbers.
GUIDE = {
    "opening": f"""🚀 VeloLLM Benchmark Suite

Backend: ollama
Model: llama3.2:3b

Checking Ollama availability... ✓
""",
    "running": f"""
Running 3 benchmarks...

{RULE}

""",
    "short_completion": """Running benchmark: short_completion (5 iterations)
  Iteration 1/5... 82.3 tok/s (612ms)
  Iteration 2/5... 85.1 tok/s (593ms)
  Iteration 3/5... 84.7 tok/s (596ms)
  Iteration 4/5... 83.9 tok/s (602ms)
  Iteration 5/5... 84.2 tok/s (599ms)
  Average: 84.0 tok/s, TTFT: 127.3ms
""",
    "medium_completion": """Running benchmark: medium_completion (3 iterations)
  Iteration 1/3... 78.5 tok/s (1913ms)
  Iteration 2/3... 79.2 tok/s (1896ms)
  Iteration 3/3... 78.9 tok/s (1903ms)
  Average: 78.9 tok/s, TTFT: 145.6ms
""",
    "code_generation": """Running benchmark: code_generation (3 iterations)
  Iteration 1/3... 76.3 tok/s (2621ms)
  Iteration 2/3... 77.1 tok/s (2596ms)
  Iteration 3/3... 76.8 tok/s (2605ms)
  Average: 76.7 tok/s, TTFT: 152.1ms
""",
    "summary": f"""{RULE}

📊 Benchmark Summary

short_completion:
  Tokens/s: 84.0
  TTFT: 127.3ms
  Total tokens: 252
  Total time: 3.0s

medium_completion:
  Tokens/s: 78.9
  TTFT: 145.6ms
  Total tokens: 447
  Total time: 5.7s

code_generation:
  Tokens/s: 76.7
  TTFT: 152.1ms
  Total tokens: 593
  Total time: 7.7s

Overall Average:
  Tokens/s: 79.9
  TTFT: 141.7ms

""",
    "tip": "💡 Tip: Use -o <file> to save results to JSON\n",
}


def pattern(text: str) -> str:
    """A regular expression for the text with its measured numbers left open."""
    escaped = re.escape(text)
    escaped = re.sub(r"\d+\\\.\d(?=\\ tok/s|ms|s\b|\n|\\\n)", r"\\d+\\.\\d", escaped)
    escaped = re.sub(r"\(\d+ms", r"(\\d+ms", escaped)
    return re.sub(r"(Total\\ tokens:\\ )\d+", r"\1\\d+", escaped)


ENGINE_LINE = r"Ollama 0\.24\.0, Q4_K_M, context 4096, 100% GPU\n"
LOADING_LINE = r"Loading model\.\.\. \d+\.\ds, warm-up 2 requests\n"
DECODE_LINE = r"  Decode: \d+\.\d tok/s \(\d+\.\d \.\. \d+\.\d[^)\n]*\), TTFT median \d+\.\dms, prompt \d+ tokens( uncached)?\n\n"


class Layout(BenchmarkTest):
    def check_parts(self, out, *parts):
        """The output is made of these patterns, one after the other, and of nothing else."""
        out = apart_from_the_machine(out)
        at = 0
        for part in parts:
            match = re.compile(part).match(out, at)
            if match is None:
                self.fail(f"expected the pattern\n{part}\nand came\n{out[at:]}")
            at = match.end()
        self.assertEqual(out[at:], "", "left over at the end")

    def split_at_summary(self, out):
        run, _, rest = out.partition(f"{RULE}\n\n📊")
        self.assertTrue(rest, out)
        return run, f"{RULE}\n\n📊{rest}"

    def test_run_as_in_the_guide(self):
        done = self.expect(self.benchmark(), 0)
        run, _ = self.split_at_summary(done.out)
        self.check_parts(run, pattern(GUIDE["opening"]), ENGINE_LINE, LOADING_LINE, pattern(GUIDE["running"]),
                         pattern(GUIDE["short_completion"]), DECODE_LINE, pattern(GUIDE["medium_completion"]), DECODE_LINE,
                         pattern(GUIDE["code_generation"]), DECODE_LINE)
        self.assertEqual(done.err, "")  # progress is for terminals

    def test_summary_as_in_the_guide(self):
        done = self.expect(self.benchmark("--iterations", "2", "--max-tokens", "6"), 0)
        _, summary = self.split_at_summary(done.out)
        self.check_parts(summary, pattern(GUIDE["summary"]), pattern(GUIDE["tip"]))

    def test_saved_line_in_place_of_the_tip(self):
        done = self.expect(self.quick("-o", "results.json"), 0)
        self.assertRegex(apart_from_the_machine(done.out), r"(?s)\nOverall Average:\n  Tokens/s: [\d.]+\n  TTFT: [\d.]+ms\n\nResults saved to results\.json\n\Z")
        self.assertNotIn("Tip", done.out)
        self.assertEqual(done.err, "")
        self.valid_results(self.folder / "results.json")

    def test_printed_numbers_are_those_of_the_file(self):
        done = self.expect(self.benchmark("-o", self.results), 0)
        results = self.valid_results()
        averages = re.findall(r"Average: ([\d.]+) tok/s, TTFT: ([\d.]+)ms", done.out)
        summary = re.findall(r"  Tokens/s: ([\d.]+)\n  TTFT: ([\d.]+)ms", done.out)
        for element, average, line in zip(results, averages, summary):
            self.assertEqual(average, line)
            self.assertAlmostEqual(float(average[0]), element["tokens_per_second"], delta=0.0501)
            self.assertAlmostEqual(float(average[1]), element["time_to_first_token_ms"], delta=0.0501)
        for index, key in enumerate(("tokens_per_second", "time_to_first_token_ms")):
            mean = sum(element[key] for element in results) / len(results)
            self.assertAlmostEqual(float(summary[3][index]), mean, delta=0.0501, msg="Overall Average")
        decode = re.findall(r"  Decode: ([\d.]+) tok/s \(", done.out)
        for element, speed in zip(results, decode):
            self.assertAlmostEqual(float(speed), element["velollm"]["measured"]["decode_tps"]["median"], delta=0.0501)

    def test_ascii(self):
        done = self.expect(self.quick("--ascii"), 0)
        self.assertTrue(done.out.isascii(), done.out)
        self.assertTrue(done.out.startswith("VeloLLM Benchmark Suite\n\nBackend: ollama\n"), done.out)
        self.assertIn("\n" + "=" * 55 + "\n", done.out)

    def test_a_locale_without_utf8_gets_ascii(self):
        for locale in ({"LC_ALL": "C"}, {"LC_ALL": None, "LANG": "en_US.ISO-8859-1"}, {"LC_ALL": "POSIX", "LANG": "C.UTF-8"}):
            with self.subTest(locale):
                done = self.expect(self.quick(env=locale), 0)
                self.assertTrue(done.out.isascii(), done.out)
                self.assertIn("\n" + "=" * 55 + "\n", done.out)

    def test_lang_alone_gives_unicode(self):
        done = self.expect(self.quick(env={"LC_ALL": None, "LANG": "fr_FR.UTF-8"}), 0)
        self.assertIn(f"\n{RULE}\n", done.out)
        self.assertIn("📊", done.out)

    def test_no_colour_where_no_terminal_is(self):
        done = self.expect(self.quick("-o", self.results), 0)
        self.assertIn("Benchmark Summary", done.out)
        self.assertNotIn("\x1b", done.out + done.err)

    def test_quiet_prints_the_results_only(self):
        done = self.expect(self.quick("-q"), 0)
        self.assertIn("Benchmark Summary", done.out)
        self.assertIn("Tokens/s:", done.out)
        for part in ("Iteration", "Checking", "Tip", "Running"):
            self.assertNotIn(part, done.out)
        self.assertEqual(done.err, "")

    def test_verbose_prints_every_metric(self):
        done = self.expect(self.quick("-v", "-o", self.results), 0)
        measured = self.valid_results()[0]["velollm"]["measured"]
        for title in ("Decode", "TTFT", "TPOT", "E2E", "Longest gap"):
            self.assertRegex(done.out, rf"(?m)^\s+{title}\s+\d")
        self.assertIn(f"{measured['tpot_ms']['median']:.2f} ms", done.out)

    def test_progress_on_a_terminal_goes_to_standard_error(self):
        gate = self.server.gate()
        self.server.reply = Reply(eval_ns=None, gate=gate, gate_after=4)
        outer, inner = pty.openpty()
        self.addCleanup(os.close, outer)
        words = [BINARY, "benchmark", "--url", self.server.url, "--prompt", "x", "--max-tokens", "6", "--iterations", "1"]
        with subprocess.Popen(words, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=inner) as process:
            self.addCleanup(process.kill)
            os.close(inner)
            self.assertTrue(gate.reached.wait(30))
            seen = b""
            while b"warming up" not in seen:
                seen += os.read(outer, 4096)
            gate.open.set()
            out = process.stdout.read().decode()
            process.wait(30)
            try:
                while data := os.read(outer, 4096):
                    seen += data
            except OSError:
                pass  # the terminal is closed
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\r", out)
        self.assertTrue(seen.endswith(b"\r\x1b[K"), "the last progress line is wiped")

    def test_live_progress_of_an_iteration(self):
        gate = self.server.gate()
        # Apart in time, since tokens that arrive in one read have no speed to show.
        self.server.script(3, Reply(eval_ns=None, gate=gate, gate_after=4, pace_seconds=0.02))
        outer, inner = pty.openpty()
        self.addCleanup(os.close, outer)
        words = [BINARY, "benchmark", "--url", self.server.url, "--prompt", "x", "--max-tokens", "6", "--iterations", "3"]
        with subprocess.Popen(words, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=inner) as process:
            self.addCleanup(process.kill)
            os.close(inner)
            seen = b""
            while not re.search(rb"Iteration 2/3\.\.\. 4/6 tokens, \d+\.\d tok/s, ETA \d+s", seen):
                data = os.read(outer, 4096)  # drawn five times a second
                self.assertTrue(data, seen)
                seen += data
            gate.open.set()
            self.assertEqual(process.wait(30), 0)

    def test_one_iteration_and_one_benchmark(self):
        done = self.expect(self.benchmark("--prompt", "x", "--max-tokens", "1", "--iterations", "1", "-o", self.results), 0)
        measured = self.valid_results()[0]["velollm"]["measured"]
        self.assertNotIn("decode_tps", measured)  # one token has no speed
        self.assertNotIn("nan", done.out.lower())
        self.assertNotIn("inf ", done.out.lower())


class ResultFile(BenchmarkTest):
    def test_standard_suite(self):
        self.server.reply = Reply()
        self.expect(self.benchmark("-o", self.results), 0)
        results = self.valid_results()
        self.no_litter()
        configs = [(e["config"]["name"], e["config"]["prompt"], e["config"]["max_tokens"], e["config"]["iterations"])
                   for e in results]
        self.assertEqual(configs, STANDARD)
        finals = iter(self.server.measured)
        for element in results:
            self.assertEqual(element["config"]["model"], "llama3.2:3b")
            self.assertEqual(element["velollm"]["status"], "ok")
            self.assertRegex(element["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            samples = element["velollm"]["samples"]
            self.assertEqual(len(samples), element["config"]["iterations"])
            self.assertEqual(element["total_tokens"], element["config"]["max_tokens"] * len(samples))
            self.check_against_server(element)
            for sample, generation in zip(samples, finals):
                server = generation.final
                self.assertEqual(sample["output_tokens"], server["eval_count"])
                self.assertEqual(sample["prompt_tokens"], server["prompt_eval_count"])
                self.assertEqual(sample["server_eval_ns"], server["eval_duration"])
                self.assertEqual(sample["server_prompt_eval_ns"], server["prompt_eval_duration"])
                self.assertEqual(sample["server_load_ns"], server["load_duration"])
                self.assertEqual(sample["server_total_ns"], server["total_duration"])
                self.assertEqual(sample["finish"], "length")
                # The client saw no token before the server sent it, and the end not before it came.
                self.assertGreaterEqual(sample["event_ns"][0], generation.first_token_delay_ns)
                self.assertGreaterEqual(sample["done_ns"], server["total_duration"])
                self.assertEqual(sample["event_ns"], sorted(sample["event_ns"]))
                self.assertEqual(len(sample["event_ns"]), server["eval_count"])
        self.assertEqual(next(finals, None), None)

    def test_values_that_cannot_be_known_are_absent(self):
        self.expect(self.quick("-o", self.results), 0)
        velollm = self.valid_results()[0]["velollm"]
        for key in ("server_decode_tps", "prefill_tps"):
            self.assertNotIn(key, velollm["measured"])
            self.assertTrue(velollm["absent"][key])
        self.assertNotIn("ci95", velollm["measured"]["decode_tps"])  # fewer than six samples
        self.assertNotIn("p90", velollm["measured"]["ttft_ms"])
        self.assertIn("too_few", velollm["warnings"])

    def test_interval_from_six_samples_on(self):
        for iterations, has in ((5, False), (6, True)):
            self.expect(self.benchmark("--prompt", "x", "--max-tokens", "6", "--iterations", iterations, "-o", self.results), 0)
            measured = self.valid_results()[0]["velollm"]["measured"]["decode_tps"]
            self.assertEqual("ci95" in measured, has)
            if has:
                self.assertEqual(measured["ci95"], [min(measured["samples"]), max(measured["samples"])])

    def test_jq_reads_it_and_joined_files_are_valid(self):
        second = self.folder / "second.json"
        self.expect(self.quick("-o", self.results), 0)
        self.expect(self.quick("-o", second), 0)
        speed = float(jq(".[0].tokens_per_second", self.results))
        self.assertAlmostEqual(speed, self.valid_results()[0]["tokens_per_second"], places=4)
        joined = self.folder / "joined.json"
        joined.write_text(jq("-s", "add", self.results, second), encoding="utf-8")
        results = self.valid_results(joined)
        self.assertEqual(len(results), 2)
        self.assertNotEqual(results[0]["velollm"]["run"]["id"], results[1]["velollm"]["run"]["id"])
        self.assertEqual(results[0]["velollm"]["series"], results[1]["velollm"]["series"], "same series, comparable")

    def test_series_tells_settings_apart(self):
        self.expect(self.quick("-o", self.results), 0)
        plain = self.valid_results()[0]["velollm"]["series"]
        self.expect(self.quick("-o", self.results, "--num-ctx", "1024"), 0)
        self.assertNotEqual(self.valid_results()[0]["velollm"]["series"], plain)

    def test_an_existing_file_is_replaced(self):
        self.results.write_text("x" * 1_000_000, encoding="utf-8")
        self.expect(self.quick("-o", self.results), 0)
        self.assertEqual(len(self.valid_results()), 1)
        self.no_litter()

    def test_a_link_stays_a_link(self):
        target = self.folder / "target.json"
        target.write_text("old", encoding="utf-8")
        self.results.symlink_to(target)
        self.expect(self.quick("-o", self.results), 0)
        self.assertTrue(self.results.is_symlink())
        self.valid_results(target)

    def test_output_dash_is_pure_json(self):
        done = self.expect(self.quick("-o", "-"), 0)
        path = self.folder / "stdout.json"
        path.write_text(done.out, encoding="utf-8")
        self.valid_results(path)
        self.assertFalse((self.folder / "-").exists())

    def test_format_json(self):
        done = self.expect(self.quick("--format", "json"), 0)
        path = self.folder / "stdout.json"
        path.write_text(done.out, encoding="utf-8")
        self.valid_results(path)

    def test_format_csv(self):
        done = self.expect(self.benchmark("--format", "csv", "-o", self.results, "--iterations", "2", "--max-tokens", "6"), 0)
        rows = list(csv.DictReader(io.StringIO(done.out)))
        results = self.valid_results()
        self.assertEqual([row["name"] for row in rows], [name for name, *_ in STANDARD])
        for row, element in zip(rows, results):
            self.assertNotIn(None, row, "more fields than columns")
            for key in ("tokens_per_second", "time_to_first_token_ms", "total_tokens", "eval_count"):
                self.assertAlmostEqual(float(row[key]), element[key], places=3, msg=key)
            decode = element["velollm"]["measured"].get("decode_tps")  # tokens that come in one read have no speed
            if decode:
                self.assertAlmostEqual(float(row["decode_tps_median"]), decode["median"], 3)
            else:
                self.assertEqual(row["decode_tps_median"], "")
            self.assertEqual(row["prefill_tps_median"], "")  # absent is empty, not 0

    def test_format_md(self):
        done = self.expect(self.benchmark("--format", "md", "--iterations", "2", "--max-tokens", "6"), 0)
        rows = [line for line in done.out.splitlines() if line.startswith("|")]
        self.assertEqual(len(rows), 2 + 3)
        self.assertEqual(len({row.count("|") for row in rows}), 1, done.out)
        for row, (name, *_) in zip(rows[2:], STANDARD):
            self.assertTrue(row.startswith(f"| {name} "), row)

    def test_awkward_names_in_every_format(self):
        suite = small_suite(('a,"b"|c', {}))
        for form in ("text", "json", "csv", "md"):
            with self.subTest(form):
                done = self.expect(self.benchmark("--suite", "-", "--format", form, stdin=suite), 0)
                if form == "csv":
                    self.assertEqual(next(csv.DictReader(io.StringIO(done.out)))["name"], 'a,"b"|c')
                if form == "md":
                    row = done.out.splitlines()[-1]
                    self.assertEqual(len(re.findall(r"(?<!\\)\|", row)), 8, row)
                if form == "json":
                    self.assertEqual(json.loads(done.out)[0]["config"]["name"], 'a,"b"|c')

    def test_unicode_prompt_arrives_unharmed(self):
        prompt = "Écris « bonjour » 👋\n\tet \"au revoir\" \\o/"
        self.expect(self.quick("--prompt", prompt, "-o", self.results), 0)
        self.assertEqual(self.valid_results()[0]["config"]["prompt"], prompt)
        self.assertTrue(self.server.measured[0].body["prompt"].endswith(prompt))

    def test_bytes_that_are_no_utf8(self):
        """A command line may hold anything; what is sent and written is UTF-8 all the same, or the option is refused."""
        name = b"caf\xe9".decode("utf-8", "surrogateescape")
        done = self.quick("--name", name, "-o", self.results)
        if done.code == 2:
            self.assertTrue(done.err.startswith("Error: "), str(done))
        else:
            self.expect(done, 0)
            self.valid_results()

    def test_saved_after_each_benchmark(self):
        gate = self.server.gate()
        self.server.script(2 + 5 + 3 + 1, Reply(gate=gate, gate_after=10))  # the third benchmark's second request
        running = self.start("benchmark", "--url", self.server.url, "-o", self.results)
        self.assertTrue(gate.reached.wait(60))
        running.signal(signal.SIGKILL)
        self.assertEqual(running.finish().code, -signal.SIGKILL)
        results = self.valid_results()
        self.assertEqual([e["config"]["name"] for e in results], ["short_completion", "medium_completion"])
        self.assertEqual([e["velollm"]["status"] for e in results], ["ok", "ok"])

    def test_client_health_is_in_the_file(self):
        done = self.expect(self.benchmark("-o", self.results), 0)
        for element in self.valid_results():
            client = element["velollm"]["client"]
            self.assertGreater(client["cpu_share"], 0)
            self.assertLess(client["cpu_share"], 1)
            self.assertGreater(client["peak_memory_bytes"], 1_000_000)
            self.assertLessEqual(client["peak_memory_bytes"], done.max_rss_kib * 1024)

    def test_memory_stays_below_30_mib(self):
        done = self.expect(self.benchmark("-o", self.results), 0)
        self.assertEqual(len(self.valid_results()), 3)
        self.assertLess(done.max_rss_kib, 30 * 1024)


class ClosedPipe(BenchmarkTest):
    def through_head(self, *words):
        """velollm ... | head -1, and the exit code of both."""
        with subprocess.Popen([BINARY, "benchmark", "--url", self.server.url, *words], env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            self.addCleanup(program.kill)
            head = subprocess.run(["head", "-1"], stdin=program.stdout, capture_output=True, timeout=60, check=True)
            program.stdout.close()
            _, err = program.communicate(timeout=60)
        return program.returncode, head.stdout.decode(), err.decode()

    def test_head(self):
        code, out, err = self.through_head()
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, "🚀 VeloLLM Benchmark Suite\n")

    def test_head_of_json(self):
        code, out, err = self.through_head("--format", "json", "--max-tokens", "6", "--iterations", "1")
        self.assertEqual((code, err, out), (0, "", "[\n"))

    def test_the_file_is_whole_all_the_same(self):
        """Exit 0 means done: what -o was asked to keep is measured to the end, or else the program says that it isn't."""
        code, _, err = self.through_head("-o", str(self.results))
        results = self.valid_results()
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([(e["config"]["name"], e["velollm"]["status"]) for e in results],
                         [(name, "ok") for name, *_ in STANDARD])

    def test_closed_from_the_start(self):
        done = subprocess.run(["sh", "-c", '"$0" benchmark --url "$1" --prompt x --max-tokens 3 --iterations 1 >&-', BINARY,
                               self.server.url], env=self.environment(), capture_output=True, timeout=60, check=False)
        self.assertIn(done.returncode, (0, 1))
        self.assertNotIn(b"terminate", done.stderr)
        self.assertIn("/api/version", self.server.paths())  # and not the closed descriptor: it went to the server

    def test_full_standard_output_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BINARY, "benchmark", "--url", self.server.url, "--prompt", "x", "--max-tokens", "3"],
                                  env=self.environment(), stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith(b"Error: "), done.stderr)


class Help(CliTest):
    def test_alone(self):
        done = self.expect(self.velollm(), 0)
        self.assertIn("benchmark", done.out)
        self.assertLess(len(done.out.splitlines()), 25)

    def test_of_the_command(self):
        done = self.expect(self.velollm("benchmark", "--help"), 0)
        for option in ("--model", "--backend", "--url", "--ollama-url", "--output", "--format", "--quiet", "--verbose",
                       "--no-color", "--ascii", "--config", "--seed", "--timeout", "--suite", "--prompt", "--max-tokens",
                       "--iterations", "--name"):
            self.assertIn(option, done.out)
        self.assertIn("velollm benchmark", done.out)
        self.assertIn("Example", done.out)

    def test_usage_line_names_the_program(self):
        done = self.velollm("benchmark", "--help")
        self.assertRegex(done.out, r"(?m)^Usage: velollm benchmark ")

    def test_version(self):
        done = self.expect(self.velollm("--version"), 0)
        self.assertRegex(done.out, r"(?m)^velollm \d+\.\d+\.\d+")
        self.assertIn("compiler", done.out)
        self.assertIn("llama.cpp", done.out)


class TheSchemaCheckItself(CliTest):
    """The other tests lean on it: it must refuse."""

    def test_refuses_a_broken_file(self):
        server = self.serve(Ollama())
        self.expect(self.velollm("benchmark", "--url", server.url, "--prompt", "x", "--max-tokens", "3", "-o", self.results), 0)
        good = self.results.read_text(encoding="utf-8")
        for path, value in ((("velollm", "status"), "fine"), (("total_tokens",), "5"), (("velollm", "series"), "abc"),
                            (("config", "name"), None)):
            with self.subTest(path):
                results = json.loads(good)
                place = results[0]
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = value
                self.results.write_text(json.dumps(results), encoding="utf-8")
                with self.assertRaises(AssertionError):
                    self.valid_results()
        self.assertTrue(RESULT_SCHEMA.exists())

    def test_decode_speed_recomputed(self):
        sample = {"event_ns": [10, 20, 30], "output_tokens": 4, "hidden_tokens": 1}
        self.assertEqual(decode_speed(sample), 1e8)


if __name__ == "__main__":
    unittest.main()
