"""A running `velollm-mock` for tests, and raw HTTP to talk to it."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

MOCK = os.environ["VELOLLM_MOCK"]
PATIENCE_SECONDS = 60


class Mock:
    """A running velollm-mock; `stop` ends it and keeps its last words."""

    def __init__(self, script, folder, *options):
        path = Path(folder) / "script.json"
        path.write_text(json.dumps(script), encoding="utf-8")
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [MOCK, str(path), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line + self.process.stderr.read()
        self.port = int(line.rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def truth(self):
        with self.connect() as connection:
            ask(connection, "GET", "/mock/truth", close=True)
            return json.loads(read_all(connection)[0].split(b"\r\n\r\n", 1)[1])

    def stop(self, signal_number=signal.SIGTERM):
        self.process.send_signal(signal_number)
        _, words = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, words


def ask(connection, method, path, body=None, close=False):
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: mock\r\nContent-Length: {len(data)}\r\n"
    connection.sendall((head + ("Connection: close\r\n" if close else "") + "\r\n").encode() + data)


def read_all(connection):
    """(bytes, [(steady ns of the read, bytes so far)]) until the server closes; a reset raises."""
    got, reads = b"", []
    while data := connection.recv(65536):
        got += data
        reads.append((time.monotonic_ns(), len(got)))
    return got, reads
