"""`velollm benchmark -b openai` against servers that put their counts, errors and ends in different places."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from scripted_server import ClosedPort, Server, pause
from velollm_cli import CliTest

KEY = "sk-test-0123456789abcdef"
SHORT = ("--prompt", "Say hello", "--max-tokens", "6", "--iterations", "3")


class OpenAi(Server):
    """Speaks /v1 for models that exist in name only."""

    def __init__(self, models=("tiny",), counts="usage-only", **more):
        super().__init__(**more)
        self.models = models
        self.counts = counts          # usage-only | last-choice | every-chunk | none
        self.end = "done"             # done | no-mark | cut | error
        self.key = None               # asked for when set
        self.refuse = ()              # fields that are answered with 400
        self.posts = []
        self.routes |= {("GET", "/v1/models"): self.give_models, ("POST", "/v1/chat/completions"): self.give_answer,
                        ("POST", "/v1/completions"): self.give_answer}

    def _admits(self, exchange):
        if self.key is None or exchange.request.headers.get("authorization") == f"Bearer {self.key}":
            return True
        # As careless servers do, it repeats what it was given.
        exchange.answer(401, {"error": {"message": f"bad key: {exchange.request.headers.get('authorization')}"}})
        return False

    def give_models(self, exchange):
        if self._admits(exchange):
            exchange.answer(200, {"object": "list", "data": [{"id": name, "owned_by": "test"} for name in self.models]})

    def give_answer(self, exchange):
        if not self._admits(exchange):
            return
        body = exchange.request.body
        self.posts.append(body)
        for field in self.refuse:
            if field in body:
                exchange.answer(400, {"error": {"message": f"Unrecognized request argument supplied: {field}"}})
                return
        self._stream(exchange, body)

    def _stream(self, exchange, body):
        chat = exchange.request.path.startswith("/v1/chat")
        tokens = body.get("max_tokens") or body["max_completion_tokens"]
        prompt = body["messages"][0]["content"] if chat else body["prompt"]

        def usage(count):
            return {"prompt_tokens": len(prompt.split()) + 6, "completion_tokens": count}

        def event(delta, reason=None, **more):
            text = {"delta": delta} if chat else {"text": delta.get("content", "")}
            self._say(exchange, {"choices": [{"index": 0, "finish_reason": reason} | text]} | more)

        exchange.begin(content_type="text/event-stream", at_once=True)
        event({"role": "assistant", "content": ""})
        for index in range(tokens):
            pause(0.002)
            event({"content": " word"}, **({"usage": usage(index + 1)} if self.counts == "every-chunk" else {}))
            if self.end in ("cut", "error") and index == 2:
                if self.end == "error":
                    self._say(exchange, {"error": {"message": f"engine died, {KEY}"}})
                exchange.end()
                return
        event({}, "length", **({"usage": usage(tokens)} if self.counts == "last-choice" else {}))
        if self.counts in ("usage-only", "every-chunk"):
            self._say(exchange, {"choices": [], "usage": usage(tokens)})
        if self.end == "done":
            exchange.chunk(b"data: [DONE]\n\n")
        exchange.end()

    @staticmethod
    def _say(exchange, value):
        exchange.chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


class OpenAiTest(CliTest):
    def server(self, **more):
        return self.serve(OpenAi(**more))

    def against(self, server, *words, address="/v1", **more):
        return self.velollm("benchmark", "-b", "openai", "--url", server.url + address, "-o", self.results,
                            *(words or SHORT), **more)


class Counting(OpenAiTest):
    def test_counts_wherever_they_stand(self):
        for counts, source in (("usage-only", "server_total"), ("last-choice", "server_total"), ("every-chunk", "running_count")):
            with self.subTest(counts):
                done = self.expect(self.against(self.server(counts=counts)), 0)
                self.assertEqual(done.err, "")
                self.assertIn("\nBackend: openai\nModel: tiny\n\nChecking OpenAI-compatible server availability... ✓\n", done.out)
                element = self.valid_results()[0]
                self.assertEqual(element["eval_count"], 6)
                self.assertEqual(element["velollm"]["method"]["token_source"], source)
                self.assertEqual(element["velollm"]["run"]["runtime"]["kind"], "openai")
                for sample in element["velollm"]["samples"]:
                    self.assertEqual((sample["outcome"], sample["finish"], len(sample["event_ns"])), ("ok", "length", 6))

    def test_without_counts_they_are_estimated(self):
        server = self.server(counts="none")
        self.expect(self.against(server), 0)
        element = json.loads(self.results.read_text(encoding="utf-8"))[0]
        self.assertEqual(element["velollm"]["method"]["token_source"], "chunks")

    def test_address_and_endpoint(self):
        for address in ("", "/", "/v1", "/v1/"):
            server = self.server()
            self.expect(self.against(server, address=address), 0)
            self.assertEqual(set(server.paths()), {"/v1/models", "/v1/chat/completions"})
        server = self.server()
        self.expect(self.against(server, *SHORT, "--endpoint", "completions"), 0)
        self.assertEqual(set(server.paths()), {"/v1/models", "/v1/completions"})
        self.assertTrue(server.posts[-1]["prompt"].endswith("Say hello"))

    def test_what_is_sent(self):
        server = self.server()
        self.expect(self.against(server), 0)
        body = server.posts[-1]
        self.assertEqual({key: body[key] for key in ("model", "max_tokens", "temperature", "seed", "stream", "ignore_eos",
                                                     "min_tokens", "stream_options")},
                         {"model": "tiny", "max_tokens": 6, "temperature": 0, "seed": 42, "stream": True, "ignore_eos": True,
                          "min_tokens": 6, "stream_options": {"include_usage": True, "continuous_usage_stats": True}})

    def test_a_strict_server_gets_the_plain_form(self):
        server = self.server()
        server.refuse = ("ignore_eos",)
        done = self.expect(self.against(server), 0)
        self.assertNotIn("ignore_eos", server.posts[-1])
        self.assertEqual(server.posts[-1]["stream_options"], {"include_usage": True})
        self.assertIn("Note: the server can't be told to ignore the end token", done.out)
        self.assertEqual(self.valid_results()[0]["velollm"]["run"]["runtime"]["settings"]["ignore_eos"], "refused")


class Ends(OpenAiTest):
    def test_a_missing_mark_at_the_end_is_no_failure(self):
        server = self.server()
        server.end = "no-mark"
        self.expect(self.against(server), 0)

    def test_a_stream_that_stops_and_one_that_tells_an_error(self):
        for end, words in (("cut", "ended without its final record"), ("error", "engine died, [key]")):
            server = self.server()
            server.end = end
            done = self.against(server, env={"OPENAI_API_KEY": KEY})
            self.assertNotEqual(done.code, 0)
            self.assertIn(words, done.out + done.err)
            self.assertNotIn(KEY, done.out + done.err)


class Keys(OpenAiTest):
    def test_the_key_is_sent_and_kept_nowhere(self):
        for words, env in (((), {"OPENAI_API_KEY": KEY}), (("--api-key-env", "MINE"), {"MINE": KEY, "OPENAI_API_KEY": "no"})):
            server = self.server()
            server.key = KEY
            done = self.expect(self.against(server, *SHORT, "-v", *words, env=env), 0)
            self.assertNotIn(KEY, done.out + done.err + self.results.read_text(encoding="utf-8"))

    def test_a_key_that_is_missing_or_wrong(self):
        server = self.server()
        server.key = KEY
        self.assert_error(self.against(server), 1, "(401)", "--api-key-env NAME")
        done = self.against(server, env={"OPENAI_API_KEY": "sk-wrong-one"})
        self.assert_error(done, 1, "(401): bad key: Bearer [key]")
        self.assertNotIn("sk-wrong", done.out + done.err)
        self.assert_error(self.against(server, *SHORT, "--api-key-env", "NONE"), 2, "NONE is not set")
        self.assertEqual(server.posts, [])


class Mistakes(OpenAiTest):
    def test_models(self):
        server = self.server(models=("llama-8b", "qwen-7b"))
        self.assert_error(self.against(server), 2, "Which model?", "llama-8b")
        lines = self.assert_error(self.against(server, *SHORT, "-m", "llama-9b"), 4, "llama-8b")
        self.assertEqual(lines[0], "Error: Model not found: llama-9b")

    def test_addresses(self):
        port = ClosedPort()
        self.addCleanup(port.close)
        self.assert_error(self.velollm("benchmark", "-b", "openai", "--url", port.url, *SHORT), 3, "is not running at", "--url")
        self.assert_error(self.velollm("benchmark", "-b", "openai", *SHORT), 2, "--url")

    def test_a_server_that_has_moved(self):
        server = self.server()
        server.routes[("GET", "/v1/models")] = lambda exchange: exchange.raw(
            b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/v1/models\r\nContent-Length: 0\r\n\r\n")
        self.assert_error(self.against(server, env={"OPENAI_API_KEY": KEY}), 1, "(301)", "--url")

    def test_options_of_other_servers(self):
        server = self.server()
        self.assert_error(self.against(server, *SHORT, "--num-ctx", "512"), 2, "--num-")
        self.assert_error(self.against(server, *SHORT, "--kv-type", "q8_0"), 2, "--kv-type")
        self.assert_error(self.against(server, *SHORT, "--endpoint", "generate"), 2, "completions")
        self.assert_error(self.against(server, *SHORT, "--reload"), 2, "unload")


if __name__ == "__main__":
    unittest.main()
