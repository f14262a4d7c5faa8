"""`velollm doctor` with real engines in trouble: on one core, with dead variables, and with a context beyond a memory limit."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from cgroup import Group
from engines import Engine, create_model, free_port, start_llama_server, start_ollama
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

MODEL = "smollm2:135m"
MIB = 1 << 20


class OnOneCore:
    """What is started inside inherits an affinity to a single CPU."""

    def __enter__(self):
        self.all = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self.all)})

    def __exit__(self, *_):
        os.sched_setaffinity(0, self.all)


class Engines(CliTest):
    def setUp(self):
        super().setUp()
        # On a machine of one core there would be nothing to find.
        self.assertGreater(len(os.sched_getaffinity(0)), 1, "this test needs two CPUs")

    def report(self, url, *words, code=None, env=None) -> dict:
        done = self.velollm("doctor", "--json", "--url", url, *words, env=env)
        if code is not None:
            self.expect(done, code)
        path = self.folder / "report.json"
        path.write_text(done.out, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema/velollm-doctor-1.schema.json"), str(path)],
                               capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        return json.loads(done.out)

    def finding(self, report, code) -> dict:
        found = [one for one in report["findings"] if one["code"] == code]
        self.assertEqual(len(found), 1, json.dumps(report, indent=1))
        return found[0]

    def codes(self, report) -> set:
        return {one["code"] for one in report["findings"]}

    def load(self, engine, model=MODEL):
        self.assertEqual(engine.ask("POST", "/api/generate", {"model": model})[0], 200)

    def test_threads_of_llama_server(self):
        binary, model = os.environ["VELOLLM_LLAMA_SERVER"], os.environ["VELOLLM_MODEL"]
        with OnOneCore():
            server = start_llama_server(binary, model, self.folder)
        self.addCleanup(server.stop)
        report = self.report(server.url, "-b", "llamacpp", code=1)
        threads = self.finding(report, "threads")
        self.assertEqual(threads["severity"], "problem")
        self.assertTrue(threads["title"].startswith("Too many threads: the server takes"), threads)
        self.assertEqual(threads["remedy"], "Start the server with --threads 1.")
        self.assertTrue(any(one.startswith("its log says n_threads = ") for one in threads["evidence"]), threads)
        server.stop()
        with OnOneCore():
            server = start_llama_server(binary, model, self.folder, "--threads", "1", "-lv", "4")
        self.addCleanup(server.stop)
        report = self.report(server.url, "-b", "llamacpp")
        self.assertFalse({"threads", "no_simd"} & self.codes(report), report)
        self.assertNotIn("build for this processor", {one["check"] for one in report["unchecked"]})

    def test_threads_and_variables_of_ollama(self):
        binary = os.environ["VELOLLM_OLLAMA"]
        with OnOneCore():
            engine = start_ollama(binary, self.folder, OLLAMA_NUM_THREAD="1", OLLAMA_FLASH_ATTN="1")
        self.addCleanup(engine.stop)
        create_model(engine, binary, MODEL, os.environ["VELOLLM_MODEL"], self.folder)
        self.load(engine)
        report = self.report(engine.url, code=1, env={"OLLAMA_NUM_PARALLEL": "3"})
        self.assertEqual(report["model"], MODEL)
        threads = self.finding(report, "threads")
        self.assertEqual(threads["remedy"], "Start the server with LLAMA_ARG_THREADS=1.")
        dead = {one["title"] for one in report["findings"] if one["code"] == "dead_variable"}
        self.assertEqual(dead, {"OLLAMA_NUM_THREAD does nothing", "OLLAMA_FLASH_ATTN does nothing"})
        unseen = self.finding(report, "shell_variable")
        self.assertEqual(unseen["title"], "OLLAMA_NUM_PARALLEL is set in this shell, and the server never sees it")
        engine.stop()
        with OnOneCore():
            engine = start_ollama(binary, self.folder, LLAMA_ARG_THREADS="1")
        self.addCleanup(engine.stop)
        self.load(engine)
        after = self.codes(self.report(engine.url, env={"LLAMA_ARG_THREADS": "1"}))
        self.assertFalse({"threads", "dead_variable", "shell_variable", "not_in_force", "no_simd"} & after, after)

    def test_the_wrong_port(self):
        engine = start_ollama(os.environ["VELOLLM_OLLAMA"], self.folder)
        self.addCleanup(engine.stop)
        done = self.expect(self.velollm("doctor", "--json", "--quick"), 1)  # asks port 1
        wrong = self.finding(json.loads(done.out), "server_elsewhere")
        self.assertRegex(wrong["title"], r"^Nothing listens at http://127\.0\.0\.1:1, but Ollama does at http://127\.0\.0\.1:\d+$")
        self.assertRegex(wrong["command"], r"^velollm doctor -b ollama --url http://127\.0\.0\.1:\d+$")

    def test_a_prompt_that_ollama_cuts(self):
        binary = os.environ["VELOLLM_OLLAMA"]
        engine = start_ollama(binary, self.folder, OLLAMA_CONTEXT_LENGTH="512")
        self.addCleanup(engine.stop)
        create_model(engine, binary, MODEL, os.environ["VELOLLM_MODEL"], self.folder)
        words = " ".join(f"word{i}" for i in range(600))
        status, _ = engine.ask("POST", "/api/generate", {"model": MODEL, "prompt": words, "raw": True, "stream": False,
                                                         "options": {"num_predict": 1}}, 120)
        self.assertEqual(status, 200)
        report = self.report(engine.url)
        self.assertIn("context 512", self.finding(report, "context_short")["evidence"][0])
        self.assertRegex(self.finding(report, "prompt_truncated")["evidence"][0], r"the last one: \d+ tokens, cut to \d+")

    def test_a_context_beyond_a_memory_limit(self):
        limit = 256 * MIB
        group = Group.make("memory", {"memory.limit_in_bytes": limit}, {"memory.max": limit})
        if group is None:
            print("no memory group may be made here", file=sys.stderr)
            return
        self.addCleanup(group.remove)
        port = free_port()
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        server = Engine(group.words([os.environ["VELOLLM_LLAMA_SERVER"], "-m", os.environ["VELOLLM_MODEL"], "--host",
                                     "127.0.0.1", "--port", port, "-c", "8192"]), environment, port, "/health", self.folder)
        self.addCleanup(server.stop)
        report = self.report(server.url, "-b", "llamacpp", code=1)
        spill = self.finding(report, "context_spill")
        self.assertRegex(spill["title"], r"^A context of 8192 doesn't fit the memory; \d+ does$")
        self.assertIn("the cgroup of the server has a limit of 256 MiB", spill["evidence"])


if __name__ == "__main__":
    unittest.main()
