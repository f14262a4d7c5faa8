"""`velollm optimize --tune` with a real engine, from its first block to its plan, in a minute."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from engines import start_llama_server
from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest


class TuneEngines(CliTest):
    def tune(self, *words) -> dict:
        done = self.velollm("optimize", "--tune", "--json", "--fresh", *words, seconds=500)
        if done.code == 5:  # beside much other work threads wait for each other, and a block takes minutes
            self.assertIn("too long for this budget\n  Do what the rules say first:  velollm optimize\n", done.err)
            return {"findings": []}
        self.expect(done, 0)
        path = self.folder / "plan.json"
        path.write_text(done.out, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema/velollm-plan-1.schema.json"), str(path)],
                               capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        self.assertRegex(done.err, r"Equal settings differ by [\d.]+ % from block to block \(a block takes [\d.]+ s\)")
        self.assertRegex(done.err, r"S2 threads: (as it is and \d other value|not tried)")
        plan = json.loads(done.out)
        # How much it helps hangs on what else the machine does; what is said of it doesn't.
        if plan["findings"]:
            self.assertRegex(done.err, r"A fixed question is answered ")
            evidence = " ".join(plan["findings"][0]["evidence"])
            pairs = int(evidence.split(" pairs, p = ")[0].split()[-1])
            self.assertGreaterEqual(pairs, 8)
        else:
            self.assertTrue(plan["nothing_to_change"])
            self.assertRegex(done.err, r"no measurable improvement|Not changed: |is faster, by |Nothing was tried: ")
        return plan

    def test_embedded(self):
        plan = self.tune("-b", "embedded", "-m", os.environ["VELOLLM_MODEL"], "--budget", "40s")
        self.assertLessEqual({change["setting"] for finding in plan["findings"] for change in finding["changes"]},
                             {"threads", "spec_type"})

    def test_beside_a_llama_server(self):
        server = start_llama_server(os.environ["VELOLLM_LLAMA_SERVER"], os.environ["VELOLLM_MODEL"], self.folder, "-t", "1")
        self.addCleanup(server.stop)
        plan = self.tune("-b", "llamacpp", "--url", server.url, "--budget", "60s")
        changes = {change["knob"]: change["new"] for finding in plan["findings"] for change in finding["changes"]}
        self.assertEqual(changes.get("--threads"), changes.get("--threads-batch"))
        # The server that runs is left as it is.
        self.assertEqual(server.ask("GET", "/health")[0], 200)


if __name__ == "__main__":
    unittest.main()
