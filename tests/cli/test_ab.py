"""`velollm ab` with scripted servers and the embedded engine: verdicts, exit codes, files."""

import json
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest


class Ab(CliTest):
    """Servers that keep to their script on the microsecond make pairs that differ by what the script says."""

    def server(self, speed, **more):
        server = Mock({"rate_model": {"pp_tok_s": 20000, "tg_tok_s": speed}, **more}, self.folder)
        self.addCleanup(server.stop)
        return server

    def ab(self, a, b, *words, **options):
        return self.velollm("ab", "-b", "openai", "--a", f"url={a.url}/v1", "--b", f"url={b.url}/v1", "--max-tokens", "12",
                            "--warmup", "1", "--quiet-check", "0", *words, **options)

    def document(self, text):
        path = self.folder / "ab.json"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema/velollm-ab-1.schema.json"), str(path)], capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(text)

    def test_faster_and_slower(self):
        slow, fast = self.server(100), self.server(400)
        done = self.expect(self.ab(slow, fast, "--json"), 0)
        document = self.document(done.out)
        self.assertEqual(document["primary"]["verdict"], "faster")
        self.assertAlmostEqual(document["primary"]["factor"], 4, delta=1.5)  # exact times are test_conformance's
        self.assertEqual(document["end"], "decided")
        self.assertFalse(document["reload"])
        self.assertEqual({pair["order"] for pair in document["pairs"]} - {"AB", "BA"}, set())
        done = self.expect(self.ab(fast, slow), 10)
        self.assertRegex(done.out, r"(?m)^SLOWER +decode -[5-9][0-9.]+ % \[.* \d+ pairs, p = ")
        self.assertRegex(done.out, r"(?m)^ +1  (A B|B A) ")

    def test_null(self):
        server = self.server(200)
        done = self.velollm("ab", "-b", "openai", "--null", "--a", f"url={server.url}/v1", "--max-tokens", "12", "--warmup", "1",
                            "--quiet-check", "0", "--delta", "30%", "--json")
        self.assertIn(done.code, (0, 11), done)  # beside other work 60 ms of tokens may differ by anything
        document = self.document(done.out)
        self.assertTrue(document["null_test"])
        self.assertEqual(done.code == 0, document["primary"]["verdict"] in ("same", "small_change"))

    def test_too_few_pairs_cannot_tell(self):
        done = self.expect(self.ab(self.server(200), self.server(300), "--pairs", "3"), 11)
        self.assertRegex(done.out, r"(?m)^UNCLEAR +decode \+[0-9.]+ %  3 pairs")
        self.assertIn("Stopped after 3 pairs, as planned.", done.out)
        self.assertIn("8 are the least that can tell", done.out)
        self.assertIn("fewer than 8 pairs can't tell", done.out)
        self.assertNotIn("could only see", done.out)

    def test_pairs_say_when_they_are_looked_at(self):
        done = self.ab(self.server(200), self.server(300), "--pairs", "12")
        self.assertIn("at most 12; looked at after 8, 10 and 12\n", done.out)

    def test_settings_that_reach_no_engine_are_refused(self):
        server = self.server(200)
        for words, part in (
                (("-b", "openai", "--url", server.url + "/v1", "--a=--threads=1", "--b=--threads=2"), "--threads can't be set"),
                (("-b", "openai", "--url", server.url + "/v1", "--a", "LLAMA_ARG_THREADS=1"), "LLAMA_ARG_THREADS can't be set"),
                (("-b", "llamacpp", "--url", server.url, "--a=--mlock"), "--mlock can't be set for a server that runs"),
                (("-b", "ollama", "--url", server.url, "--a", "OLLAMA_FLASH_ATTENTION=1"), "OLLAMA_FLASH_ATTENTION can't be set"),
                (("-b", "embedded", "--a", "OLLAMA_X=1", "--a", "backend=ollama", "--url", server.url), "OLLAMA_X can't be set"),
                (("--a=--threads=1",), "--threads can't be set")):
            with self.subTest(words):
                self.assert_error(self.velollm("ab", "-m", "mock:1b", "--quiet-check", "0", *words), 2, part)

    def test_what_the_environment_sets_is_said(self):
        server = self.server(200)
        done = self.velollm("ab", "-b", "ollama", "--url", server.url, "-m", "mock:1b", "--a", "keep_alive=5m", "--b",
                            "keep_alive=6m", "--pairs", "1", "--quiet-check", "0", "--json", "--max-tokens", "4",
                            env={"OLLAMA_NUM_THREAD": "3"})
        document = self.document(done.out)
        self.assertEqual(document["a_from_environment"],
                         [{"option": "num_thread", "value": "3", "variable": "OLLAMA_NUM_THREAD"}])
        self.assertEqual(document["b_from_environment"], document["a_from_environment"])

    def test_markdown_and_file(self):
        path = self.folder / "out.json"
        done = self.expect(self.ab(self.server(100), self.server(400), "--format", "md", "-o", path), 0)
        self.assertIn("| decode, tok/s |", done.out)
        self.assertRegex(done.out, r"\| FASTER \| \d+ \|")
        self.document(path.read_text(encoding="utf-8"))
        path = self.folder / "out.md"
        done = self.velollm("ab", "-b", "openai", "--null", "--a", f"url={self.server(100).url}/v1", "--max-tokens", "4", "--pairs", "1",
                            "--quiet-check", "0", "-o", path)
        self.expect(done, 11)
        self.assertTrue(path.read_text(encoding="utf-8").startswith("| | A: `"))

    def test_wrong_usage(self):
        for words, part in ((("ab",), "Nothing says what A and B differ by"), (("ab", "--a", "speed=2"), "no such setting"),
                            (("ab", "--a", "num_thread=many"), "not a whole number"), (("ab", "--null", "--b", "num_thread=2"), "--null"),
                            (("ab", "--a", "num_thread=1", "--budget", "soon"), "--budget"),
                            (("ab", "--a", "num_thread=1", "--a", "num_thread=2"), "--a has num_thread twice"),
                            (("ab", "--a", "num_ctx=9", "--a", "num_thread=1", "--b", "num_thread=1", "--b", "num_ctx=9"),
                             "A and B are the same"),
                            (("ab", "--null", "--watch", "--pairs", "9"), "--watch"),
                            (("ab", "--a", "num_thread=1", "--metric", "x", "-b", "embedded", "--quiet-check", "0"), "Unknown metric")):
            with self.subTest(words):
                self.assert_error(self.velollm(*words), 2, part)

    def test_a_server_that_is_not_there(self):
        self.assert_error(self.velollm("ab", "-b", "openai", "--a", "url=http://127.0.0.1:1/v1", "--b",
                                       "url=http://127.0.0.1:2/v1", "--quiet-check", "0"), 3, "127.0.0.1:1")

    def test_a_server_that_goes_away(self):
        slow = self.server(100)
        gone = self.server(400, requests=[{}, {}, {}, {"http": {"status": 500}}])
        done = self.expect(self.ab(slow, gone, "--pairs", "8", "--json"), 0)
        document = self.document(done.out)
        self.assertGreater(document["failed_pairs"], 0)
        self.assertEqual(document["primary"]["pairs"], 8)

    def test_pairs_that_bring_no_value_are_not_counted_in_words_either(self):
        slow = self.server(100)
        gone = self.server(400, requests=[{}, {}, {}, {"http": {"status": 500}}])
        done = self.expect(self.ab(slow, gone, "--pairs", "8"), 0)
        self.assertRegex(done.out, r"(?m)^FASTER +decode .* 8 pairs, p = ")

    def test_pairs_before_an_end_of_the_server_are_kept(self):
        # Equal, and no limit that they could be within: nothing is decided before the server goes.
        gone = Mock({"rate_model": {"pp_tok_s": 20000, "tg_tok_s": 200}}, self.folder)
        running = self.start("ab", "-b", "openai", "--a", f"url={self.server(200).url}/v1", "--b", f"url={gone.url}/v1",
                             "--max-tokens", "12", "--quiet-check", "0", "--watch", "--delta", "0.001%", "-o", self.folder / "w.json")
        running.wait_for("  3  ")
        gone.stop()
        done = running.finish(30)
        self.assertEqual(done.code, 3, done)
        document = self.document((self.folder / "w.json").read_text(encoding="utf-8"))
        self.assertEqual(document["end"], "lost")
        self.assertIn(str(gone.port), document["error"])
        self.assertGreaterEqual(document["primary"]["pairs"], 3)

    def test_stopped_by_the_user(self):
        running = self.start("ab", "-b", "openai", "--a", f"url={self.server(200).url}/v1", "--b", f"url={self.server(200).url}/v1",
                             "--max-tokens", "12", "--quiet-check", "0", "--watch", "--delta", "0.001%", "-o", self.folder / "w.json")
        running.wait_for("  3  ")
        running.signal(signal.SIGINT)
        done = running.finish(30)
        self.expect(done, 130)
        document = self.document((self.folder / "w.json").read_text(encoding="utf-8"))
        self.assertEqual(document["end"], "stopped")
        self.assertGreaterEqual(len(document["pairs"]), 3)


if __name__ == "__main__":
    unittest.main()
