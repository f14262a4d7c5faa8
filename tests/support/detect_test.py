"""What the tests of `velollm detect` share."""

import json
import os
import subprocess

from velollm_cli import SCHEMA_CHECK, SOURCE, CliTest

SCHEMA = SOURCE / "schema/velollm-hardware-1.schema.json"


class DetectTest(CliTest):
    def detect(self, *words, cpus=None, **more):
        """The document, which must keep to its schema. `cpus`: those that the program may run on."""
        before = os.sched_getaffinity(0)
        try:
            if cpus:
                os.sched_setaffinity(0, cpus)
            done = self.velollm("detect", "--json", *words, **more)
        finally:
            os.sched_setaffinity(0, before)
        return self.checked(self.expect(done, 0).out)

    def checked(self, text):
        file = self.folder / "checked.json"
        file.write_text(text, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(file)], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(check.returncode, 0, f"{check.stdout}{check.stderr}\n{text[:3000]}")
        return json.loads(text)
