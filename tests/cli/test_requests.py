"""`velollm benchmark` against a scripted Ollama: which server and suite it takes, what it sends, and what it counts."""

import json
import socket
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from benchmark_test import BenchmarkTest, small_suite
from scripted_server import ClosedPort, Ollama, Replayed, Reply
from velollm_cli import STANDARD, TRACES, CliTest, counted_samples


class WhatIsMeasured(BenchmarkTest):
    def samples(self, *words):
        self.expect(self.quick("-o", self.results, *words), 0)
        self.element = self.valid_results()[0]
        return counted_samples(self.element)

    def test_header_is_no_first_token(self):
        self.server.reply = Reply(header_at_once=True, first_token_seconds=0.05, eval_ns=None)
        for sample in self.samples():
            self.assertGreaterEqual(sample["event_ns"][0], 50_000_000)
            self.assertLess(sample["first_byte_ns"], sample["event_ns"][0])
        self.assertGreaterEqual(self.element["time_to_first_token_ms"], 50)

    def test_empty_first_chunk_is_no_first_token(self):
        self.server.reply = Reply(empty_first_chunk=True, first_token_seconds=0.05, eval_ns=None)
        for sample in self.samples():
            self.assertGreaterEqual(sample["event_ns"][0], 50_000_000)
            self.assertEqual(len(sample["event_ns"]), 6)

    def test_reasoning_counts_as_first_token(self):
        self.server.reply = Reply(thinking=3, eval_ns=None)
        self.assertEqual([len(sample["event_ns"]) for sample in self.samples()], [6, 6])
        measured = self.element["velollm"]["measured"]
        self.assertGreater(measured["ttfo_ms"]["median"], measured["ttft_ms"]["median"])

    def test_several_tokens_in_a_chunk_are_counted_by_the_server(self):
        self.server.reply = Reply(tokens_per_chunk=3, eval_ns=None)
        for sample in self.samples("--max-tokens", "30"):
            self.assertEqual(sample["output_tokens"], 30)
            self.assertEqual(len(sample["event_ns"]), 10)
        self.assertIn("first_chunk_unknown", self.element["velollm"]["warnings"])

    def test_early_stop(self):
        self.server.reply = Reply(tokens=10, done_reason="stop", eval_ns=None)
        done = self.expect(self.benchmark("--prompt", "x", "--max-tokens", "50", "--iterations", "2", "-o", self.results), 0)
        element = self.valid_results()[0]
        for sample in counted_samples(element):
            self.assertEqual((sample["output_tokens"], sample["hidden_tokens"], len(sample["event_ns"])), (11, 1, 10))
            self.assertEqual(sample["finish"], "stop")
        self.assertIn("early_eos", element["velollm"]["warnings"])
        self.assertRegex(done.out, r"(?m)^Warnings:\n  custom: early_eos: .+\n    \S.+\n")

    def test_warnings_stand_between_summary_and_tip(self):
        self.server.reply = Reply(tokens=2, eval_ns=None)
        done = self.expect(self.benchmark("--prompt", "x", "--max-tokens", "50", "--iterations", "2"), 0)
        places = [done.out.index(part) for part in ("Overall Average:", "\nWarnings", "💡 Tip")]
        self.assertEqual(places, sorted(places))

    def test_server_that_disagrees_is_named(self):
        self.server.reply = Reply(eval_ns=1_000_000)
        self.samples()
        self.check_against_server(self.element)
        self.assertIn("client_server_mismatch", self.element["velollm"]["warnings"])

    def test_prompt_cut_by_the_server_is_no_sample(self):
        self.server.reply = Reply(prompt_tokens=2, eval_ns=None)
        done = self.benchmark("--prompt", "one two three four five", "--max-tokens", "6", "--iterations", "2", "-o", self.results)
        self.expect(done, 5)
        element = self.valid_results()[0]
        self.assertEqual(counted_samples(element), [])
        self.assertIn("prompt_truncated", element["velollm"]["warnings"])

    def test_reload_during_a_request_is_no_sample(self):
        self.server.script(3, Reply(load_ns=900_000_000, eval_ns=None))
        self.benchmark("--prompt", "x", "--max-tokens", "6", "--iterations", "3", "-o", self.results)
        element = self.valid_results()[0]
        self.assertEqual([sample["counted"] for sample in element["velollm"]["samples"]], [True, False, True])
        self.assertIn("reloaded", element["velollm"]["warnings"])

    def test_warm_up_is_not_measured(self):
        for index in (0, 1):
            self.server.script(index, Reply(first_token_seconds=0.2, eval_ns=None))
        self.server.reply = Reply(first_token_seconds=0, eval_ns=None)
        self.samples()
        self.assertEqual(len(self.server.generations), 2 + 2)
        self.assertLess(self.element["time_to_first_token_ms"], 200)
        self.assertEqual(self.element["velollm"]["workload"]["warmup"], 2)

    def test_recorded_traffic_is_counted_as_the_server_counted_it(self):
        for folder in ("ollama-0.24.0", "ollama-0.32.15"):
            for name, words, findings in (
                    ("generate_stream_length", ("--max-tokens", "48"), set()),
                    ("generate_raw_utf8", ("--max-tokens", "64"), {"first_chunk_unknown"}),
                    ("chat_stream_natural_stop", ("--max-tokens", "200", "--endpoint", "chat"), {"early_eos"})):
                with self.subTest(folder=folder, trace=name):
                    place = "POST /api/chat" if "chat" in words else "POST /api/generate"
                    server = Replayed(TRACES / folder, {
                        "GET /api/version": "version", "GET /api/tags": "tags", "POST /api/show": "show",
                        "GET /api/ps": "ps_loaded", "POST /api/generate": "generate_load_empty_prompt"} | {place: name})
                    with server:
                        done = self.velollm("benchmark", "--url", server.url, "-m", "smollm2:135m", "--prompt", "x",
                                            "--iterations", "2", *words, "-o", self.results)
                        final = server.traces[place].final
                    self.expect(done, 0)
                    element = self.valid_results()[0]
                    events = sum(1 for line in server.traces[place].body.decode().splitlines() if has_text(json.loads(line)))
                    for sample in element["velollm"]["samples"]:
                        self.assertTrue(sample["counted"])
                        self.assertEqual(sample["output_tokens"], final["eval_count"])
                        self.assertEqual(sample["prompt_tokens"], final["prompt_eval_count"])
                        self.assertEqual(sample["server_eval_ns"], final["eval_duration"])
                        self.assertEqual(len(sample["event_ns"]), events)
                    self.assertLessEqual(findings, set(element["velollm"]["warnings"]))
                    self.assertEqual(element["velollm"]["model"]["params"], 134515008)
                    self.assertEqual(element["velollm"]["run"]["runtime"]["version"], folder.split("-")[1])

    def test_recorded_llama_server(self):
        server = self.serve(Replayed(TRACES / "llama-server-0.5.0", {
            "GET /props": "props", "GET /v1/models": "v1_models", "POST /apply-template": "apply_template",
            "POST /completion": "completion_sse_cache_prompt_false"}))
        final = json.loads(server.traces["POST /completion"].body.decode().strip().split("data: ")[-1])
        done = self.velollm("benchmark", "-b", "llamacpp", "--url", server.url, "--prompt", "x", "--iterations", "2",
                            "--max-tokens", str(final["timings"]["predicted_n"]), "-o", self.results)
        self.expect(done, 0)
        self.assertIn("Checking llama-server availability... ✓\n", done.out)
        element = self.valid_results()[0]
        for sample in element["velollm"]["samples"]:
            self.assertEqual(sample["output_tokens"], final["timings"]["predicted_n"])
            self.assertEqual(sample["cached_tokens"], 0)
        self.assertEqual(element["velollm"]["workload"]["prompt_cache"], "cold")
        for request in server.requests:
            if request.path == "/completion":
                self.assertIs(request.body["cache_prompt"], False)


def has_text(record) -> bool:
    return bool(record.get("response") or record.get("message", {}).get("content"))


class WhatIsSent(BenchmarkTest):
    def test_a_nonce_stands_at_the_front_of_every_prompt(self):
        self.expect(self.benchmark("-o", self.results), 0)
        results = self.valid_results()
        prompts = [generation.body["prompt"] for generation in self.server.generations]
        configs = [prompt for _, prompt, _, iterations in STANDARD for _ in range(iterations)]
        configs = [STANDARD[0][1]] * 2 + configs
        nonces = []
        for prompt, config in zip(prompts, configs, strict=True):
            self.assertTrue(prompt.endswith(config), prompt)
            nonces.append(prompt[:-len(config)].strip())
        self.assertEqual(len(set(nonces)), len(nonces))
        self.assertEqual(len({nonce.split()[0] for nonce in nonces}), len(nonces), "not even the first word is cached")
        written = [sample["nonce"] for element in results for sample in element["velollm"]["samples"]]
        self.assertEqual(written, nonces[2:])

    def test_nonces_differ_between_runs(self):
        for _ in range(2):
            self.expect(self.quick(), 0)
        prompts = [generation.body["prompt"] for generation in self.server.generations]
        self.assertEqual(len(set(prompts)), 2 * (2 + 2))

    def test_request_of_generate(self):
        self.expect(self.quick("--seed", "7"), 0)
        self.assertEqual(len(self.server.measured), 2)
        for generation in self.server.measured:
            body = dict(generation.body)
            self.assertEqual(generation.path, "/api/generate")
            self.assertTrue(body.pop("prompt").endswith("Say hello"))
            self.assertEqual(body, {"model": "llama3.2:3b", "stream": True, "truncate": False,
                                    "options": {"num_predict": 6, "temperature": 0, "seed": 7}})

    def test_request_of_chat(self):
        self.expect(self.quick("--endpoint", "chat", "-o", self.results), 0)
        for generation in self.server.measured:
            self.assertEqual(generation.path, "/api/chat")
            self.assertIs(generation.body["truncate"], False)
            self.assertEqual(len(generation.body["messages"]), 1)
            self.assertEqual(generation.body["messages"][0]["role"], "user")
            self.assertTrue(generation.body["messages"][0]["content"].endswith("Say hello"))
        element = self.valid_results()[0]
        self.assertEqual(element["eval_count"], 6)
        self.assertEqual([len(sample["event_ns"]) for sample in element["velollm"]["samples"]], [6, 6])

    def test_options_of_the_environment(self):
        variables = {"OLLAMA_NUM_CTX": "8192", "OLLAMA_NUM_BATCH": "256", "OLLAMA_NUM_GPU": "99", "OLLAMA_NUM_THREAD": "3",
                     "OLLAMA_KEEP_ALIVE": "7m"}
        done = self.expect(self.quick("-o", self.results, env=variables), 0)
        line = next((line for line in done.out.splitlines() if line.startswith("Options: ")), "")
        for variable, value in variables.items():
            self.assertIn(f"{variable.removeprefix('OLLAMA_').lower()} {value} ({variable})", line)
        runtime = self.valid_results()[0]["velollm"]["run"]["runtime"]
        wanted = {"num_ctx": 8192, "num_batch": 256, "num_gpu": 99, "num_thread": 3}
        self.assertEqual({key: runtime["settings"][key] for key in wanted}, wanted)
        self.assertEqual(runtime["settings"]["keep_alive"], "7m")
        self.assertEqual(runtime["settings_from"]["num_ctx"], "OLLAMA_NUM_CTX")
        # The same in every request, that of loading included: Ollama loads again for other options.
        bodies = [request.body for request in self.server.loads] + [g.body for g in self.server.generations]
        self.assertEqual(len(bodies), 2 + 2 + 2)  # loading it, and asking for it once it is there
        for body in bodies:
            self.assertEqual({key: body["options"][key] for key in wanted}, wanted)
            self.assertEqual(body["keep_alive"], "7m")
        self.assertIn("context 8192", done.out)

    def test_one_option_reads_as_in_the_contract(self):
        done = self.expect(self.quick(env={"OLLAMA_NUM_CTX": "4096"}), 0)
        self.assertIn("\nOptions: num_ctx 4096 (OLLAMA_NUM_CTX)\n", done.out)

    def test_keep_alive_in_seconds_is_a_number(self):
        self.expect(self.quick(env={"OLLAMA_KEEP_ALIVE": "-1"}), 0)
        self.assertEqual(self.server.measured[0].body["keep_alive"], -1)

    def test_flags_win_over_the_environment(self):
        self.expect(self.quick("--num-ctx", "1024", env={"OLLAMA_NUM_CTX": "8192"}), 0)
        self.assertEqual(self.server.measured[0].body["options"]["num_ctx"], 1024)

    def test_no_option_that_nobody_asked_for(self):
        self.expect(self.quick(env={"OLLAMA_NUM_CTX": ""}), 0)
        self.assertEqual(set(self.server.measured[0].body["options"]), {"num_predict", "temperature", "seed"})
        self.assertNotIn("keep_alive", self.server.measured[0].body)

    def test_reload_measures_the_loading(self):
        self.server.loaded = {"llama3.2:3b": 4096}
        done = self.expect(self.quick("--reload", "-o", self.results), 0)
        self.assertEqual(len(self.server.unloads), 1)
        self.assertEqual(len(self.server.loads), 2)  # the second finds it in memory
        self.assertIn("load_resident_ms", self.valid_results()[0]["velollm"]["measured"])
        self.assertRegex(done.out, r"(?m)^Loading model\.\.\. \d+\.\ds, warm-up 2 requests$")
        self.assertGreater(self.valid_results()[0]["velollm"]["measured"]["load_ms"]["median"], 0)

    def test_a_resident_model_has_no_load_time(self):
        self.server.loaded = {"llama3.2:3b": 4096}
        self.expect(self.quick("-o", self.results), 0)
        velollm = self.valid_results()[0]["velollm"]
        self.assertNotIn("load_ms", velollm["measured"])
        self.assertTrue(velollm["absent"]["load_ms"])
        self.assertEqual(self.server.unloads, [])


class WhichServer(CliTest):
    WORDS = ("benchmark", "--prompt", "x", "--max-tokens", "3", "--iterations", "1")

    def test_ollama_url(self):
        server = self.serve(Ollama())
        self.expect(self.velollm(*self.WORDS, "--ollama-url", server.url), 0)
        self.assertEqual(len(server.measured), 1)

    def test_url_wins_over_ollama_host(self):
        server = self.serve(Ollama())
        self.expect(self.velollm(*self.WORDS, "--url", server.url, env={"OLLAMA_HOST": "127.0.0.1:1"}), 0)
        self.assertEqual(len(server.measured), 1)

    def test_every_form_of_ollama_host(self):
        for form in ("127.0.0.1:{}", "localhost:{}", ":{}", "{}", "0.0.0.0:{}", "http://127.0.0.1:{}", "http://127.0.0.1:{}/",
                     "http://0.0.0.0:{}", '"127.0.0.1:{}"', " 127.0.0.1:{} ", "HTTP://127.0.0.1:{}"):
            with self.subTest(form), Ollama() as server:
                done = self.velollm(*self.WORDS, env={"OLLAMA_HOST": form.format(server.port)})
                self.expect(done, 0)
                self.assertEqual(len(server.measured), 1)

    def test_url_without_scheme(self):
        server = self.serve(Ollama())
        self.expect(self.velollm(*self.WORDS, "--url", f"127.0.0.1:{server.port}"), 0)
        self.assertEqual(len(server.measured), 1)

    def test_ipv6(self):
        server = self.serve(Ollama(family=socket.AF_INET6))
        for form in (f"[::1]:{server.port}", f"http://[::1]:{server.port}"):
            with self.subTest(form):
                done = self.expect(self.velollm(*self.WORDS, env={"OLLAMA_HOST": form}), 0)
                self.assertIn("Benchmark Summary", done.out)

    def test_a_path_in_the_address_is_kept(self):
        server = self.serve(Ollama())
        server.routes = {(method, "/proxy" + path): route for (method, path), route in server.routes.items()}
        self.expect(self.velollm(*self.WORDS, env={"OLLAMA_HOST": f"http://127.0.0.1:{server.port}/proxy/"}), 0)
        self.assertEqual([generation.path for generation in server.measured], ["/proxy/api/generate"])

    def test_a_proxy_for_the_world_is_not_asked_for_this_machine(self):
        """Ollama's own client never takes a proxy for localhost (Go's ProxyFromEnvironment)."""
        server = self.serve(Ollama())
        closed = ClosedPort()
        self.addCleanup(closed.close)
        self.expect(self.velollm(*self.WORDS, "--url", server.url, env={"http_proxy": closed.url, "HTTP_PROXY": closed.url}), 0)
        self.assertEqual(len(server.measured), 1)

    def test_model(self):
        server = self.serve(Ollama(models=["qwen3:8b"]))
        done = self.expect(self.velollm(*self.WORDS, "--url", server.url, "-m", "qwen3:8b", "-o", self.results), 0)
        self.assertIn("\nModel: qwen3:8b\n", done.out)
        self.assertEqual(server.measured[0].body["model"], "qwen3:8b")
        self.assertEqual(self.valid_results()[0]["config"]["model"], "qwen3:8b")


class Suites(BenchmarkTest):
    def names(self, path=None):
        return [element["config"]["name"] for element in self.valid_results(path)]

    def test_file(self):
        suite = self.folder / "suite.json"
        suite.write_bytes(small_suite(("one", {}), ("two", {"max_tokens": 4, "iterations": 3})))
        done = self.expect(self.benchmark("--suite", suite, "-o", self.results), 0)
        self.assertIn("\nRunning 2 benchmarks...\n", done.out)
        self.assertEqual(self.names(), ["one", "two"])
        self.assertEqual([g.body["options"]["num_predict"] for g in self.server.measured], [6, 6, 4, 4, 4])

    def test_standard_input(self):
        self.expect(self.benchmark("--suite", "-", "-o", self.results, stdin=small_suite(("piped", {}))), 0)
        self.assertEqual(self.names(), ["piped"])

    def test_name_standard(self):
        self.expect(self.benchmark("--suite", "standard", "-o", self.results, "--max-tokens", "4", "--iterations", "1"), 0)
        self.assertEqual(self.names(), [name for name, *_ in STANDARD])

    def test_a_result_file_is_a_suite(self):
        self.expect(self.benchmark("--suite", "-", "-o", self.results, stdin=small_suite(("one", {}), ("two", {}))), 0)
        again = self.folder / "again.json"
        self.expect(self.benchmark("--suite", self.results, "-o", again), 0)
        self.assertEqual([e["config"] for e in self.valid_results(again)], [e["config"] for e in self.valid_results()])

    def test_model_of_the_command_line_wins(self):
        """To measure an old file's suite with another model; --max-tokens and --iterations win in the same way."""
        self.server.models.append("other:1b")
        suite = small_suite(("one", {"model": "llama3.2:3b"}))
        self.expect(self.benchmark("--suite", "-", "-m", "other:1b", "-o", self.results, stdin=suite), 0)
        self.assertEqual(self.valid_results()[0]["config"]["model"], "other:1b")

    def test_models_of_a_suite(self):
        self.server.models.append("other:1b")
        suite = small_suite(("one", {}), ("two", {"model": "other:1b"}), ("three", {"model": "llama3.2:3b"}))
        self.expect(self.benchmark("--suite", "-", "-o", self.results, stdin=suite), 0)
        self.assertEqual([e["config"]["model"] for e in self.valid_results()], ["llama3.2:3b", "other:1b", "llama3.2:3b"])

    def test_a_model_missing_later_costs_nothing_that_is_measured(self):
        suite = small_suite(("one", {}), ("two", {"model": "absent:1b"}))
        done = self.benchmark("--suite", "-", "-o", self.results, stdin=suite)
        self.assert_error(done, 4, "Model not found: absent:1b")
        self.assertEqual(self.names(), ["one"])
        self.assertIn("\none:\n  Tokens/s:", done.out)

    def test_custom(self):
        done = self.expect(self.benchmark("--prompt", "Why?", "--max-tokens", "9", "--iterations", "4", "--name", "why",
                                          "-o", self.results), 0)
        self.assertIn("Running benchmark: why (4 iterations)\n", done.out)
        self.assertEqual(self.valid_results()[0]["config"], {"name": "why", "model": "llama3.2:3b", "prompt": "Why?",
                                                             "max_tokens": 9, "iterations": 4})


class Method(BenchmarkTest):
    """How often is asked, how the warm-up ends, and what is printed of a run that isn't to be believed."""

    def one(self, *words):
        return self.benchmark("--prompt", "Why?", "--max-tokens", "8", "-o", self.results, *words)

    def test_until_a_width_that_any_machine_reaches(self):
        done = self.one("--until", "99%")
        self.assertIn(done.code, (0, 5))
        self.assertRegex(done.out, r"\+-[\d.]+% after 10 requests|No number")
        self.assertEqual(len(self.server.measured), 10)
        self.assertEqual(self.valid_results()[0]["config"]["iterations"], 10)

    def test_until_a_width_that_none_reaches(self):
        done = self.one("--until", "0.0001%", "--force")
        self.assertEqual(len(self.server.measured), 30)
        self.assertRegex(done.out, r"after 30 requests \(0\.0001% not reached\)")

    def test_until_is_a_share(self):
        for wrong in ("0", "100%", "two", "-1%"):
            self.assert_error(self.one(f"--until={wrong}"), 2, "--until")
        self.assert_error(self.one("--until", "2%", "--runs", "5"), 2, "--until")

    def test_quick_is_one_benchmark_of_three(self):
        done = self.benchmark("--quick", "--force")
        self.assertIn("Running benchmark: short_completion (3 iterations)\n", done.out)
        self.assertIn("[quick look: no verdict]", done.out)
        self.assertEqual(len(self.server.measured), 3)

    def test_warm_up_goes_on_until_three_agree_and_ends(self):
        settings = self.folder / "none.json"
        settings.write_text("{}", encoding="utf-8")
        self.one("--config", settings, "--quiet-check", "0", "--runs", "1")
        element = self.valid_results()[0]["velollm"]
        warm_up = element["preparation"]["warm_up"]
        self.assertGreaterEqual(len(warm_up), 4)
        self.assertLessEqual(len(warm_up), 11)
        self.assertEqual(len(self.server.generations), len(warm_up) + 1)
        last = [request["ttft_ms"] for request in warm_up[-3:]]
        if element["preparation"]["warm_up_steady"]:
            self.assertLessEqual(max(last), 1.1001 * min(last))
            self.assertNotIn("not_steady", element["warnings"])
        else:
            self.assertEqual(len(warm_up), 11)
            self.assertIn("not_steady", element["warnings"])

    def test_the_idle_machine_is_watched(self):
        self.one("--quiet-check", "0.3", "--runs", "1")
        quiet = self.valid_results()[0]["velollm"]["preparation"]["quiet_check"]
        self.assertGreaterEqual(quiet["span_ms"], 250)
        self.assertGreater(quiet["hiccups"]["naps"], 10)

    def test_an_invalid_run_prints_no_number(self):
        self.server.script(3, Reply(cut_after=3, end="reset"))
        done = self.one("--runs", "3")
        self.assertEqual(done.code, 5)
        self.assertRegex(done.out, r"  No number: \[invalid: [^\n]*errors")
        self.assertNotIn("Average", done.out)
        self.server.script(len(self.server.generations) + 3, Reply(cut_after=3, end="reset"))
        done = self.one("--runs", "3", "--force")
        self.assertEqual(done.code, 5)
        self.assertIn("  Average:", done.out)


class Settings(BenchmarkTest):
    def config(self, settings, path=None):
        path = path or self.folder / "settings.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"warmup": 2, "quiet-check": 0} | settings), encoding="utf-8")
        return path

    def test_file_and_flags(self):
        path = self.config({"max-tokens": 5, "iterations": 2, "prompt": "from the file", "url": self.server.url})
        self.expect(self.velollm("benchmark", "--config", path, "--max-tokens", "7"), 0)
        self.assertEqual([g.body["options"]["num_predict"] for g in self.server.measured], [7, 7])

    def test_form_with_equals_and_switches(self):
        path = self.config({"quiet": True, "ascii": True, "reload": False})
        done = self.expect(self.quick(f"--config={path}"), 0)
        self.assertIn("Benchmark Summary", done.out)
        self.assertNotIn("Iteration", done.out)
        self.assertTrue(done.out.isascii())
        self.assertEqual(self.server.unloads, [])

    def test_velollm_json_of_the_user(self):
        self.config({"seed": 99}, self.folder / "home/config/velollm/velollm.json")
        self.expect(self.quick(), 0)
        self.expect(self.quick("--seed", "5"), 0)
        self.assertEqual([g.body["options"]["seed"] for g in self.server.generations], [99] * 4 + [5] * 4)

    def test_velollm_json_in_the_home_folder(self):
        self.config({"seed": 98}, self.folder / "home/.config/velollm/velollm.json")
        self.expect(self.quick(env={"XDG_CONFIG_HOME": None}), 0)
        self.assertEqual(self.server.measured[0].body["options"]["seed"], 98)

    def test_url_flag_wins_over_the_files_ollama_url(self):
        path = self.config({"ollama-url": "http://127.0.0.1:1"})
        self.expect(self.quick("--config", path), 0)
        self.assertEqual(len(self.server.measured), 2)

    def test_prompt_flag_wins_over_the_files_suite(self):
        path = self.config({"suite": "standard"})
        self.expect(self.quick("--config", path, "-o", self.results), 0)
        self.assertEqual(len(self.valid_results()), 1)

    def test_backend_flag_wins_over_the_files_ollama_url(self):
        path = self.config({"ollama-url": self.server.url})
        done = self.velollm("benchmark", "--config", path, "-b", "embedded", "-m", self.folder / "none.gguf")
        self.assert_error(done, 4, "none.gguf")  # the backend is taken; only the model is missing

    def test_unknown_setting(self):
        path = self.config({"max_tokens": 5})
        self.assert_error(self.quick("--config", path), 2, "max_tokens")

    def test_bad_value_is_told_with_its_name(self):
        path = self.config({"max-tokens": "many"})
        self.assert_error(self.benchmark("--config", path), 2, "max-tokens")

    def test_missing_and_broken_file(self):
        self.assert_error(self.quick("--config", self.folder / "none.json"), 2, "none.json")
        path = self.folder / "broken.json"
        path.write_text("{", encoding="utf-8")
        self.assert_error(self.quick("--config", path), 2, "broken.json")


if __name__ == "__main__":
    unittest.main()
