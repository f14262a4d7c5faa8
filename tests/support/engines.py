"""Real servers for the end-to-end tests: started on a free loopback port, waited for, ended by their process id."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

START_LIMIT_SECONDS = 60


def free_port() -> int:
    """A port that nobody has at the moment. The servers can't be told to choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    """A server process. Its log goes to a file in the test's folder and is shown when it doesn't start."""

    def __init__(self, words, environment, port: int, ready_path: str, folder: Path):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"engine-{port}.log"
        with self.log.open("wb") as log:
            # A group of its own: Ollama's model runners go with it.
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [str(word) for word in words], env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self._wait_until_ready(ready_path)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, path):
        deadline = time.monotonic() + START_LIMIT_SECONDS
        pause = threading.Event()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.ask("GET", path, seconds=1)[0] == 200:
                    return
            except OSError:
                pass
            pause.wait(0.02)
        raise AssertionError(f"{self.process.args[0]} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def ask(self, method, path, body=None, seconds=30):
        """Status and JSON body of one exchange."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        return response.status, json.loads(data) if data else None

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what is left of the group that we started
        except ProcessLookupError:
            pass
        self.process.wait(10)


def start_llama_server(binary, model, folder: Path, *words) -> Engine:
    port = free_port()
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return Engine([binary, "-m", model, "--host", "127.0.0.1", "--port", port, "-c", "2048", "--alias", "smollm2:135m",
                   *words], environment, port, "/health", folder)


def start_ollama(binary, folder: Path, **more) -> Engine:
    """An Ollama that keeps everything in the folder and asks nobody on the net."""
    port = free_port()
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "OLLAMA_HOST": f"127.0.0.1:{port}",
                   "OLLAMA_MODELS": str(folder / "models"), "OLLAMA_NO_CLOUD": "1", "TMPDIR": str(folder)} | more
    return Engine([binary, "serve"], environment, port, "/api/version", folder)


def create_model(ollama: Engine, binary, name: str, gguf, folder: Path):
    modelfile = folder / "Modelfile"
    modelfile.write_text(f"FROM {gguf}\n", encoding="utf-8")
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "OLLAMA_HOST": f"127.0.0.1:{ollama.port}"}
    done = subprocess.run([binary, "create", name, "-f", modelfile], env=environment, capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ollama create failed:\n{done.stdout}{done.stderr}")
