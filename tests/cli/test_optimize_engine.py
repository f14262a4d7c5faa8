"""`velollm optimize` with real engines that were started on one core: it names it, writes the change, and proves it."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import create_model, start_llama_server, start_ollama
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

MODEL = "smollm2:135m"


class OnOneCore:
    """What is started inside inherits an affinity to a single CPU."""

    def __enter__(self):
        self.all = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self.all)})

    def __exit__(self, *_):
        os.sched_setaffinity(0, self.all)


def sourced(script: Path) -> dict:
    """The variables that a shell has after sourcing the file, as the guide tells to."""
    done = subprocess.run(["bash", "-c", f"source {script} && env -0"], capture_output=True, text=True, timeout=10, check=True,
                          env={"PATH": os.environ["PATH"]})
    entries = (entry.partition("=") for entry in done.stdout.split("\0") if entry)
    return {name: value for name, _, value in entries if name.startswith(("OLLAMA_", "LLAMA_ARG_"))}


class Bound:
    """What the tests share."""

    def setUp(self):
        super().setUp()
        self.script = self.folder / "velollm.sh"
        # On a machine of one core there would be nothing to find.
        self.assertGreater(len(os.sched_getaffinity(0)), 1, "this test needs two CPUs")

    def optimize(self, url, *words):
        return self.velollm("optimize", "--url", url, *words)

    def rule(self, url, *words) -> list:
        """The changes by R1, of a plan that keeps to its schema."""
        path = self.folder / "plan.json"
        path.write_text(self.expect(self.optimize(url, "--json", *words), 0).out, encoding="utf-8")
        done = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema/velollm-plan-1.schema.json"), str(path)], capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        plan = json.loads(path.read_text(encoding="utf-8"))
        return [change for finding in plan["findings"] if finding["rule"] == "R1" for change in finding["changes"]]

    def started(self, binary, **variables):
        with OnOneCore():
            engine = start_ollama(binary, self.folder, **variables)
        self.addCleanup(engine.stop)
        return engine

    def load(self, engine, model=MODEL):
        self.assertEqual(engine.ask("POST", "/api/generate", {"model": model})[0], 200)


class Engines(Bound, CliTest):
    def test_llama_server(self):
        binary, model = os.environ["VELOLLM_LLAMA_SERVER"], os.environ["VELOLLM_MODEL"]
        with OnOneCore():
            server = start_llama_server(binary, model, self.folder)
        self.addCleanup(server.stop)
        words = ("-b", "llamacpp")
        done = self.expect(self.optimize(server.url, *words), 0)
        self.assertIn("R1  Too many threads: the server takes", done.out)
        self.assertIn("1 usable thread (", done.out)
        self.assertEqual(self.rule(server.url, *words), [{"setting": "threads", "old": None, "new": "1", "channel": "flag",
                                                          "knob": "--threads"}])
        self.expect(self.optimize(server.url, *words, "-o", self.script), 0)
        done = self.expect(self.optimize(server.url, *words, "--check"), 1)
        self.assertRegex(done.out, r"not applied +--threads=1 .*the server was started without --threads")
        server.stop()
        with OnOneCore():
            server = start_llama_server(binary, model, self.folder, "--threads", "1")
        self.addCleanup(server.stop)
        done = self.expect(self.optimize(server.url, *words, "--check"), 0)
        self.assertRegex(done.out, r"(?m)^  verified +--threads=1 +command line of process \d+$")
        done = self.expect(self.optimize(server.url, *words), 0)
        self.assertIn("Nothing to change", done.out)

    def test_ollama(self):
        binary = os.environ["VELOLLM_OLLAMA"]
        engine = self.started(binary)
        create_model(engine, binary, MODEL, os.environ["VELOLLM_MODEL"], self.folder)
        self.load(engine)
        done = self.expect(self.optimize(engine.url, "-o", self.script), 0)
        self.assertIn("1 change written to", done.out)
        self.assertEqual(self.rule(engine.url), [{"setting": "threads", "old": None, "new": "1", "channel": "environment",
                                                  "knob": "LLAMA_ARG_THREADS"}])
        done = self.expect(self.optimize(engine.url, "--check"), 1)
        self.assertRegex(done.out, r"not applied +LLAMA_ARG_THREADS=1 .*was started without it")
        engine.stop()
        engine = self.started(binary, **sourced(self.script))
        self.load(engine)
        done = self.expect(self.optimize(engine.url, "--check"), 0)
        self.assertRegex(done.out, r"(?m)^  verified +LLAMA_ARG_THREADS=1 +the log ")
        self.assertNotIn("not applied", done.out)
        done = self.expect(self.optimize(engine.url), 0)
        self.assertIn("Nothing to change", done.out)

    def test_the_guides_flow_word_for_word(self):
        """Baseline, optimize, source, optimised, jq: the settings are seen by the running engine."""
        binary = os.environ["VELOLLM_OLLAMA"]
        engine = self.started(binary)
        # The guide names no model: it is the usual one.
        create_model(engine, binary, "llama3.2:3b", os.environ["VELOLLM_MODEL"], self.folder)
        program = self.folder / "bin" / "velollm"
        program.parent.mkdir()
        program.symlink_to(os.environ["VELOLLM_BINARY"])
        short = self.folder / "home/config/velollm/velollm.json"
        short.write_text('{"warmup": 1, "quiet-check": 0, "max-tokens": 4, "iterations": 2}')
        guide = ("velollm benchmark -o baseline.json\n"
                 "velollm optimize -o velollm.sh\n"
                 "source velollm.sh\n"
                 "velollm benchmark -o optimized.json\n"
                 "jq '.[0].tokens_per_second' baseline.json\n"
                 "jq '.[0].tokens_per_second' optimized.json\n")
        done = subprocess.run(["bash", "-c", guide], cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
                              env=self.environment(OLLAMA_HOST=f"127.0.0.1:{engine.port}",
                                                   PATH=f"{program.parent}:{os.environ['PATH']}"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("\nOptions: num_thread 1 (OLLAMA_NUM_THREAD)\n", done.stdout)
        for speed in done.stdout.splitlines()[-2:]:
            self.assertGreater(float(speed), 0)
        children = subprocess.run(["pgrep", "-P", str(engine.process.pid), "-a"], capture_output=True, text=True, check=True)
        self.assertIn(" -t 1 ", children.stdout)

    def test_contexts_of_a_profile_reach_ollama(self):
        """A Modelfile from the plan, then /api/ps."""
        binary = os.environ["VELOLLM_OLLAMA"]
        engine = self.started(binary, LLAMA_ARG_THREADS="1")
        create_model(engine, binary, MODEL, os.environ["VELOLLM_MODEL"], self.folder)
        self.expect(self.optimize(engine.url, MODEL, "--ctx", "6000", "-o", self.script), 0)
        variables = sourced(self.script)
        self.assertEqual(variables["OLLAMA_CONTEXT_LENGTH"], "6144")
        engine.stop()
        engine = self.started(binary, LLAMA_ARG_THREADS="1", **variables)
        self.load(engine)
        done = self.expect(self.optimize(engine.url, MODEL, "--ctx", "6000"), 0)
        self.assertIn("Nothing to change", done.out)
        done = self.optimize(engine.url, MODEL, "--check")
        self.assertRegex(done.out, r"(?m)^  verified +OLLAMA_CONTEXT_LENGTH=6144 +/api/ps$")


if os.environ.get("VELOLLM_OLLAMA_024"):
    class Ollama024(Bound, CliTest):
        def test_ollama_024_by_a_modelfile(self):
            binary = os.environ["VELOLLM_OLLAMA_024"]
            engine = self.started(binary)
            create_model(engine, binary, MODEL, os.environ["VELOLLM_MODEL"], self.folder)
            self.load(engine)
            file = self.folder / "Modelfile"
            self.expect(self.optimize(engine.url, "-o", file), 0)
            self.assertIn("PARAMETER num_thread 1\n", file.read_text(encoding="utf-8"))
            tag = f"{MODEL}-velo"
            subprocess.run([binary, "create", tag, "-f", file], check=True, capture_output=True, timeout=60,
                           env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "OLLAMA_HOST": f"127.0.0.1:{engine.port}"})
            self.load(engine, tag)
            done = self.expect(self.optimize(engine.url, tag, "--check"), 0)
            self.assertRegex(done.out, r"(?m)^  verified +num_thread=1 +the log ")
            self.assertIn("Nothing to change", self.optimize(engine.url, tag).out)


if __name__ == "__main__":
    unittest.main()
