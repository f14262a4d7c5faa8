"""What `velollm benchmark` says when something goes wrong: the message, what to do, the exit code, and what is saved."""

import contextlib
import json
import os
import shutil
import signal
import ssl
import stat
import struct
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from scripted_server import Babble, ClosedPort, Mute, Ollama, Reply, Server, Slammer
from velollm_cli import STANDARD, CliTest, counted_samples

MODEL = Path(os.environ["VELOLLM_MODEL"])
SHORT = ("--prompt", "Say hello", "--max-tokens", "6", "--iterations", "3")
# An answer to a person who waits; the slowest honest one is the 5 s limit of a first contact.
SOON = 12


class ErrorTest(CliTest):
    def ollama(self, **more):
        server = self.serve(Ollama(**more))
        server.reply = Reply(eval_ns=None)
        return server

    def against(self, server, *words, **more):
        return self.velollm("benchmark", "--url", server.url, *(words or SHORT), **more)


class Connecting(ErrorTest):
    def test_nothing_listens(self):
        port = ClosedPort()
        self.addCleanup(port.close)
        for words, env in ((("--url", port.url), {}), (("--ollama-url", port.url), {}), ((), {"OLLAMA_HOST": port.url})):
            with self.subTest(words):
                done = self.velollm("benchmark", *words, env=env, seconds=SOON)
                lines = self.assert_error(done, 3, "ollama serve", "systemctl status ollama", "velollm benchmark -b embedded")
                self.assertEqual(lines[0], f"Error: Ollama is not running at {port.url}")
                self.assertIn("Checking Ollama availability... ✗", done.out)

    def test_address_as_the_guide_writes_it(self):
        port = ClosedPort()
        self.addCleanup(port.close)
        done = self.velollm("benchmark", env={"OLLAMA_HOST": f":{port.port}"}, seconds=SOON)
        self.assertEqual(done.err.splitlines()[0], f"Error: Ollama is not running at http://localhost:{port.port}")

    def test_nothing_listens_for_llamacpp(self):
        port = ClosedPort()
        self.addCleanup(port.close)
        done = self.velollm("benchmark", "-b", "llamacpp", "--url", port.url, seconds=SOON)
        lines = self.assert_error(done, 3, "llama-server -m")
        self.assertEqual(lines[0], f"Error: llama-server is not running at {port.url}")

    def test_json_output_stays_empty(self):
        port = ClosedPort()
        self.addCleanup(port.close)
        done = self.velollm("benchmark", "--url", port.url, "-o", "-", seconds=SOON)
        self.assert_error(done, 3, "not running")
        self.assertEqual(done.out, "")

    def test_host_without_an_address(self):
        done = self.velollm("benchmark", "--url", "http://no-such-host.invalid:11434", seconds=SOON)
        self.assert_error(done, 3, "no-such-host.invalid")

    def test_addresses_that_are_none(self):
        for url in ("ftp://localhost:1", "http://", "http://localhost:99999", "http://a b:1", "http://user@localhost:1"):
            with self.subTest(url):
                self.assert_error(self.velollm("benchmark", "--url", url, seconds=SOON), 2)

    def test_a_web_page(self):
        server = self.serve(Server())
        page = "<!DOCTYPE html>\n<html><head><title>Router</title></head></html>"
        for status in (200, 404, 500):
            with self.subTest(status):
                for path in ("/api/version", "/health"):
                    server.routes[("GET", path)] = lambda e, status=status: e.answer(status, page, "text/html")
                self.assert_error(self.against(server, seconds=SOON), 1, "Not an Ollama server", server.url, str(status))

    def test_a_404_and_an_empty_body(self):
        server = self.serve(Server())
        self.assert_error(self.against(server, seconds=SOON), 1, "Not an Ollama server", "404")
        server.routes[("GET", "/api/version")] = lambda e: e.answer(200, "")
        self.assert_error(self.against(server, seconds=SOON), 1, "Not an Ollama server")

    def test_bytes_that_are_not_http(self):
        for data in (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", b"\x00\x01\x02\xff\xfe" * 20, b"220 mail ESMTP ready\r\n", b""):
            with self.subTest(data[:8]), Babble(data) as server:
                done = self.against(server, seconds=SOON)
                self.assertIn(done.code, (1, 3))
                self.assert_error(done, done.code, server.url)

    def test_https_to_a_plain_port(self):
        server = self.ollama()
        done = self.velollm("benchmark", "--url", f"https://127.0.0.1:{server.port}", seconds=SOON)
        self.assertIn(done.code, (1, 3))
        self.assert_error(done, done.code, f"https://127.0.0.1:{server.port}", "http://")

    def test_plain_http_to_a_tls_port(self):
        # What a TLS server answers to a plain request: the alert "unexpected message".
        server = self.serve(Babble(b"\x15\x03\x01\x00\x02\x02\x0a"))
        done = self.against(server, seconds=SOON)
        self.assertIn(done.code, (1, 3))
        self.assert_error(done, done.code, server.url)

    def test_certificate_that_nobody_signed(self):
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True, timeout=60)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        class TlsOllama(Ollama):
            def _serve(self, connection):
                with contextlib.suppress(OSError):  # the program refuses the certificate
                    super()._serve(context.wrap_socket(connection, server_side=True))

        server = self.serve(TlsOllama())
        url = f"https://127.0.0.1:{server.port}"
        done = self.velollm("benchmark", "--url", url, *SHORT, seconds=SOON)
        self.assertIn(done.code, (1, 3))
        self.assert_error(done, done.code, url, "SSL_CERT_FILE")
        # The remedy that the message names works.
        self.expect(self.velollm("benchmark", "--url", url, *SHORT, env={"SSL_CERT_FILE": str(certificate)}), 0)

    def test_a_server_that_never_answers(self):
        server = self.serve(Mute())
        done = self.against(server, seconds=SOON)
        self.assertIn(done.code, (1, 3))
        self.assert_error(done, done.code, server.url)

    def test_a_server_that_resets_every_connection(self):
        server = self.serve(Slammer())
        done = self.against(server, seconds=SOON)
        self.assertIn(done.code, (1, 3))
        self.assert_error(done, done.code, server.url)

    def test_llama_server_is_recognised(self):
        server = self.serve(Server())
        server.routes[("GET", "/health")] = lambda e: e.answer(200, {"status": "ok"})
        self.assert_error(self.against(server, seconds=SOON), 1, "Not an Ollama server",
                          f"velollm benchmark -b llamacpp --url {server.url}")

    def test_ollama_behind_llamacpp(self):
        server = self.ollama()
        done = self.velollm("benchmark", "-b", "llamacpp", "--url", server.url, seconds=SOON)
        self.assert_error(done, 1, "Not a llama-server", "-b ollama")

    def test_an_endless_answer(self):
        """A first answer that never stops must not fill the memory."""
        server = self.serve(Server())

        def pour(exchange):
            exchange.begin(content_type="application/json")
            for _ in range(64):
                exchange.chunk(b"x" * (1 << 20))
            exchange.end()

        server.routes[("GET", "/api/version")] = pour
        done = self.against(server, seconds=SOON)
        self.assert_error(done, 1)
        self.assertLess(done.max_rss_kib, 100 * 1024)

    def test_no_escape_sequence_of_a_server_reaches_the_terminal(self):
        server = self.serve(Server())
        evil = "\x1b]0;owned\x07\x1b[2J\u009b31m"
        server.routes[("GET", "/api/version")] = lambda e: e.answer(500, {"error": evil})
        done = self.against(server, seconds=SOON)
        self.assert_error(done, 1, "owned")
        for code in ("\x1b", "\x07", "\u009b"):
            self.assertNotIn(code, done.out + done.err)


class Models(ErrorTest):
    def test_missing(self):
        server = self.ollama(models=["nomic-embed-text:v1.5", "llama3.1:8b", "llama3.2:1b", "qwen3:8b", "llama3:8b"])
        done = self.against(server, seconds=SOON)
        lines = self.assert_error(done, 4, "ollama pull llama3.2:3b", "llama3.2:1b")
        self.assertEqual(lines[0], "Error: Model not found: llama3.2:3b")
        self.assertEqual(server.generations, [])
        self.assertLess(done.err.index("llama3.2:1b"), done.err.index("llama3.1:8b"))  # the nearest first
        self.assertNotIn("nomic-embed-text", done.err)  # and not all of them

    def test_missing_where_there_are_none(self):
        server = self.ollama(models=[])
        lines = self.assert_error(self.against(server, "-m", "qwen3:8b", seconds=SOON), 4, "ollama pull qwen3:8b")
        self.assertEqual(lines[0], "Error: Model not found: qwen3:8b")

    def test_out_of_memory_while_loading(self):
        server = self.ollama()
        text = "model requires more system memory (9.9 GiB) than is available (3.1 GiB)"
        server.load_answer = (500, {"error": text})
        self.assert_error(self.against(server, seconds=SOON), 1, text, "smaller")
        self.assertEqual(server.generations, [])

    def test_error_while_loading(self):
        server = self.ollama()
        server.load_answer = (500, {"error": "llama runner process has terminated: exit status 2"})
        self.assert_error(self.against(server, seconds=SOON), 1, "llama runner process has terminated")

    def test_error_nested_as_ollama_0_32_does_it(self):
        server = self.ollama()
        inner = json.dumps({"error": {"code": 400, "message": "request (612 tokens) exceeds the available context size (512)"}})
        server.routes[("POST", "/api/generate")] = lambda e: e.answer(400, {"error": inner})
        done = self.assert_error(self.against(server, seconds=SOON), 1, "exceeds the available context size", "--num-ctx")
        self.assertNotIn('{"error"', done[0])

    def test_a_load_that_never_ends(self):
        """--timeout bounds every request of a run; the default is long enough for the largest model."""
        server = self.ollama()
        server.load_gate = server.gate()
        done = self.against(server, *SHORT, "--timeout", "1", seconds=SOON)
        self.assertIn(done.code, (1, 3))
        self.assert_error(done, done.code, server.url)

    def test_generations_that_never_begin(self):
        server = self.ollama()
        gate = server.gate()
        server.reply = Reply(gate=gate)
        done = self.against(server, *SHORT, "--timeout", "0.3", seconds=SOON)
        self.assert_error(done, 1, "time-out")


class Iterations(ErrorTest):
    """One request goes wrong, and what that does to the rest. Generation 2 is the first measured one."""

    def fails(self, reply, *words, index=3, iterations=30, **more):
        server = self.ollama()
        server.script(index, reply)
        self.server = server
        done = self.against(server, "--prompt", "x", "--max-tokens", "6", "--iterations", str(iterations), "-o",
                            self.results, *words, **more)
        self.element = self.valid_results()[0]
        return done

    def check_one_of_many(self, done, outcome, *reasons):
        """One of thirty: told, counted, in no average, and the run is good all the same."""
        self.expect(done, 0)
        line = next(line for line in done.out.splitlines() if line.startswith("  Iteration 2/30... "))
        self.assertTrue(line.startswith("  Iteration 2/30... failed: "), line)
        for reason in reasons:
            self.assertIn(reason, line)
        self.assertEqual(done.out.count("failed:"), 1)
        velollm = self.element["velollm"]
        self.assertEqual(velollm["errors"]["requests"], 30)
        self.assertEqual(velollm["errors"]["failed"], 1)
        self.assertEqual(velollm["samples"][1]["outcome"], outcome)
        self.assertEqual(len(counted_samples(self.element)), 29)
        self.assertEqual(self.element["total_tokens"], 29 * 6)
        self.assertEqual(velollm["status"], "ok")
        self.assertIn("errors", velollm["warnings"])
        self.assertRegex(done.out, r"(?m)^  custom: errors: 1 of 30 requests failed\n    \S")

    def test_reset_in_the_middle(self):
        self.check_one_of_many(self.fails(Reply(cut_after=3, end="reset")), "truncated")

    def test_reset_before_the_first_token(self):
        self.check_one_of_many(self.fails(Reply(cut_after=0, end="reset")), "error")

    def test_connection_closed_in_the_middle(self):
        self.check_one_of_many(self.fails(Reply(cut_after=3, end="close")), "truncated")

    def test_silent_end(self):
        self.check_one_of_many(self.fails(Reply(cut_after=3, end="silence")), "truncated", "without its final record")

    def test_error_inside_the_stream(self):
        self.check_one_of_many(self.fails(Reply(cut_after=3, end="error", error="CUDA error: out of memory")), "error",
                               "CUDA error: out of memory")

    def test_rubbish_inside_the_stream(self):
        self.check_one_of_many(self.fails(Reply(cut_after=3, end="not-json")), "error")

    def test_answer_without_a_token(self):
        done = self.fails(Reply(tokens=0, done_reason="stop", eval_ns=None))
        self.check_one_of_many(done, "empty", "no token")

    def test_time_out(self):
        server = self.ollama()
        server.script(3, Reply(gate=server.gate(), gate_after=3))
        done = self.against(server, "--prompt", "x", "--max-tokens", "6", "--iterations", "30", "--timeout", "1", "-o",
                            self.results)
        self.element = self.valid_results()[0]
        self.check_one_of_many(done, "timeout", "time-out")
        self.assertEqual(self.element["velollm"]["errors"]["timeouts"], 1)

    def test_one_of_five_makes_the_run_invalid(self):
        done = self.fails(Reply(cut_after=3, end="reset"), iterations=5)
        self.expect(done, 5)
        self.assertEqual(self.element["velollm"]["status"], "invalid")
        self.assertEqual(len(counted_samples(self.element)), 4)
        self.assertIn("Results saved to", done.out)

    def test_all_fail(self):
        server = self.ollama()
        for index in range(2, 5):
            server.script(index, Reply(cut_after=2, end="error", error="runner crashed"))
        done = self.against(server, *SHORT, "-o", self.results)
        self.expect(done, 5)
        self.assertEqual(done.out.count("failed: "), 3)
        element = self.valid_results()[0]
        self.assertEqual(element["velollm"]["status"], "failed")
        self.assertEqual(element["velollm"]["errors"], {"requests": 3, "failed": 3, "timeouts": 0})
        self.assertNotIn("Average", done.out)
        self.assertEqual(element["velollm"]["measured"].keys() & {"decode_tps", "ttft_ms"}, set())

    def test_every_benchmark_fails_in_every_format(self):
        for form in ("text", "json", "csv", "md"):
            with self.subTest(form):
                server = self.ollama()
                for index in range(2, 5):
                    server.script(index, Reply(cut_after=2, end="error"))
                done = self.expect(self.against(server, *SHORT, "--format", form), 5)
                self.assertNotIn("nan", done.out.lower())

    def test_warm_up_fails(self):
        server = self.ollama()
        server.reply = Reply(cut_after=2, end="error", error="runner crashed")
        done = self.against(server, *SHORT, "-o", self.results, seconds=SOON)
        self.assert_error(done, 1, "runner crashed")
        self.assertFalse(self.results.exists())

    def test_server_goes_away_for_good(self):
        server = self.ollama()

        def vanish(exchange):
            server.stop_listening()
            exchange.reset()

        give = server.give_generate

        def route(exchange):
            if len(server.generations) == 2 + 5 + 1 and exchange.request.body.get("prompt"):  # medium_completion's second
                vanish(exchange)
            give(exchange)

        server.routes[("POST", "/api/generate")] = route
        done = self.velollm("benchmark", "--url", server.url, "-o", self.results, seconds=30)
        lines = self.assert_error(done, 3)
        self.assertEqual(lines[0], f"Error: Ollama is not running at {server.url}")
        results = self.valid_results()
        self.assertEqual([e["config"]["name"] for e in results], ["short_completion", "medium_completion"])
        self.assertEqual(results[0]["velollm"]["status"], "ok")
        self.assertEqual(results[1]["velollm"]["status"], "partial")
        self.assertEqual(len(counted_samples(results[1])), 1)
        self.assertIn("Benchmark Summary", done.out)  # what is measured is shown


class Output(ErrorTest):
    """Whether the file can be written is found out before anything is measured."""

    def refused(self, path, *parts):
        server = self.ollama()
        done = self.against(server, *SHORT, "-o", path, seconds=SOON)
        self.assert_error(done, 1, str(path), *parts)
        self.assertEqual(server.generations, [], "checked before measuring, not after")
        self.assertEqual(server.loads, [])
        return done

    def mount(self, *options) -> Path:
        """A small disk of the test's own. As another user than root, run the tests inside: unshare -rm."""
        place = self.folder / "disk"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", place], capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, f"cannot mount a tmpfs ({done.stderr.strip()}): run as root, or under unshare -rm")
        self.addCleanup(subprocess.run, ["umount", place], check=True, timeout=30)
        return place

    def test_folder_that_is_a_file(self):
        file = self.folder / "file"
        file.write_text("kept", encoding="utf-8")
        self.refused(file / "results.json")
        self.assertEqual(file.read_text(encoding="utf-8"), "kept")

    def test_folder_that_is_missing(self):
        self.refused(self.folder / "none/results.json", "mkdir -p")

    def test_a_folder(self):
        self.refused(self.folder / "home")

    def test_read_only_disk(self):
        self.refused(self.mount("ro", "size=64k") / "results.json")

    def test_full_disk(self):
        place = self.mount("size=64k")
        with contextlib.suppress(OSError), (place / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)
        self.refused(place / "results.json", "full")
        self.assertEqual([path.name for path in place.iterdir()], ["ballast"])

    def test_disk_that_fills_up_while_measuring(self):
        place = self.mount("size=64k")
        path = place / "results.json"
        path.write_text("old", encoding="utf-8")
        (place / "ballast").write_bytes(b"x" * (64 - 4 - 8) * 1024)  # room for the check, not for the results
        server = self.ollama()
        done = self.velollm("benchmark", "--url", server.url, "--prompt", "x", "--max-tokens", "600", "--iterations", "3",
                            "-o", path, seconds=30)
        self.assert_error(done, 1, str(path), "full")
        self.assertIn("Benchmark Summary", done.out)  # the work of hours isn't lost
        self.assertEqual(path.read_text(encoding="utf-8"), "old")
        self.assertEqual(sorted(path.name for path in place.iterdir()), ["ballast", "results.json"])

    def test_check_leaves_nothing_behind(self):
        port = ClosedPort()
        self.addCleanup(port.close)
        self.results.write_text("old", encoding="utf-8")
        self.assert_error(self.velollm("benchmark", "--url", port.url, "-o", self.results, seconds=SOON), 3)
        self.assertEqual(self.results.read_text(encoding="utf-8"), "old", "kept until there is something better")
        self.no_litter()


class Usage(ErrorTest):
    def test_wrong_words(self):
        for words in (("--no-such-option",), ("--iterations", "0"), ("--iterations", "many"), ("--iterations",),
                      ("--max-tokens", "-5"), ("--max-tokens", "1e3"), ("-b", "vllm-typo"), ("--format", "xml"),
                      ("--seed", "x"), ("--timeout", "0"), ("--timeout", "soon"), ("--endpoint", "tokens"),
                      ("--num-ctx", "0"), ("--num-thread", "-1"), ("surplus",)):
            with self.subTest(words):
                done = self.velollm("benchmark", *words, seconds=SOON)
                self.assert_error(done, 2, "--help")
                self.assertIn(words[0].lstrip("-"), done.err)
                self.assertEqual(done.out, "")

    def test_unknown_command(self):
        self.assert_error(self.velollm("bench", seconds=SOON), 2, "bench")

    def test_things_that_exclude_one_another(self):
        for words in (("--prompt", "x", "--suite", "standard"), ("-b", "embedded", "--url", "http://127.0.0.1:1"),
                      ("-b", "embedded", "--ollama-url", "http://127.0.0.1:1"), ("--kv-type", "q8_0")):
            with self.subTest(words):
                self.assert_error(self.velollm("benchmark", *words, seconds=SOON), 2)

    def test_options_without_effect_are_refused(self):
        """--prompt "" and a --name without --prompt would measure something else than what was asked for."""
        server = self.ollama()
        for words in (("--prompt", ""), ("--name", "mine")):
            with self.subTest(words):
                self.assert_error(self.against(server, *words, "--max-tokens", "2", "--iterations", "1", seconds=SOON), 2)

    def test_bad_values_in_the_environment(self):
        server = self.ollama()
        for name, value in (("OLLAMA_NUM_CTX", "many"), ("OLLAMA_NUM_CTX", "4k"), ("OLLAMA_NUM_CTX", "1e3"),
                            ("OLLAMA_NUM_CTX", "99999999999999999999"), ("OLLAMA_NUM_CTX", "-5"), ("OLLAMA_NUM_CTX", "0"),
                            ("OLLAMA_NUM_THREAD", "two"), ("OLLAMA_NUM_BATCH", "0x10"), ("OLLAMA_NUM_GPU", "all")):
            with self.subTest(name=name, value=value):
                self.assert_error(self.against(server, seconds=SOON, env={name: value}), 2, name, value)
        self.assertEqual(server.generations, [])

    def test_bad_suites(self):
        for text in (b"", b"{", b"[]", b"{}", b"[1]", b'[{"name": "x"}]', b'[{"prompt": ""}]', b'[{"prompt": 5}]',
                     b'[{"prompt": "x", "max_tokens": 0}]', b'[{"prompt": "x", "max_tokens": 1.5}]',
                     b'[{"prompt": "x", "iterations": "3"}]', b'[{"prompt": "x", "iteration": 3}]', b'[{"prompt": "\xff"}]',
                     b'[{"prompt": "x", "max_tokens": 99999999999999999999}]', b"\x1f\x8b\x08\x00", b"[" * 100_000):
            with self.subTest(text[:40]):
                done = self.velollm("benchmark", "--suite", "-", stdin=text, seconds=SOON)
                self.assert_error(done, 2, "standard input")

    def test_missing_suite(self):
        self.assert_error(self.velollm("benchmark", "--suite", "none.json", seconds=SOON), 2, "none.json")
        self.assert_error(self.velollm("benchmark", "--suite", self.folder, seconds=SOON), 2, str(self.folder))

    def test_colour_of_an_error(self):
        for env, coloured in (({}, False), ({"CLICOLOR_FORCE": "1"}, True), ({"CLICOLOR_FORCE": "0"}, False),
                              ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False)):
            with self.subTest(env):
                done = self.velollm("benchmark", "--suite", "none.json", env=env, seconds=SOON)
                self.assertEqual("\x1b[" in done.err, coloured, done.err)
        done = self.velollm("benchmark", "--suite", "none.json", "--no-color", env={"CLICOLOR_FORCE": "1"}, seconds=SOON)
        self.assertNotIn("\x1b", done.err)


class EmbeddedFiles(ErrorTest):
    def refused(self, model, code, *parts):
        done = self.velollm("benchmark", "-b", "embedded", "-m", model, *SHORT, "-o", self.results, seconds=SOON)
        self.assert_error(done, code, *parts)
        self.assertFalse(self.results.exists())
        return done

    def write(self, name, data) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def head(self, size) -> bytes:
        with MODEL.open("rb") as file:
            return file.read(size)

    def test_missing_file(self):
        self.write("model-q4.gguf", b"GGUF")
        self.refused(self.folder / "model-q5.gguf", 4, str(self.folder / "model-q5.gguf"), "model-q4.gguf")

    def test_missing_default_model(self):
        done = self.velollm("benchmark", "-b", "embedded", seconds=SOON)
        self.assert_error(done, 4, "scripts/setup", "-m")

    def test_name_in_no_store(self):
        self.assert_error(self.velollm("benchmark", "-b", "embedded", "-m", "llama3.2:3b", seconds=SOON), 4, "llama3.2:3b",
                          "OLLAMA_MODELS")

    def test_something_else(self):
        self.refused(self.write("notes.gguf", b"Dear diary,\n" * 50), 1, "Not a GGUF file")

    def test_a_web_page(self):
        self.refused(self.write("page.gguf", b"<!DOCTYPE html>\n<html><head><title>Login</title></head></html>"), 1, "web page",
                     "Download")

    def test_a_git_lfs_pointer(self):
        text = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 98362432\n"
        self.refused(self.write("lfs.gguf", text), 1, "LFS", "git lfs pull")

    def test_nothing_in_it(self):
        self.refused(self.write("empty.gguf", b""), 1, "empty")

    def test_a_folder(self):
        self.refused(self.folder, 1, "folder")

    def test_a_pipe(self):
        path = self.folder / "pipe.gguf"
        os.mkfifo(path)
        self.refused(path, 1, str(path))

    def test_cut_in_its_header(self):
        for size in (4, 12, 24, 100, 5000, 100_000):
            with self.subTest(size):
                self.refused(self.write("cut.gguf", self.head(size)), 1, "cut.gguf")

    def test_cut_in_its_weights(self):
        path = self.write("cut.gguf", self.head(MODEL.stat().st_size // 2))
        self.refused(path, 1, "cut.gguf", "ownload")

    def test_cut_by_one_byte(self):
        path = self.folder / "cut.gguf"
        shutil.copyfile(MODEL, path)
        os.truncate(path, MODEL.stat().st_size - 1)
        self.refused(path, 1, "cut.gguf")

    def test_corrupted_header(self):
        head = bytearray(self.head(3_000_000))
        for what, place, value in (("version", 4, struct.pack("<I", 77)), ("tensor count", 8, struct.pack("<Q", 2 ** 60)),
                                   ("key count", 16, struct.pack("<Q", 2 ** 62)), ("length of a key", 24, b"\xff" * 8),
                                   ("first key", 32, b"\xff" * 16)):
            with self.subTest(what):
                broken = bytearray(head)
                broken[place:place + len(value)] = value
                done = self.refused(self.write("broken.gguf", bytes(broken)), 1, "broken.gguf")
                self.assertLess(done.max_rss_kib, 200 * 1024)

    def test_bytes_flipped_all_over_the_header(self):
        """Nothing that a broken download holds ends the program without a message."""
        head = self.head(60_000)
        rest = MODEL.stat().st_size - len(head)
        for place in range(24, 2000, 131):
            broken = bytearray(head)
            broken[place] ^= 0xff
            path = self.write("flipped.gguf", bytes(broken))
            os.truncate(path, len(head) + rest // 100)  # too short for its weights: never a good file
            with self.subTest(place):
                self.refused(path, 1, "flipped.gguf")


class Interrupting(ErrorTest):
    """Ctrl-C: what is measured is printed and saved; a second one ends the program at once."""

    PROMPT = 3  # seconds that a user waits before he presses again

    def stuck(self, index, *words, after=3):
        """A program whose generation number `index` has come to a standstill after some tokens."""
        server = self.ollama()
        gate = server.gate()
        server.script(index, Reply(gate=gate, gate_after=after))
        running = self.start("benchmark", "--url", server.url, "-o", self.results, *words)
        self.assertTrue(gate.reached.wait(60))
        return running

    def check_stopped(self, running, number=signal.SIGINT):
        running.signal(number)
        begin = time.monotonic()
        done = running.finish(self.PROMPT * 2)
        self.expect(done, 130)
        self.assertLess(time.monotonic() - begin, self.PROMPT, "the first signal is enough")
        return done

    def test_in_an_iteration(self):
        running = self.stuck(2 + 5 + 2)  # the third request of medium_completion
        done = self.check_stopped(running)
        self.assertIn("  Iteration 3/3... stopped\n", done.out)
        self.assertIn("Benchmark Summary", done.out)
        self.assertIn(f"Results saved to {self.results}", done.out)
        results = self.valid_results()
        self.assertEqual([e["config"]["name"] for e in results], ["short_completion", "medium_completion"])
        self.assertEqual([e["velollm"]["status"] for e in results], ["ok", "partial"])
        self.assertEqual(len(counted_samples(results[1])), 2)
        self.assertEqual(results[1]["config"]["iterations"], STANDARD[1][3])
        self.assertEqual(results[1]["velollm"]["errors"]["failed"], 0, "stopping is no failure")
        self.no_litter()

    def test_sigterm_and_sighup(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                self.check_stopped(self.stuck(2 + 1, *SHORT), number)
                element = self.valid_results()[0]
                self.assertEqual(element["velollm"]["status"], "partial")
                self.assertEqual(len(counted_samples(element)), 1)

    def test_in_the_first_iteration(self):
        done = self.check_stopped(self.stuck(2, *SHORT))
        self.assertNotIn("nan", done.out)
        for element in self.valid_results() if self.results.exists() else []:
            self.assertEqual(element["velollm"]["status"], "partial")

    def test_in_the_first_iteration_of_the_second_benchmark(self):
        self.check_stopped(self.stuck(2 + 5))
        results = self.valid_results()
        self.assertEqual(results[0]["velollm"]["status"], "ok")
        for element in results[1:]:
            self.assertEqual(element["velollm"]["status"], "partial", "stopped by the user, not failed")

    def test_in_the_warm_up(self):
        self.check_stopped(self.stuck(1, *SHORT))
        self.assertFalse(self.results.exists())

    def test_before_the_first_token(self):
        self.check_stopped(self.stuck(3, *SHORT, after=0))
        self.assertEqual(len(counted_samples(self.valid_results()[0])), 1)

    def test_with_json_on_standard_output(self):
        server = self.ollama()
        gate = server.gate()
        server.script(3, Reply(gate=gate, gate_after=3))
        running = self.start("benchmark", "--url", server.url, *SHORT, "-o", "-")
        self.assertTrue(gate.reached.wait(60))
        done = self.check_stopped(running)
        path = self.folder / "stdout.json"
        path.write_text(done.out, encoding="utf-8")
        self.assertEqual(self.valid_results(path)[0]["velollm"]["status"], "partial")

    def loading(self):
        server = self.ollama()
        server.load_gate = server.gate()
        running = self.start("benchmark", "--url", server.url, "-o", self.results)
        self.assertTrue(server.load_gate.reached.wait(30))
        return running

    def test_while_the_model_loads(self):
        done = self.check_stopped(self.loading())
        self.assertFalse(self.results.exists())
        self.assertNotIn("Average", done.out)

    def test_while_the_server_is_asked_its_version(self):
        server = self.serve(Mute())
        running = self.start("benchmark", "--url", server.url)
        self.wait_for_request(server)
        self.check_stopped(running)

    def wait_for_request(self, server):
        waiting = threading.Event()
        for _ in range(3000):
            if server.requests:
                return
            waiting.wait(0.01)
        self.fail("no request came")

    def test_second_signal_ends_at_once(self):
        running = self.loading()
        running.signal(signal.SIGINT)
        waiting = threading.Event()
        for _ in range(100):  # it may well be gone after the first
            if running.ended():
                break
            waiting.wait(0.01)
        begin = time.monotonic()
        running.signal(signal.SIGINT)
        done = running.finish(20)
        self.assertIn(done.code, (130, -signal.SIGINT), str(done))
        self.assertLess(time.monotonic() - begin, self.PROMPT)

    def test_two_signals_at_once(self):
        running = self.stuck(3, *SHORT)
        running.signal(signal.SIGINT)
        running.signal(signal.SIGINT)
        done = running.finish(20)
        self.assertIn(done.code, (130, -signal.SIGINT), str(done))
        if self.results.exists():
            self.valid_results()

    def test_ignored_signals_stay_ignored(self):
        """Under nohup a hang-up doesn't end the run."""
        server = self.ollama()
        gate = server.gate()
        server.script(3, Reply(eval_ns=None, gate=gate, gate_after=3))
        previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by the child, as nohup has it
        try:
            running = self.start("benchmark", "--url", server.url, *SHORT, "-o", self.results)
        finally:
            signal.signal(signal.SIGHUP, previous)
        self.assertTrue(gate.reached.wait(60))
        running.signal(signal.SIGHUP)
        gate.open.set()
        self.expect(running.finish(20), 0)
        self.assertEqual(self.valid_results()[0]["velollm"]["status"], "ok")


class Permissions(ErrorTest):
    def test_results_are_readable_like_any_new_file(self):
        server = self.ollama()
        previous = os.umask(0o022)
        try:
            self.expect(self.against(server, *SHORT, "-o", self.results), 0)
        finally:
            os.umask(previous)
        self.assertEqual(stat.S_IMODE(self.results.stat().st_mode), 0o644)


if __name__ == "__main__":
    unittest.main()
