"""`velollm-mock` from outside: what arrives over raw sockets, and whether the truth that it tells agrees with that."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from mock_server import MOCK, PATIENCE_SECONDS, Mock, ask, read_all  # noqa: E402  pylint: disable=wrong-import-position
from velollm_cli import SCHEMA_CHECK, SOURCE  # noqa: E402  pylint: disable=wrong-import-position

SCHEMA = SOURCE / "schema/velollm-mock-script-1.schema.json"


def more(connection):
    data = connection.recv(65536)
    if not data:
        raise EOFError("the server closed in the middle of an answer")
    return data


def read_answer(connection):
    """One chunked or counted answer; the connection stays."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += more(connection)
    head, rest = got.split(b"\r\n\r\n", 1)
    if b"chunked" in head:
        while not rest.endswith(b"0\r\n\r\n"):
            rest += more(connection)
    else:
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(rest) < length:
            rest += more(connection)
    return head, rest


def chunks_of(body):
    """The payloads of a chunked body."""
    out = []
    while body:
        size, body = body.split(b"\r\n", 1)
        out.append(body[:int(size, 16)])
        body = body[int(size, 16) + 2:]
    return out


CHAT = {"messages": [{"role": "user", "content": "one two three"}], "stream": True,
        "stream_options": {"include_usage": True}}


class MockTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.mocks = []
        self.addCleanup(self.stop_all)

    def stop_all(self):
        for mock in self.mocks:
            if mock.process.poll() is None:
                mock.process.kill()
            mock.process.communicate()

    def start(self, script, *options):
        self.mocks.append(Mock(script, self.folder, *options))
        return self.mocks[-1]

    def test_truth_agrees_with_what_arrived(self):
        mock = self.start({"steps": [{"dt_ms": 2, "kind": "role"}, {"dt_ms": 1, "repeat": 20}]})
        with mock.connect() as connection:
            before = time.monotonic_ns()
            ask(connection, "POST", "/v1/chat/completions", CHAT, close=True)
            got, reads = read_all(connection)
        truth = mock.truth()["requests"][0]
        self.assertEqual(truth["end"], "closed")
        self.assertEqual((truth["tokens"], truth["events"]), (20, 20))
        self.assertEqual(truth["prompt_start"], "one two three")
        self.assertEqual(sum(write["bytes"] for write in truth["writes"]), len(got))
        self.assertLessEqual(before, truth["read_ns"])
        sent = 0
        for write in truth["writes"]:
            self.assertLessEqual(write["planned_ns"], write["written_ns"])
            sent += write["bytes"]
            arrived = next(at for at, total in reads if total >= sent)
            self.assertLess(write["written_ns"], arrived)
        planned = [write["planned_ns"] - truth["start_ns"] for write in truth["writes"] if write["tokens"]]
        self.assertEqual(planned, [2_000_000 + 1_000_000 * i for i in range(1, 21)])
        self.assertEqual(got.count(b'"content":" word"'), 20)
        self.assertIn(b'"completion_tokens":20,"prompt_tokens":3', got)
        self.assertTrue(got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"))

    def test_split_writes(self):
        mock = self.start({"steps": [{"repeat": 3}], "tcp": {"split_writes": 10}})
        with mock.connect() as connection:
            ask(connection, "POST", "/api/generate", {"model": "m", "prompt": "a b"}, close=True)
            got, _ = read_all(connection)
        writes = mock.truth()["requests"][0]["writes"]
        self.assertLessEqual(max(write["bytes"] for write in writes[1:]), 10)
        self.assertEqual(sum(write["bytes"] for write in writes), len(got))
        self.assertEqual([write["tokens"] for write in writes if write["tokens"]], [1, 1, 1])
        lines = [json.loads(chunk) for chunk in chunks_of(got.split(b"\r\n\r\n", 1)[1]) if chunk]
        self.assertEqual([line["response"] for line in lines], [" word"] * 3 + [""])
        self.assertEqual(lines[-1]["eval_count"], 3)

    def test_reset_after_a_step(self):
        mock = self.start({"steps": [{"dt_ms": 1, "repeat": 10}], "finish": {"rst_after": 4}})
        got = b""
        with mock.connect() as connection, self.assertRaises(ConnectionResetError):
            ask(connection, "POST", "/completion", {"prompt": "a b", "stream": True})
            while True:
                data = connection.recv(65536)
                self.assertTrue(data, "closed in the ordinary way")
                got += data
        self.assertEqual(got.count(b"data: "), 4)
        truth = mock.truth()["requests"][0]
        self.assertEqual((truth["end"], truth["tokens"]), ("reset", 4))

    def test_first_503_then_200_on_one_connection(self):
        mock = self.start({"steps": [{"repeat": 2}], "requests": [{"http": {"status": 503}}, {}]})
        with mock.connect() as connection:
            for expected in (503, 200, 503):
                ask(connection, "POST", "/v1/chat/completions", CHAT)
                head, _ = read_answer(connection)
                self.assertIn(f"HTTP/1.1 {expected} ".encode(), head)
        requests = mock.truth()["requests"]
        self.assertEqual([request["status"] for request in requests], [503, 200, 503])
        self.assertEqual([request["reused"] for request in requests], [False, True, True])
        self.assertEqual(len({request["connection"] for request in requests}), 1)

    def test_one_slot_serves_in_order(self):
        hour_ms = 3_600_000
        mock = self.start({"steps": [{"repeat": 5}], "capacity": {"slots": 1, "queue": 1},
                           "requests": [{"steps": [{}, {"dt_ms": hour_ms}]}, {}]})
        with mock.connect() as first, mock.connect() as second, mock.connect() as third:
            ask(first, "POST", "/completion", {"prompt": "a", "stream": True})
            first.recv(1)
            ask(second, "POST", "/completion", {"prompt": "b", "stream": True})
            ask(third, "POST", "/completion", {"prompt": "c", "stream": True})
            self.assertIn(b" 503 ", read_answer(third)[0])
            first.close()
            self.assertIn(b" 200 ", read_answer(second)[0])
        requests = mock.truth()["requests"]
        self.assertEqual([request["prompt_start"] for request in requests], ["a", "b"])
        self.assertGreaterEqual(requests[1]["start_ns"], requests[0]["end_ns"])

    def test_clients_that_vanish(self):
        mock = self.start({"steps": [{"dt_ms": 1}, {"dt_ms": 3_600_000}]})
        for garbage in (b"", b"POST", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"):
            with mock.connect() as connection:
                connection.sendall(garbage)
        with mock.connect() as connection:
            ask(connection, "POST", "/completion", {"prompt": "a", "stream": True})
            connection.recv(1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (requests := mock.truth()["requests"]) and time.monotonic() < deadline:
            pass
        self.assertEqual([request["end"] for request in requests], ["client_gone"])
        code, _ = mock.stop()
        self.assertEqual(code, 0)

    def test_log_and_end(self):
        log = self.folder / "log.jsonl"
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            mock = self.start({"steps": [{"repeat": 3}]}, "--log", str(log))
            with mock.connect() as connection:
                ask(connection, "POST", "/completion", {"prompt": "a", "stream": True})
                read_answer(connection)
            told = mock.truth()["requests"]
            code, words = mock.stop(signal_number)
            self.assertEqual(code, 0)
            self.assertRegex(words, r"^1 requests, \d+ writes, own lateness p50 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms\n$")
            self.assertEqual([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()][-1:], told)

    def test_clearing_the_truth(self):
        mock = self.start({"steps": [{"repeat": 2}]})
        with mock.connect() as connection:
            ask(connection, "POST", "/completion", {"prompt": "a", "stream": True})
            read_answer(connection)
            ask(connection, "GET", "/mock/truth?clear=1")
            self.assertEqual(len(json.loads(read_answer(connection)[1])["requests"]), 1)
        self.assertEqual(mock.truth()["requests"], [])

    def run_mock(self, *words):
        return subprocess.run([MOCK, *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    def test_scripts_that_are_wrong(self):
        path = self.folder / "wrong.json"
        for text, words in (('{"stepz": []}', '"stepz" is unknown; allowed: wire'),
                            ('{"steps": [{"kind": "x"}]}', '"steps[0].kind" must be one of role, content'),
                            ('{"steps": [], "http": {"status": "a"}}', '"http.status" must be a whole number from 200'),
                            ("{", "not valid JSON")):
            path.write_text(text, encoding="utf-8")
            done = self.run_mock("--check", str(path))
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(words, done.stderr)

    def test_scripts_of_the_documentation(self):
        examples = re.findall(r"```json\n(.*?)```", (SOURCE / "docs/mock.md").read_text(encoding="utf-8"), re.S)
        self.assertGreaterEqual(len(examples), 3)
        path = self.folder / "example.json"
        for example in examples:
            path.write_text(example, encoding="utf-8")
            done = self.run_mock("--check", str(path))
            self.assertEqual(done.returncode, 0, done)
            checked = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(path)], capture_output=True, text=True, check=False)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_default_script(self):
        printed = self.run_mock("--print-script").stdout
        path = self.folder / "default.json"
        path.write_text(printed, encoding="utf-8")
        self.assertEqual(self.run_mock("--check", str(path)).returncode, 0)
        checked = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(path)], capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertIn("--print-script", self.run_mock("--help").stdout)
        self.assertEqual(self.run_mock("--nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main()
