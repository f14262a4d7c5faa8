"""A test of `velollm benchmark` against a scripted Ollama of its own."""

import json
import re

from scripted_server import Ollama, Reply
from velollm_cli import CliTest

# The scripted server states no eval time in these tests, so that no warning depends on this machine's load.
QUIET = Reply(eval_ns=None)


def small_suite(*entries) -> bytes:
    return json.dumps([{"name": name, "prompt": f"Say {name}", "max_tokens": 6, "iterations": 2} | more
                       for name, more in entries]).encode()


MACHINE_CODES = ("background_load", "host_hiccup", "client_saturated", "vm_steal", "not_steady", "quota_throttled", "clock_drift")


def apart_from_the_machine(text: str) -> str:
    """The output without what the program says of the machine that the test happens to run on."""
    codes = "|".join(MACHINE_CODES)
    text = re.sub(rf"(?m)^  \S+: ({codes}): .*\n    .*\n", "", text)
    text = re.sub(rf"(\[suspect: |, )({codes})\b", r"\1", text).replace("[suspect: , ", "[suspect: ")
    return text.replace(" [suspect: ]", "").replace("Warnings:\n\n", "")


class BenchmarkTest(CliTest):
    def setUp(self):
        super().setUp()
        self.server = self.serve(Ollama())
        self.server.reply = QUIET

    def benchmark(self, *words, **more):
        return self.velollm("benchmark", "--url", self.server.url, *words, **more)

    def quick(self, *words, **more):
        """One benchmark of two short requests."""
        return self.benchmark("--prompt", "Say hello", "--max-tokens", "6", "--iterations", "2", *words, **more)
