"""`velollm optimize --apply`, `--status` and `--rollback` without an engine: what they refuse, and what a journal brings back."""

import hashlib
import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

BEFORE = b"# older \xff\n[Service]\n"
AFTER = b"# newer\n[Service]\nEnvironment=A=1\n"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class OptimizeApply(CliTest):
    def setUp(self):
        super().setUp()
        self.journal = self.folder / "home/state/velollm/applied.json"
        self.file = self.folder / "units" / "ollama.service.d" / "90-velollm.conf"

    def optimize(self, *words, **more):
        return self.velollm("optimize", *words, **more)

    def write_journal(self, existed=True, **more):
        """As a program left it that was killed behind its write."""
        document = {"schema": "velollm-applied-1", "id": "0123456789ab", "engine": "ollama", "version": "0.32.15", "model": "m",
                    "url": "http://127.0.0.1:1", "created": "2026-01-02T03:04:05Z", "state": "applying", "step": "write",
                    "step_done": True, "pid": 77, "unit": "ollama.service", "user_unit": True, "restarted": False, "tag": "",
                    "tag_digest": "", "folders": [] if existed else [str(self.file.parent)],
                    "files": [{"path": str(self.file), "existed": existed, "before_hex": BEFORE.hex() if existed else "",
                               "before_sha256": digest(BEFORE if existed else b""), "after_sha256": digest(AFTER)}],
                    "expected": []} | more
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        self.journal.write_text(json.dumps(document))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(AFTER)

    def state(self) -> str:
        done = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema/velollm-applied-1.schema.json"), str(self.journal)],
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(self.journal.read_text())["state"]

    def test_nothing_is_applied(self):
        self.assertEqual(self.expect(self.optimize("--status"), 0).out, "Nothing is applied.\n")
        self.assertEqual(self.expect(self.optimize("--rollback"), 0).out, "Nothing to roll back.\n")

    def test_without_a_server_nothing_is_done(self):
        self.assert_error(self.optimize("--profile", "agent", "--apply", "--yes"), 3, "Nothing was changed")
        self.assertFalse(self.journal.exists())

    def test_mistakes(self):
        self.expect(self.optimize("--yes"), 2)
        self.expect(self.optimize("--apply", "--status"), 2)
        self.expect(self.optimize("--apply", "--rollback"), 2)

    def test_half_way_is_told_and_brought_back(self):
        self.write_journal()
        done = self.expect(self.optimize("--status"), 1)
        self.assertIn('Plan 0123456789ab was left half way, at the step "write" (applying).', done.out)
        (self.file.parent / (self.file.name + ".77.tmp")).write_bytes(b"half")
        self.assert_error(self.optimize("--rollback", "ba9876543210"), 2, "It is 0123456789ab")
        self.assertEqual(self.file.read_bytes(), AFTER)
        self.expect(self.optimize("--rollback", "0123456789ab"), 0)
        self.assertEqual(self.file.read_bytes(), BEFORE)
        self.assertEqual([path.name for path in self.file.parent.iterdir()], [self.file.name])
        self.assertEqual(self.state(), "rolled back")
        self.assertIn("was rolled back", self.expect(self.optimize("--status"), 0).out)
        self.assertEqual(self.expect(self.optimize("--rollback"), 0).out, "Nothing to roll back.\n")

    def test_a_new_file_goes_with_its_folder(self):
        self.write_journal(existed=False)
        self.expect(self.optimize("--rollback"), 0)
        self.assertFalse(self.file.parent.exists())
        self.assertTrue(self.file.parent.parent.exists())

    def test_what_was_changed_since_stays(self):
        self.write_journal()
        self.file.write_bytes(AFTER + b"mine")
        self.assert_error(self.optimize("--rollback"), 1, str(self.file), "Somebody has changed it")
        self.assertEqual(self.file.read_bytes(), AFTER + b"mine")
        self.assertEqual(self.state(), "applying")

    def test_a_snapshot_with_other_bytes_is_no_snapshot(self):
        self.write_journal()
        self.journal.write_text(self.journal.read_text().replace(BEFORE.hex(), (BEFORE + b"x").hex()))
        self.assert_error(self.optimize("--rollback"), 1, "can't be read")
        self.assertEqual(self.file.read_bytes(), AFTER)

    def test_the_restart_is_made_up_for(self):
        """It asks the systemd of the user, whose answer here is a failure: the file is back all the same."""
        calls = self.folder / "calls"
        program = self.folder / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n[ "$2" != restart ]\n')
        program.chmod(0o755)
        self.write_journal(restarted=True, step="restart", step_done=False)
        path = {"PATH": f"{program.parent}:/usr/bin:/bin"}
        self.assert_error(self.optimize("--rollback", env=path), 1, "`systemctl --user restart ollama.service` ended")
        self.assertEqual(calls.read_text(), "--user daemon-reload\n--user restart ollama.service\n")
        self.assertEqual(self.file.read_bytes(), BEFORE)
        self.assertEqual(self.state(), "rolling back")


if __name__ == "__main__":
    unittest.main()
