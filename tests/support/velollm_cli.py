"""What the end-to-end tests of the program share: running it, reading what it left behind, recomputing its numbers."""

import dataclasses
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

BINARY = os.environ["VELOLLM_BINARY"]
SCHEMA_CHECK = os.environ["VELOLLM_SCHEMA_CHECK"]
SOURCE = Path(os.environ["VELOLLM_SOURCE_DIR"])
RESULT_SCHEMA = SOURCE / "schema/velollm-result-1.schema.json"
TRACES = SOURCE / "tests/traces"

STANDARD = [  # name, prompt, tokens, iterations: docs of the original guide
    ("short_completion", "Write a hello world program in Python", 50, 5),
    ("medium_completion", "Explain how neural networks learn through backpropagation in detail", 150, 3),
    ("code_generation", "Write a Rust function to compute the Fibonacci sequence using dynamic programming", 200, 3),
]

# Set by sanitizers and coverage runs; everything else of the caller's environment stays outside.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
             "LLVM_PROFILE_FILE", "GCOV_PREFIX", "GCOV_PREFIX_STRIP")


@dataclasses.dataclass
class Finished:
    code: int
    out: str
    err: str
    max_rss_kib: int
    cpu_seconds: float  # of the process itself: other programs' work isn't in it

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Running:
    """A program on its way. Its output is read by threads, so that it never waits for us."""

    def __init__(self, words, environment, stdin=None, folder=None):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [BINARY, *words], env=environment, cwd=folder, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._out, self._err = bytearray(), bytearray()
        self._news = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=(stream, into), daemon=True)
                         for stream, into in ((self.process.stdout, self._out), (self.process.stderr, self._err))]
        for reader in self._readers:
            reader.start()
        self._usage = None
        if stdin is not None:
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def _read(self, stream, into):
        while data := os.read(stream.fileno(), 65536):
            with self._news:
                into.extend(data)
                self._news.notify_all()

    def wait_for(self, text, seconds=60.0):
        """Waits until the program has printed `text`, to either stream."""
        with self._news:
            if not self._news.wait_for(lambda: text.encode() in self._out or text.encode() in self._err, seconds):
                raise AssertionError(f"{text!r} never came; stdout: {self._out.decode(errors='replace')}\n"
                                     f"stderr: {self._err.decode(errors='replace')}")

    def signal(self, number):
        os.kill(self.process.pid, number)

    def ended(self) -> bool:
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def finish(self, seconds=30.0) -> Finished:
        """Waits for the end; a program that is late is killed, and that is an error."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            if self.process.returncode is None:
                _, status, self._usage = os.wait4(self.process.pid, 0)
                self.process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            in_time = timer.is_alive()
            timer.cancel()
        for reader in self._readers:
            reader.join(seconds)
        self.process.stdout.close()
        self.process.stderr.close()
        done = Finished(self.process.returncode, self._out.decode("utf-8", "surrogateescape"),
                        self._err.decode("utf-8", "surrogateescape"), self._usage.ru_maxrss,
                        self._usage.ru_utime + self._usage.ru_stime)
        if not in_time:
            raise AssertionError(f"still running after {seconds} s\n{done}")
        return done

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()
            self.finish()


class CliTest(unittest.TestCase):
    """A test with a folder of its own and a program that sees nothing of the user's settings."""

    maxDiff = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="velollm-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.results = self.folder / "results.json"
        settings = self.folder / "home" / "config" / "velollm" / "velollm.json"
        settings.parent.mkdir(parents=True)
        # A fixed number of requests to count, and no seconds spent on watching a machine whose quiet is no test's matter.
        settings.write_text('{"warmup": 2, "quiet-check": 0}')

    def environment(self, **more):
        """The child's whole environment; a value of None leaves the variable out."""
        home = self.folder / "home"
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_CACHE_HOME": str(home / "cache"),
                        "XDG_DATA_HOME": str(home / "data"), "XDG_STATE_HOME": str(home / "state"),
                        "OLLAMA_MODELS": str(home / "no-ollama-models"), "LC_ALL": "C.UTF-8",
                        # Port 1 (tcpmux): a test that forgets to name its server must not find the user's.
                        "OLLAMA_HOST": "127.0.0.1:1"}
        environment |= more
        return {name: str(value) for name, value in environment.items() if value is not None}

    def start(self, *words, env=None, stdin=None) -> Running:
        running = Running([str(word) for word in words], self.environment(**(env or {})), stdin, self.folder)
        self.addCleanup(running.kill)
        return running

    def velollm(self, *words, env=None, stdin=None, seconds=60.0) -> Finished:
        return self.start(*words, env=env, stdin=stdin).finish(seconds)

    def serve(self, server):
        self.addCleanup(server.stop)
        return server

    # ---- what must hold of every answer ----

    def expect(self, done: Finished, code: int):
        self.assertEqual(done.code, code, str(done))
        return done

    def assert_error(self, done: Finished, code: int, *parts):
        """An error as the contract has it: its first line says what, and the lines below it what to do."""
        self.expect(done, code)
        lines = done.err.splitlines()
        self.assertTrue(lines and lines[0].startswith("Error: "), str(done))
        self.assertGreaterEqual(len([line for line in lines[1:] if line.strip()]), 1, f"no word on what to do\n{done}")
        for part in parts:
            self.assertIn(part, done.err, str(done))
        self.assertNotIn("terminate called", done.err)
        return lines

    def valid_results(self, path=None) -> list:
        """The result file, which must keep to the schema."""
        path = path or self.results
        self.assertTrue(path.exists(), f"{path} was not written")
        check = subprocess.run([SCHEMA_CHECK, str(RESULT_SCHEMA), str(path)], capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertEqual(check.returncode, 0, f"{path} breaks the schema:\n{check.stdout}{check.stderr}\n"
                                              f"{path.read_text(encoding='utf-8', errors='replace')[:3000]}")
        results = json.loads(path.read_text(encoding="utf-8"))
        for element in results:
            self.check_original_keys(element)
        return results

    def check_original_keys(self, element):
        """The keys of the original guide, recomputed from the samples of the same file."""
        counted = counted_samples(element)
        if not counted:
            self.assertIsNone(element["prompt_eval_count"])
            self.assertIsNone(element["eval_count"])
            return
        n = len(counted)
        seconds = [sample["done_ns"] / 1e9 for sample in counted]
        tokens = [sample["output_tokens"] for sample in counted]
        self.assertAlmostEqual(element["tokens_per_second"], statistics.fmean(t / s for t, s in zip(tokens, seconds)), 3)
        self.assertAlmostEqual(element["time_to_first_token_ms"],
                               statistics.fmean(sample["event_ns"][0] / 1e6 for sample in counted), 3)
        self.assertAlmostEqual(element["total_time_ms"], sum(seconds) * 1e3, 2)
        self.assertEqual(element["total_tokens"], sum(tokens))
        self.assertEqual(element["eval_count"], sum(tokens) // n)
        self.assertEqual(element["prompt_eval_count"], sum(sample["prompt_tokens"] for sample in counted) // n)
        speeds = [speed for speed in map(decode_speed, counted) if speed is not None]
        if speeds:
            decode = element["velollm"]["measured"]["decode_tps"]
            self.assertEqual(decode["n"], len(speeds))
            self.assertAlmostEqual(decode["median"], statistics.median(speeds), delta=1e-4)

    def check_against_server(self, element):
        """Client's and engine's own clock agree within 2 %, or the result says that they don't."""
        ratios = []
        for sample in counted_samples(element):
            speed = decode_speed(sample)
            self.assertGreater(sample["server_eval_ns"], 0)
            if speed is not None and sample["output_tokens"] > 1:
                ratios.append(speed / ((sample["output_tokens"] - 1) / sample["server_eval_ns"] * 1e9))
        self.assertIn("server_decode_tps", element["velollm"]["measured"])
        gap = abs(statistics.median(ratios) - 1)
        told = "client_server_mismatch" in element["velollm"]["warnings"]
        if not 0.0199 < gap < 0.0201:
            self.assertEqual(told, gap > 0.02, f"gap {gap:.4f}, warnings {element['velollm']['warnings']}")

    def no_litter(self):
        """No temporary file stays behind."""
        self.assertEqual([path.name for path in self.folder.iterdir() if ".tmp" in path.name], [])


def counted_samples(element) -> list:
    return [sample for sample in element["velollm"]["samples"] if sample["counted"]]


def decode_speed(sample):
    """(n - k1 - h) / (t_L - t_1): tokens after the first event, by the time after the first event."""
    times = sample["event_ns"]
    first = (sample.get("event_tokens") or [1])[0] or 1
    tokens = sample["output_tokens"] - first - sample.get("hidden_tokens", 0)
    if len(times) < 2 or times[-1] <= times[0] or tokens < 1:
        return None
    return tokens / (times[-1] - times[0]) * 1e9


def jq(*words, stdin=None) -> str:
    return subprocess.run(["jq", *map(str, words)], input=stdin, capture_output=True, text=True, timeout=30,
                          check=True).stdout


def stop_process(process: subprocess.Popen):
    """Ends a server that a test started, by its id."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
