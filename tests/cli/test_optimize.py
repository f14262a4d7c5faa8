"""`velollm optimize` without a server, and its mistakes."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

PLAN_SCHEMA = SOURCE / "schema/velollm-plan-1.schema.json"


class Optimize(CliTest):
    def optimize(self, *words, **more):
        return self.velollm("optimize", *words, **more)

    def check_plan(self, text) -> dict:
        path = self.folder / "checked.json"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([SCHEMA_CHECK, str(PLAN_SCHEMA), str(path)], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + text)
        return json.loads(text)

    def test_without_a_server_it_plans_and_says_what_it_could_not_see(self):
        done = self.expect(self.optimize("llama3.2:3b"), 0)
        self.assertLess(done.cpu_seconds, 1.0)  # 0.02 s on its own, more where every access is checked
        self.assertTrue(done.out.startswith("Ollama, llama3.2:3b (Q4_K_M), profile chat\n"), done.out)
        self.assertIn("Not seen:\n  a server: none answers at http://127.0.0.1:1,", done.out)
        self.assertIn("the engine's version", done.out)
        self.assertEqual(done.err, "")

    def test_version_of_the_installed_program(self):
        program = self.folder / "bin" / "ollama"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho 'Warning: could not connect to a running Ollama instance'\n"
                           "echo 'Warning: client version is 0.24.0'\n")
        program.chmod(0o755)
        done = self.expect(self.optimize(env={"PATH": f"{program.parent}:{os.environ['PATH']}"}), 0)
        self.assertTrue(done.out.startswith("Ollama 0.24.0, llama3.2:3b"), done.out)
        self.assertNotIn("the engine's version", done.out)

    def test_the_guides_flow(self):
        """velollm optimize -o velollm.sh; source velollm.sh; the options are then VeloLLM's own."""
        self.expect(self.optimize("--profile", "agent", "-o", "velollm.sh"), 0)
        text = (self.folder / "velollm.sh").read_text(encoding="utf-8")
        self.assertIn("export OLLAMA_CONTEXT_LENGTH='17408'", text)
        done = subprocess.run(["bash", "-c", "source velollm.sh; echo $OLLAMA_NUM_CTX"], cwd=self.folder, capture_output=True,
                              text=True, timeout=10, check=True)
        self.assertEqual(done.stdout, "17408\n")
        self.no_litter()

    def test_nothing_to_change_leaves_a_file_alone(self):
        done = self.expect(self.optimize("-b", "embedded", "llama3.2:3b", "-o", "velollm.sh"), 0)
        self.assertIn("Nothing to change", done.out)
        file = self.folder / "velollm.sh"
        self.assertIn("# Nothing to change", file.read_text(encoding="utf-8"))
        file.write_text("export MINE=1\n")
        done = self.expect(self.optimize("-b", "embedded", "llama3.2:3b", "-o", "velollm.sh"), 0)
        self.assertEqual(done.out, "Nothing to change: velollm.sh is left as it is.\n")
        self.assertEqual(file.read_text(), "export MINE=1\n")

    def test_what_does_not_go_together_is_refused(self):
        self.assert_error(self.optimize("--no-such"), 2, "See: velollm optimize --help")
        for words in (("--check", "--apply"), ("--check", "--status"), ("--check", "--rollback"), ("--tune", "--check"),
                      ("--tune", "--status")):
            self.assert_error(self.optimize(*words), 2, "excludes")
        self.assert_error(self.optimize("--rollback", "abc"), 2, "Plan abc isn't applied")
        self.assert_error(self.optimize("-b", "embedded", "llama3.2:3b", "--ctx", "8192", "--apply", "--yes"), 2,
                          "the embedded engine is this program")
        self.assert_error(self.velollm("doctor", "--url", "ftp://x"), 2, "ftp://x")

    def test_a_pipe_is_written_into(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        running = self.start("optimize", "-b", "embedded", "llama3.2:3b", "--ctx", "8192", "-o", pipe, "--format", "env")
        self.assertIn("export OLLAMA_NUM_CTX='8192'\n", pipe.read_text(encoding="utf-8"))
        self.expect(running.finish(), 0)
        self.assertTrue(pipe.is_fifo())

    def test_tuning_is_refused_where_nothing_can_be_measured(self):
        self.assert_error(self.optimize("--budget", "quick"), 2, "--tune")
        for budget in ("long", "0", "5x", "-1m"):
            self.assert_error(self.optimize("--tune", f"--budget={budget}"), 2, f"--budget {budget} is no time", "90s or 8m")
        self.assert_error(self.optimize("--tune", "-b", "llamacpp"), 2, "Which model?", "-m FILE.gguf")
        self.assert_error(self.optimize("--tune", "-b", "llamacpp", "-m", "gone.gguf"), 4, "Model file not found: gone.gguf")
        # No Ollama runs, and none is installed that could be started.
        self.assert_error(self.optimize("--tune", env={"PATH": "/nowhere"}), 3, "No Ollama can be started or asked")
        self.no_litter()

    def test_tuning_through_an_ollama_that_runs(self):
        server = Mock({"rate_model": {"pp_tok_s": 20000, "tg_tok_s": 2000}}, self.folder)
        self.addCleanup(server.stop)
        running = self.start("optimize", "--tune", "--budget", "quick", "--url", server.url, "-m", "mock:1b",
                             env={"PATH": "/nowhere"})
        running.wait_for("S2 threads: as it is and")
        running.signal(signal.SIGINT)
        done = self.expect(running.finish(30), 130)
        self.assertIn("The running Ollama is used: only settings of requests can be tried.", done.err)
        self.assertIn("S5 type of the cache: not tried, it may change answers", done.err)
        self.assertRegex(done.err, r"Equal settings differ by [0-9.]+ % from block to block")
        self.assertIn("Nothing was changed.", done.err)
        # Four pairs of blocks with two requests each, and as many that don't count.
        self.assertGreaterEqual(len(server.truth()["requests"]), 32)

    def test_what_is_not_there_is_said_and_not_planned_for(self):
        (self.folder / "text.gguf").write_text("no model")
        for words, code, part in ((("-b", "embedded", "-m", "/nowhere/x.gguf"), 4, "/nowhere/x.gguf"),
                                  (("-b", "embedded", "-m", "text.gguf"), 1, "text.gguf"),
                                  (("--url", "ftp://x"), 2, "ftp://x")):
            with self.subTest(words):
                self.assert_error(self.optimize(*words), code, part)
        self.assert_error(self.optimize("--dry-run", "--apply"), 2, "--apply")
        self.expect(self.optimize("--dry-run", "llama3.2:3b"), 0)
        done = self.expect(self.velollm("doctor", "-b", "embedded", "-m", "/nowhere/x.gguf", "--quick"), 1)
        self.assertIn("[model_missing]", done.out)

    def test_json_keeps_to_its_schema(self):
        for words in ((), ("--profile", "agent", "--ctx", "9000", "--allow-lossy", "--max-vram", "8G"), ("-b", "llamacpp"),
                      ("-b", "embedded"), ("no-such-model",), ("--check",)):
            plan = self.check_plan(self.expect(self.optimize("--json", *words), 0).out)
            self.assertEqual(plan["schema"], "velollm-plan-1")
        plan = self.check_plan(self.optimize("--json", "--profile", "agent").out)
        self.assertFalse(plan["nothing_to_change"])
        finding = next(one for one in plan["findings"] if one["rule"] == "R2")
        self.assertEqual(finding["changes"], [{"setting": "num_ctx", "old": "4096", "new": "17408", "channel": "modelfile",
                                               "knob": "num_ctx"}])

    def test_several_forms_go_to_a_folder(self):
        done = self.expect(self.optimize("--profile", "agent", "--format", "env,systemd,docker,modelfile", "-o", "out"), 0)
        self.assertEqual(sorted(path.name for path in (self.folder / "out").iterdir()),
                         ["90-velollm.conf", "Modelfile", "compose.velollm.yaml", "velollm.sh"])
        self.assertEqual(done.err, "")
        done = self.expect(self.optimize("--profile", "agent", "--format", "env,request"), 0)
        self.assertIn("==> velollm.sh <==\n", done.out)
        self.assertIn('"num_ctx": 17408', done.out)

    def test_a_dead_variable_of_the_shell(self):
        done = self.expect(self.optimize(env={"OLLAMA_FLASH_ATTN": "1"}), 0)
        self.assertIn("R11  OLLAMA_FLASH_ATTN does nothing", done.out)
        self.assertIn("What works: OLLAMA_FLASH_ATTENTION", done.out)

    def test_check_without_anything(self):
        done = self.expect(self.optimize("--check"), 0)
        self.assertEqual(done.out, "Nothing to check: no plan was written, and nothing is set for this server.\n")
        self.expect(self.optimize("--profile", "agent", "-o", "velollm.sh"), 0)
        done = self.expect(self.optimize("--check"), 0)
        self.assertRegex(done.out, r"(?m)^  cannot verify  num_ctx=17408 +no server answers at http://127\.0\.0\.1:1$")

    def test_mistakes(self):
        self.expect(self.optimize("--profile", "gaming"), 2)
        self.expect(self.optimize("--format", "toml"), 2)
        self.expect(self.optimize("--ctx", "0"), 2)
        self.expect(self.optimize("-b", "openai"), 2)
        self.assert_error(self.optimize("--max-vram", "much"), 2, "8GiB")
        self.assert_error(self.optimize("-o", "no/such/folder/velollm.sh"), 1)
        self.assert_error(self.optimize("-b", "llamacpp", "--format", "modelfile"), 2, "Modelfile")


if __name__ == "__main__":
    unittest.main()
