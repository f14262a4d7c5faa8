"""A result of very many events keeps them all, packed: every number can be worked out from the file again."""

import base64
import itertools
import json
import statistics
import struct
import sys
import unittest
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import CliTest

TOKENS = 20_000


def unpacked(text):
    data = zlib.decompress(base64.b64decode(text, validate=True))
    return list(itertools.accumulate(struct.unpack(f"<{len(data) // 8}q", data)))


class Packed(CliTest):
    def test_the_numbers_follow_from_the_packed_times(self):
        mock = Mock({"steps": [{"dt_ms": 20}, {"dt_ms": 0.01, "repeat": TOKENS - 1}]}, self.folder)
        self.addCleanup(mock.stop)
        done = self.velollm("benchmark", "-b", "llamacpp", "--url", mock.url, "--prompt", "x", "--runs", "3",
                            "--warmup", "1", "--max-tokens", TOKENS, "-o", self.results, "--force")
        self.assertIn(done.code, (0, 5), done)
        element = json.loads(self.results.read_text(encoding="utf-8"))[0]
        speeds = []
        for sample in element["velollm"]["samples"]:
            self.assertFalse("event_ns" in sample)
            times, tokens = unpacked(sample["event_ns_packed"]), unpacked(sample["event_tokens_packed"])
            # Compared without a list of differences, which takes minutes for so many.
            self.assertEqual((len(times), len(tokens), set(tokens)), (TOKENS, TOKENS, {1}))
            self.assertTrue(times == sorted(times))
            self.assertLessEqual(times[-1], sample["done_ns"])
            speeds.append((TOKENS - 1) / (times[-1] - times[0]) * 1e9)
        client = element["velollm"]["client"]
        self.assertGreaterEqual(client["events"], 3 * TOKENS)
        self.assertEqual(client["events"] - client["coalesced"] > 0, True)
        self.assertLessEqual(client["events"] - client["coalesced"], client["reads"])
        self.assertAlmostEqual(element["velollm"]["measured"]["decode_tps"]["median"], statistics.median(speeds), 3)
        self.assertLess(self.results.stat().st_size, 40 * TOKENS)


if __name__ == "__main__":
    unittest.main()
