"""`velollm optimize --apply` with a real Ollama on one core, which a `systemctl` of the test's own starts and stops."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import Engine, create_model, free_port
from velollm_cli import CliTest

MODEL = "smollm2:135m"
# What systemd does: reads the drop-ins on a restart, and knows the main process.
SYSTEMCTL = r"""#!{python}
import os, re, signal, subprocess, sys, time
from pathlib import Path
folder = Path({folder!r})
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\n")
if words[0] != "--user":
    sys.exit(1)
pid = int((folder / "pid").read_text())
if words[1] == "show":
    print(f"MainPID={{pid}}\nLoadState=loaded")
    sys.exit(0)
hold = folder / ("hold-" + words[1])
if hold.exists():
    hold.open().read()  # a FIFO: until the test lets go
if words[1] == "restart":
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    environment = dict(line.split("=", 1) for line in (folder / "environment").read_text().splitlines())
    for file in folder.glob("home/config/systemd/user/ollama.service.d/*.conf"):
        for name, value in re.findall(r'(?m)^Environment="([^=]+)=(.*)"$', file.read_text()):
            environment[name] = value
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen([{binary!r}, "serve"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  start_new_session=True)
    (folder / "pid").write_text(str(server.pid))
"""


class ApplyEngine(CliTest):
    def setUp(self):
        super().setUp()
        self.cpus = os.sched_getaffinity(0)
        self.assertGreater(len(self.cpus), 1, "this test needs two CPUs")
        binary = os.environ["VELOLLM_OLLAMA"]
        port = free_port()
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OLLAMA_HOST": f"127.0.0.1:{port}",
                       "OLLAMA_MODELS": str(self.folder / "models"), "OLLAMA_NO_CLOUD": "1", "TMPDIR": str(self.folder)}
        (self.folder / "environment").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        program = self.folder / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(SYSTEMCTL.format(python=sys.executable, folder=str(self.folder), binary=binary))
        program.chmod(0o755)
        self.drop_in = self.folder / "home/config/systemd/user/ollama.service.d/90-velollm.conf"
        self.journal = self.folder / "home/state/velollm/applied.json"
        # Everything from here on, the restarted servers too, has one core.
        os.sched_setaffinity(0, {min(self.cpus)})
        self.addCleanup(os.sched_setaffinity, 0, self.cpus)
        self.engine = Engine([binary, "serve"], environment, port, "/api/version", self.folder)
        self.addCleanup(self.stop)
        (self.folder / "pid").write_text(str(self.engine.process.pid))
        create_model(self.engine, binary, MODEL, os.environ["VELOLLM_MODEL"], self.folder)
        self.assertEqual(self.engine.ask("POST", "/api/generate", {"model": MODEL})[0], 200)

    def stop(self):
        try:
            os.killpg(int((self.folder / "pid").read_text()), signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.engine.stop()

    def words(self, *words):
        return ("optimize", *words, "--url", self.engine.url)

    def here(self):
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def optimize(self, *words):
        return self.velollm(*self.words(*words), env=self.here(), seconds=300)

    def files(self):
        folder = self.folder / "home/config/systemd"
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} if folder.exists() else None

    def children(self) -> str:
        pid = (self.folder / "pid").read_text()
        return subprocess.run(["pgrep", "-P", pid, "-a"], capture_output=True, text=True, check=False).stdout

    def test_apply_status_rollback(self):
        self.assert_error(self.optimize("--apply"), 2, "--apply --yes")
        self.assertIsNone(self.files())
        done = self.expect(self.optimize("--apply", "--yes"), 0)
        print(done.out)
        self.assertRegex(done.out, r"(?m)^  verified +LLAMA_ARG_THREADS=1 ")
        self.assertRegex(done.out, r"(?m)^Decode before [0-9.]+ tok/s .*, after [0-9.]+ tok/s .*: [0-9.]+ times")
        self.assertIn('Environment="LLAMA_ARG_THREADS=1"', self.drop_in.read_text())
        done = self.expect(self.optimize("--status"), 0)
        self.assertIn("verified", done.out)
        self.assert_error(self.optimize("--apply", "--yes", "--ctx", "6000"), 1, "--rollback")
        before = self.drop_in.read_bytes()
        self.drop_in.write_bytes(before + b"# mine\n")
        self.assertIn("isn't as it was written", self.expect(self.optimize("--status"), 1).out)
        self.drop_in.write_bytes(before)
        self.expect(self.optimize("--rollback"), 0)
        self.assertFalse((self.folder / "home/config/systemd").exists())
        self.assertEqual(self.engine.ask("POST", "/api/generate", {"model": MODEL})[0], 200)
        done = self.expect(self.optimize(), 0)
        self.assertIn("R1  Too many threads", done.out)

    def test_a_tag_beside_the_model(self):
        words = ("--apply", "--yes", "--ctx", "6000", MODEL)
        done = self.expect(self.optimize(*words), 0)
        self.assertRegex(done.out, r"(?m)^  verified +num_ctx=6144 +/api/ps$")
        names = [model["name"] for model in self.engine.ask("GET", "/api/tags")[1]["models"]]
        self.assertEqual(sorted(names), [MODEL, MODEL + "-velo"])
        self.expect(self.optimize("--rollback"), 0)
        names = [model["name"] for model in self.engine.ask("GET", "/api/tags")[1]["models"]]
        self.assertEqual(names, [MODEL])
        self.assertIsNone(self.files())

    def test_killed_while_systemd_works(self):
        for step in ("daemon-reload", "restart"):
            with self.subTest(step):
                hold = self.folder / f"hold-{step}"
                os.mkfifo(hold)
                running = self.start(*self.words("--apply", "--yes"), env=self.here())
                with hold.open("w"):  # opens once systemctl has come to it
                    self.assertEqual(json.loads(self.journal.read_text())["step"], "restart")
                    running.signal(signal.SIGKILL)
                    running.finish(60)
                hold.unlink()
                self.assertTrue(self.drop_in.exists())
                self.assertIn('at the step "restart"', self.expect(self.optimize("--status"), 1).out)
                self.expect(self.optimize("--rollback"), 0)
                self.assertIsNone(self.files())
                self.assertEqual(self.engine.ask("POST", "/api/generate", {"model": MODEL})[0], 200)
                self.assertNotIn(" -t 1 ", self.children())


if __name__ == "__main__":
    unittest.main()
