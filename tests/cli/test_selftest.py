"""`velollm selftest`: the real scripted server, what is printed and kept, and that results carry it."""

import json
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from scripted_server import Ollama, Reply
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

SCHEMA = SOURCE / "schema/velollm-selftest-1.schema.json"


class SelfTest(CliTest):
    def kept(self):
        return self.folder / "home/state/velollm/selftest.json"

    def check_schema(self, path):
        check = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(path)], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

    def test_it_is_printed_kept_and_carried_by_results(self):
        done = self.velollm("selftest")
        self.assertIn(done.code, (0, 5), done)  # 5: this machine is too busy for the promised errors
        self.assertIn("One stream at 100 tok/s, 10 requests of 32 tokens:\n  TTFT ", done.out)
        self.assertNotIn("arrived whole", done.out)
        self.assertIn(f"Kept in {self.kept()}", done.out)
        self.check_schema(self.kept())
        document = json.loads(self.kept().read_text(encoding="utf-8"))
        self.assertEqual([document[part]["answered"] for part in ("one_stream", "many_streams", "full_speed")], [10, 128, 8])
        self.assertEqual(document["full_speed"]["events"], 400_000)
        self.assertEqual(document["one_stream"]["gap_error_ms"]["n"], 310)

        server = self.serve(Ollama())
        server.reply = Reply(eval_ns=None)
        run = self.velollm("benchmark", "--url", server.url, "--prompt", "x", "--max-tokens", "5", "--iterations", "1", "-v",
                           "-o", self.results)
        self.assertIn(f"Self-test of this program: {document['at'][:10]}, TTFT", run.out)
        self.assertEqual(self.valid_results()[0]["velollm"]["client"]["self_test"], document)

    def test_ctrl_c_leaves_nothing_behind(self):
        running = self.start("selftest")
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        while not (child := children.read_text(encoding="ascii").split()):
            self.assertFalse(running.ended())
        running.signal(signal.SIGINT)
        done = self.expect(running.finish(), 130)
        self.assertEqual(done.out, "")
        self.assertFalse(Path(f"/proc/{child[0]}").exists())
        self.assertFalse(self.kept().exists())

    def test_a_folder_that_cannot_be_made_is_an_error_after_the_figures(self):
        blocked = self.folder / "file"
        blocked.write_text("")
        done = self.velollm("selftest", "--json", env={"XDG_STATE_HOME": blocked})
        self.assertEqual(json.loads(done.out)["full_speed"]["answered"], 8)
        self.assert_error(done, 1, "Cannot make the folder", "XDG_STATE_HOME")

    def test_an_unwritable_output_is_said_before_measuring(self):
        self.assert_error(self.velollm("selftest", "-o", self.folder / "none/x.json"), 1, "Cannot write")


if __name__ == "__main__":
    unittest.main()
