"""`velollm benchmark -b openai`: a prompt cache that the server says nothing of is found out."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from mock_server import Mock
from velollm_cli import CliTest

COLD_MS, CACHED_MS = 200, 20
# The program asks what fields the server takes, warms up once, checks, and measures twice.
BEFORE = 2


class CacheCheck(CliTest):
    def measure(self, *ttfts, more=()):
        """The result where the three requests of the check come after these times, and all others after COLD_MS."""
        times = [COLD_MS] * BEFORE + list(ttfts) + [COLD_MS] * 2
        script = {"finish": {"usage_at": "none"},
                  "requests": [{"steps": [{"dt_ms": ms}, {"dt_ms": 2, "repeat": 3}]} for ms in times]}
        mock = Mock(script, self.folder)
        self.addCleanup(mock.stop)
        done = self.velollm("benchmark", "-b", "openai", "--url", mock.url, "-m", "mock:1b", "--prompt",
                            "Say something.", "--max-tokens", "4", "--runs", "2", "--warmup", "1", "-o", self.results, *more)
        self.assertIn(done.code, (0, 5), done)
        self.requests = mock.truth()["requests"]
        return done, json.loads(self.results.read_text(encoding="utf-8"))[0]["velollm"]

    def test_a_cache_that_new_words_get_past_is_a_note(self):
        done, result = self.measure(COLD_MS, CACHED_MS, COLD_MS)
        check = result["preparation"]["cache_check"]
        self.assertEqual((check["caches"], check["defeated"]), (True, True))
        self.assertIn("Note: this server caches prompts; new words in front of each get past it", done.out)
        self.assertNotIn("cached_prompt_suspected", result["warnings"])

    def test_a_cache_that_they_do_not_get_past_makes_the_result_suspect(self):
        done, result = self.measure(COLD_MS, CACHED_MS, CACHED_MS)
        check = result["preparation"]["cache_check"]
        self.assertEqual((check["caches"], check["defeated"]), (True, False))
        self.assertIn("new words in front don't get past it", done.out)
        self.assertIn("cached_prompt_suspected", result["warnings"])

    def test_no_cache_is_no_word(self):
        done, result = self.measure(COLD_MS, COLD_MS, COLD_MS)
        self.assertFalse(result["preparation"]["cache_check"]["caches"])
        self.assertNotIn("caches prompts", done.out)

    def test_the_check_repeats_a_long_prompt_and_then_changes_its_beginning(self):
        self.measure(COLD_MS, COLD_MS, COLD_MS)
        first, again, other = self.requests[BEFORE:BEFORE + 3]
        self.assertEqual(first["body"], again["body"])
        self.assertNotEqual(first["prompt_start"], other["prompt_start"])
        self.assertGreater(len(first["body"]), 2000)
        self.assertEqual(first["body"].split("\\n\\n")[1:], other["body"].split("\\n\\n")[1:])

    def test_a_quick_look_does_without(self):
        _, result = self.measure(more=("--quick",))
        self.assertNotIn("cache_check", result["preparation"])


if __name__ == "__main__":
    unittest.main()
