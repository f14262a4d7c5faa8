"""`velollm doctor` at dead ports, other servers, and the scripted one."""

import json
import re
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from scripted_server import Babble, Mute, Ollama, Server
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

SCHEMA = SOURCE / "schema/velollm-doctor-1.schema.json"
# A port of this machine that nobody has. By this name of it no other port is looked at, where somebody else's engine may be.
NOBODY = "http://0.0.0.0:1"


class Doctor(CliTest):
    def doctor(self, *words, **more):
        return self.velollm("doctor", "--quick", *words, **more)

    def checked(self, text) -> dict:
        path = self.folder / "checked.json"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(path)], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + text)
        return json.loads(text)

    def report(self, *words, code=1, **more) -> dict:
        report = self.checked(self.expect(self.doctor("--json", *words, **more), code).out)
        self.assertEqual(report["problems"] > 0, code == 1)
        return report

    def finding(self, report, code) -> dict:
        found = [one for one in report["findings"] if one["code"] == code]
        self.assertEqual(len(found), 1, json.dumps(report, indent=1))
        return found[0]

    def test_no_server(self):
        done = self.expect(self.doctor("--url", NOBODY, env={"PATH": "/nowhere"}), 1)
        self.assertRegex(done.out, r"^1 problem.* found: Ollama, llama3\.2:3b, http://0\.0\.0\.0:1\n")
        self.assertIn("\nProblem: Ollama is not running  [server_down]\n", done.out)
        self.assertIn("connection refused: nothing listens there; no program ollama is in $PATH", done.out)
        self.assertRegex(done.out.splitlines()[-1], "^Next:  ")
        self.assertEqual(done.err, "")

    def test_no_server_but_an_installed_program(self):
        program = self.folder / "bin" / "ollama"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho 'Warning: client version is 0.32.15'\n")
        program.chmod(0o755)
        report = self.report("--url", NOBODY, env={"PATH": f"{program.parent}:/usr/bin:/bin"})
        down = self.finding(report, "server_down")
        self.assertIn(f"installed: {program} 0.32.15", down["evidence"])
        self.assertIn(down["command"], ("ollama serve", "sudo systemctl start ollama"))

    def test_quiet_about_what_it_cannot_see(self):
        report = self.report()
        unseen = {one["check"] for one in report["unchecked"]}
        self.assertLessEqual({"model", "cut prompts", "other programs' load"}, unseen)
        codes = {one["code"] for one in report["findings"] if one["severity"] == "problem"}
        self.assertEqual(codes - {"threads", "server_elsewhere"}, codes & {"server_down"})

    def plain(self, routes):
        server = self.serve(Server())
        for path, body in routes.items():
            server.routes[("GET", path)] = lambda exchange, body=body: exchange.answer(200, body)
        return server

    def test_another_engine_at_the_address(self):
        llama = self.plain({"/props": {"model_path": "/m.gguf", "total_slots": 1}})
        report = self.report("--url", llama.url)
        wrong = self.finding(report, "wrong_url")
        self.assertEqual(wrong["title"], f"{llama.url} is not Ollama")
        self.assertEqual(wrong["evidence"], ["what answers there is llama-server"])
        self.assertEqual(wrong["command"], f"velollm doctor -b llamacpp --url {llama.url}")
        self.assertEqual(report["next"], wrong["command"])
        ollama = self.serve(Ollama())
        report = self.report("-b", "llamacpp", "--url", ollama.url)
        self.assertEqual(self.finding(report, "wrong_url")["command"], f"velollm doctor -b ollama --url {ollama.url}")

    def test_other_servers_at_the_address(self):
        openai = self.plain({"/v1/models": {"object": "list", "data": []}})
        evidence = self.finding(self.report("--url", openai.url), "wrong_url")["evidence"][0]
        self.assertIn("OpenAI's interface", evidence)
        web = self.plain({})
        evidence = self.finding(self.report("--url", web.url), "wrong_url")["evidence"][0]
        self.assertRegex(evidence, r"what answers there is a web server \(status \d+ at /\)")
        babble = self.serve(Babble(b"220 mail.example ESMTP\r\n"))
        evidence = self.finding(self.report("--url", babble.url), "wrong_url")["evidence"][0]
        self.assertIn("something that doesn't speak HTTP", evidence)

    def test_a_server_that_says_nothing(self):
        mute = self.serve(Mute())
        begin = time.monotonic()
        report = self.report("--url", f"0.0.0.0:{mute.port}")
        self.assertLess(time.monotonic() - begin, 10)
        self.assertIn("no answer within 0.5 s", self.finding(report, "server_down")["evidence"][0])

    def test_the_scripted_server(self):
        mock = Mock({"steps": [{"dt_ms": 1}]}, self.folder)
        self.addCleanup(mock.stop)
        report = self.checked(self.doctor("--json", "--url", mock.url).out)
        codes = {one["code"] for one in report["findings"]}
        self.assertFalse({"server_down", "wrong_url", "server_elsewhere", "model_missing"} & codes, json.dumps(report, indent=1))

    def test_an_address_with_a_path_too_much(self):
        server = self.serve(Ollama())
        report = self.report("--url", f"{server.url}/v1")
        wrong = self.finding(report, "wrong_url")
        self.assertEqual(wrong["command"], f"velollm doctor -b ollama --url {server.url}")

    def test_a_model_that_is_not_there(self):
        server = self.serve(Ollama())
        report = self.report("lama3.2:3b", "--url", server.url)
        missing = self.finding(report, "model_missing")
        self.assertEqual(missing["title"], "The server has no model lama3.2:3b")
        self.assertIn("near it are: llama3.2:3b", missing["evidence"][0])
        self.assertEqual(missing["command"], f"OLLAMA_HOST={server.url} ollama pull lama3.2:3b")

    def test_nothing_wrong_with_an_answering_server(self):
        server = self.serve(Ollama())
        done = self.doctor("--json", "--url", server.url)
        report = self.checked(done.out)
        self.assertFalse({"server_down", "wrong_url", "model_missing"} & {one["code"] for one in report["findings"]})

    def test_dead_variables_of_the_shell(self):
        report = self.report(env={"OLLAMA_FLASH_ATTN": "1"})
        dead = self.finding(report, "dead_variable")
        self.assertEqual(dead["title"], "OLLAMA_FLASH_ATTN does nothing")
        self.assertIn("OLLAMA_FLASH_ATTENTION", dead["remedy"])

    def test_the_embedded_engine_has_no_server(self):
        done = self.doctor("-b", "embedded", "llama3.2:3b")
        self.assertNotIn("server_down", done.out)
        self.assertIn(": the embedded engine has no server\n", done.out)

    def test_a_second_of_watching_and_no_more_than_two(self):
        begin = time.monotonic()
        done = self.velollm("doctor", "--json", "-b", "embedded", "llama3.2:3b")
        self.assertLess(time.monotonic() - begin, 10)  # two on a machine that isn't busy
        report = self.checked(done.out)
        self.assertNotIn("--quick", json.dumps(report["unchecked"]))

    def test_file_and_exit_code(self):
        done = self.expect(self.doctor("-o", "report.json"), 1)
        self.assertIn("report.json", done.out)
        report = self.checked((self.folder / "report.json").read_text(encoding="utf-8"))
        self.assertEqual(report["schema"], "velollm-doctor-1")
        self.no_litter()
        self.assert_error(self.doctor("-o", "no/such/folder/report.json"), 1)

    def test_mistakes(self):
        self.expect(self.doctor("-b", "openai"), 2)
        self.expect(self.doctor("--profile", "agent"), 2)

    def test_the_document_lists_every_finding(self):
        codes = set()
        for file in (SOURCE / "src/optimize").glob("doctor_*.cpp"):
            text = file.read_text(encoding="utf-8")
            codes |= set(re.findall(r'"([a-z_]+)",\s*(?:Severity|too_many|facts\.hardware|store)', text))
            codes |= set(re.findall(r'\.code = "([a-z_]+)"', text))
            codes |= set(re.findall(r'"([a-z_]+)",\s*"[^"]*(?:prompts|times)', text))
        document = (SOURCE / "docs/doctor.md").read_text(encoding="utf-8")
        self.assertGreater(len(codes), 40)
        self.assertEqual(set(re.findall(r"(?m)^\| `([a-z_]+)` ", document)), codes)


if __name__ == "__main__":
    unittest.main()
