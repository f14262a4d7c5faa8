"""Installs the library and the program, and builds and runs a program that finds them."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["VELOLLM_SOURCE_DIR"])
BUILD = os.environ["VELOLLM_BUILD_DIR"]
LLAMA_PREFIX = os.environ.get("VELOLLM_LLAMA_PREFIX", "")
sys.path.insert(0, str(SOURCE / "tests/support"))

from scripted_server import Ollama  # noqa: E402


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="velollm-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = cls.folder / "prefix"
        run("cmake", "--install", BUILD, "--prefix", str(cls.prefix))
        run("cmake", "-G", "Ninja", "-S", str(SOURCE / "tests/package"), "-B", str(cls.folder / "build"),
            f"-DCMAKE_PREFIX_PATH={cls.prefix};{LLAMA_PREFIX}")
        run("cmake", "--build", str(cls.folder / "build"))

    def environment(self, host):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OLLAMA_HOST": host}

    def test_a_consumer_measures(self):
        with Ollama(models=("llama3.2:3b",)) as server:
            out = run(str(self.folder / "build/consumer"), env=self.environment(server.url))
            sent = [request for request in server.requests if request.path == "/api/generate"]
        self.assertRegex(out, r"^Tokens/s: [0-9.]+\n$")
        self.assertGreaterEqual(len(sent), 5, "five measured requests, and those before them")

    def test_a_consumer_gets_an_error_and_no_crash(self):
        with Ollama() as server:
            url = server.url
        done = subprocess.run([str(self.folder / "build/consumer")], env=self.environment(url), capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"Ollama is not running at {url}\n")

    def test_the_installed_program_runs(self):
        self.assertRegex(run(str(self.prefix / "bin/velollm"), "--version"), r"^velollm \d+\.\d+\.\d+")
        self.assertTrue((self.prefix / "share/velollm/schema/velollm-result-1.schema.json").is_file())


if __name__ == "__main__":
    unittest.main()
