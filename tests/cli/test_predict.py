"""`velollm predict`: what a model takes, whether it fits, and how fast it can be at most."""

import json
import os
import resource
import struct
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from scripted_server import Server, Trace
from velollm_cli import BINARY, SCHEMA_CHECK, SOURCE, CliTest

SCHEMA = SOURCE / "schema/velollm-prediction-1.schema.json"
MIB = 1 << 20


class PredictTest(CliTest):
    def predict(self, *words, **more):
        done = self.expect(self.velollm("predict", "--json", *words, **more), 0)
        file = self.folder / "prediction.json"
        file.write_text(done.out, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SCHEMA), str(file)], capture_output=True, text=True, timeout=60,
                               check=False)
        self.assertEqual(check.returncode, 0, f"{check.stdout}{check.stderr}\n{done.out[:3000]}")
        return json.loads(done.out)

    def test_a_model_that_is_not_here(self):
        document = self.predict("llama3.1:8b", "--num-ctx", "32768")
        host = document["memory"]["host"]
        self.assertEqual(round(host["weights_bytes"] / MIB), 4685)
        self.assertEqual(host["cache_bytes"], 4096 * MIB)
        self.assertEqual(round(host["compute_bytes"] / MIB), 148)
        self.assertEqual(document["needed_bytes"], host["total_bytes"])
        self.assertEqual(document["fits"], document["needed_bytes"] <= document["available_bytes"])
        self.assertEqual(document["model"]["quantization"], "Q4_K_M")
        self.assertIsNone(document["decode"]["most_tps"])

    def test_another_quantisation_and_cache(self):
        document = self.predict("llama3.1:8b", "--quantization", "q4_0", "--kv-type", "q8_0", "--num-ctx", "32768")
        self.assertEqual(round(document["memory"]["host"]["weights_bytes"] / MIB), 4438)
        self.assertEqual(document["memory"]["host"]["cache_bytes"], 2176 * MIB)
        self.assertEqual(document["settings"]["key_type"], "q8_0")

    def test_a_file_that_is_here_is_exact(self):
        model = os.environ["VELOLLM_MODEL"]
        document = self.predict(model)
        self.assertEqual(document["model"]["architecture"], "llama")
        self.assertEqual(document["model"]["blocks"], 30)
        self.assertEqual(document["memory"]["host"]["cache_bytes"], 90 * MIB)
        self.assertTrue(document["fits"])
        self.assertEqual(document["largest_context"], document["model"]["trained_context"])

    def test_without_a_temporary_folder_formulas_tell_and_nothing_is_written_here(self):
        document = self.predict("llama3.1:8b", env={"TMPDIR": "/nowhere"})
        self.assertEqual(document["memory"]["basis"], "formula")
        self.assertEqual(list(self.folder.rglob("*.gguf")), [])

    def test_depth_costs_cache(self):
        shallow, deep = (self.predict("llama3.1:8b", "--depth", depth)["decode"] for depth in ("0", "32768"))
        self.assertEqual(deep["bytes_per_token"] - shallow["bytes_per_token"], 4096 * MIB)

    def test_a_measured_bandwidth_makes_a_ceiling(self):
        decode = self.predict("smollm2:135m", "--bandwidth")["decode"]
        if decode["bandwidth_gbps"] is None:  # a busy machine measures none
            self.assertIsNone(decode["most_tps"])
            return
        self.assertEqual(decode["bandwidth_basis"], "measured")
        self.assertAlmostEqual(decode["most_tps"] * decode["bytes_per_token"] / 1e9, decode["bandwidth_gbps"],
                               delta=0.06)

    def test_a_model_that_is_too_large_is_said_to_be(self):
        done = self.expect(self.velollm("predict", "deepseek-v3:671b"), 0)
        self.assertRegex(done.out, r"It doesn't fit in memory: [\d.]+ GiB are needed, [\d.]+ GiB are available\.")
        self.assertIn("No context fits", done.out)
        self.assertNotIn("tok/s", done.out)

    def test_text_says_what_is_computed_and_how(self):
        done = self.expect(self.velollm("predict", "smollm2:135m"), 0)
        self.assertRegex(done.out, r"^smollm2:135m, \S+, llama, 30 blocks, trained for \d+ tokens\n")
        self.assertRegex(done.out, r"\n  total +[\d.]+ MiB  by (formula|the engine's own account)\n")
        self.assertRegex(done.out, r"\nIt fits in memory: ")
        self.assertRegex(done.out, r"\nSpeed: [\d.]+ GB are read for a token\. For a forecast add --bandwidth")

    def test_a_forecast_is_a_range_with_its_basis(self):
        document = self.predict("llama3.1:8b", "--bandwidth", "--num-thread", "1")
        speed = document["speed"]
        self.assertEqual(speed["engine"], "embedded")
        self.assertEqual(speed["threads"], 1)
        self.assertEqual(speed["basis"], "formula")
        if document["decode"]["bandwidth_gbps"] is None:  # a busy machine measures none
            self.assertEqual(speed["missing"], "the bandwidth of the memory is not known")
            return
        self.assertLess(speed["decode"]["low_tps"], speed["decode"]["likely_tps"])
        self.assertLess(speed["decode"]["likely_tps"], speed["decode"]["high_tps"])
        self.assertLess(speed["decode"]["high_tps"], document["decode"]["most_tps"])
        # What was measured once is known from then on.
        again = self.predict("llama3.1:8b", "--num-thread", "1")
        self.assertEqual(again["speed"]["decode"], speed["decode"])

    def test_measuring_is_refused_where_it_can_say_nothing(self):
        self.assert_error(self.velollm("predict", "deepseek-v3:671b", "--measure"), 1, "doesn't fit memory")
        self.assert_error(self.velollm("predict", "smollm2:135m", "--measure", "-b", "ollama"), 2, "embedded engine")

    def test_a_broken_calibration_is_left_alone(self):
        state = self.folder / "state"
        file = state / "velollm/calibration.json"
        file.parent.mkdir(parents=True)
        file.write_text("{", encoding="utf-8")
        done = self.expect(self.velollm("predict", "smollm2:135m", env={"XDG_STATE_HOME": str(state)}), 0)
        self.assertRegex(done.out, r"Note: \S+calibration\.json can't be used: ")
        self.assertEqual(file.read_text(encoding="utf-8"), "{")

    def serve_shown(self, answer, status=200):
        """An Ollama whose /api/show answers this; the environment that leads to it."""
        server = self.serve(Server())
        server.routes[("POST", "/api/show")] = lambda exchange: exchange.answer(status, answer)
        return server, {"OLLAMA_HOST": f"127.0.0.1:{server.port}"}

    def test_a_model_of_a_running_ollama_is_exact(self):
        here = self.predict(os.environ["VELOLLM_MODEL"])
        for version in ("0.24.0", "0.32.15"):
            answer = json.loads(Trace.load(SOURCE / f"tests/traces/ollama-{version}/show.jsonl").body)
            server, env = self.serve_shown(answer)
            there = self.predict("my/smollm2:mine", env=env)
            self.assertEqual(server.requests[0].body, {"model": "my/smollm2:mine", "verbose": True})
            self.assertEqual(there["model"].pop("name"), "my/smollm2:mine")
            self.assertEqual(there["model"], {key: value for key, value in here["model"].items() if key != "name"})
            for key in ("memory", "needed_bytes", "largest_context", "settings"):
                if version == "0.32.15":  # the other has a file with other types
                    self.assertEqual(there[key], here[key])

    def test_a_server_is_asked_before_the_catalogue_for_its_own_speed_only(self):
        answer = json.loads(Trace.load(SOURCE / "tests/traces/ollama-0.32.15/show.jsonl").body)
        server, env = self.serve_shown(answer)
        self.assertEqual(self.predict("llama3.1:8b", env=env)["model"]["blocks"], 32)
        self.assertEqual(server.requests, [])
        self.assertEqual(self.predict("llama3.1:8b", "-b", "ollama", env=env)["model"]["blocks"], 30)
        self.assertEqual(self.predict("llama3.1:8b", "-b", "ollama", "--quantization", "Q8_0", env=env)["model"]["blocks"], 32)
        self.assert_error(self.velollm("predict", "mine", "--quantization", "Q8_0", env=env), 2, "has mine")

    def test_an_ollama_without_the_model_changes_nothing(self):
        _, env = self.serve_shown({"error": "model 'lama3.1:8b' not found"}, 404)
        done = self.velollm("predict", "lama3.1:8b", env=env)
        self.assert_error(done, 4, "llama3.1:8b")
        self.assertEqual(done.err, self.velollm("predict", "lama3.1:8b").err)
        self.assertEqual(self.predict("llama3.1:8b", "-b", "ollama", env=env)["model"]["blocks"], 32)

    def test_hostile_answers_of_a_server_are_errors(self):
        tensor = {"name": "token_embd.weight", "type": "F32", "shape": [64, 64]}
        info = {"general.architecture": "llama", "llama.block_count": 1 << 40, "llama.embedding_length": 64}
        for answer in ({}, [], "text", {"model_info": info, "tensors": []}, {"model_info": info, "tensors": [tensor]},
                       {"model_info": {}, "tensors": [tensor]},
                       {"model_info": info | {"llama.block_count": 2}, "tensors": [tensor | {"shape": [1 << 62, 64]}]},
                       {"model_info": info, "tensors": [tensor | {"type": "Q4_9"}]}):
            with self.subTest(str(answer)[:100]):
                _, env = self.serve_shown(answer)
                self.assert_error(self.velollm("predict", "mine", env=env), 1, "mine can't be used")

    def test_an_answer_of_a_server_that_is_too_long_is_refused(self):
        server = self.serve(Server())

        def give(exchange):
            exchange.begin(200, "application/json")
            try:
                for _ in range(80):
                    exchange.chunk(b" " * MIB)
                exchange.end()
            except OSError:
                pass
        server.routes[("POST", "/api/show")] = give
        done = self.velollm("predict", "mine", env={"OLLAMA_HOST": f"127.0.0.1:{server.port}"})
        self.assert_error(done, 1, "longer than 64 MiB")

    def test_a_model_too_large_for_the_gpu_is_divided(self):
        card = {"env": {"VELOLLM_NVML": os.environ["VELOLLM_FAKE_NVML"], "FAKE_NVML_SCENE": "desktop"}}  # 24 GB
        document = self.predict("qwen3:14b", "--quantization", "F16", **card)
        part = document["gpu_part"]
        self.assertFalse(document["on_gpu"])
        self.assertEqual(part["layers"], document["settings"]["gpu_layers"])
        self.assertEqual(part["of_layers"], 41)
        self.assertIn(part["layers"], range(20, 40))
        self.assertEqual(part["needed_bytes"], document["memory"]["gpu"]["total_bytes"])
        self.assertLessEqual(part["needed_bytes"], part["available_bytes"])
        self.assertEqual(document["needed_bytes"], document["memory"]["host"]["total_bytes"])
        self.assertLess(part["bytes_per_token"], document["decode"]["bytes_per_token"])
        self.assertEqual(document["memory"]["basis"], "formula")
        done = self.expect(self.velollm("predict", "qwen3:14b", "--quantization", "F16", **card), 0)
        layers = rf"{part['layers']} of 41 layers"
        self.assertIn(f"Beside it, on the GPU, {layers}", done.out)
        if document["fits"]:
            self.assertRegex(done.out, rf"\nIt fits with {layers} on the GPU: [\d.]+ GiB of [\d.]+ GiB are needed there, ")
            self.assertRegex(done.out, r"There is no forecast, since the bandwidths? of ")
            self.assertIn("of the machine's memory", document["speed"]["missing"])
        self.assert_error(self.velollm("predict", "qwen3:14b", "--quantization", "F16", "--measure", **card), 1, "A part of the model")

    def verify(self, model):
        done = self.expect(self.velollm("predict", model, "--verify", "--json"), 0)
        file = self.folder / "verification.json"
        file.write_text(done.out, encoding="utf-8")
        check = subprocess.run([SCHEMA_CHECK, str(SOURCE / "schema/velollm-verification-1.schema.json"), str(file)],
                               capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        return json.loads(done.out)["settings"]

    def test_the_formulas_are_verified_by_the_engine(self):
        for model in ("llama3.1:8b", os.environ["VELOLLM_MODEL"]):
            settings = self.verify(model)
            self.assertEqual({one["cache_type"] for one in settings}, {"f16", "q8_0"})
            for one in settings:
                self.assertIsNone(one["refused"])
                for term in ("weights", "cache", "compute"):
                    self.assertEqual(one[term]["formula_bytes"], one[term]["engine_bytes"])
        done = self.expect(self.velollm("predict", "llama3.1:8b", "--verify"), 0)
        self.assertRegex(done.out, r"\n +131072 +f16 +4685\.3 +4685\.3 +exact +16384\.0 +16384\.0 +exact ")
        self.assertIn("The formulas hold for this model", done.out)

    def limited(self, *words, resource_name, limit):
        def restrict():
            kind = getattr(resource, resource_name)
            resource.setrlimit(kind, (limit, limit))
        return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, check=False,
                              preexec_fn=restrict,  # pylint: disable=subprocess-popen-preexec-fn
                              env=self.environment(), cwd=self.folder)

    def test_a_limit_of_file_sizes_leaves_the_formulas(self):
        done = self.limited("predict", "llama3.1:8b", "--json", resource_name="RLIMIT_FSIZE", limit=1 << 20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["memory"]["basis"], "formula")
        done = self.limited("predict", "smollm2:135m", "--measure", resource_name="RLIMIT_FSIZE", limit=1 << 20)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"Error: Cannot keep a file of 0\.1 GB in \S+: File too large")

    def addresses_needed(self):
        """What the program and its libraries take to say that a file is broken, within 8 MiB."""
        file = self.folder / "broken.gguf"
        file.write_bytes(b"GGUF" + b"\xff" * 100)
        for limit in range(64 * MIB, 2048 * MIB, 8 * MIB):
            done = self.limited("predict", str(file), resource_name="RLIMIT_AS", limit=limit)
            if done.returncode == 1 and "broken.gguf" in done.stderr:
                return limit
        self.fail("it takes more than 2 GiB of addresses")

    def test_hostile_files_are_errors_and_take_no_memory(self):
        def text(value):
            return struct.pack("<Q", len(value)) + value
        start = b"GGUF" + struct.pack("<I", 3)
        architecture = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
        files = {
            "a string of 2^60 bytes": start + struct.pack("<QQ", 0, 1) + struct.pack("<Q", 1 << 60),
            "2^62 tensors": start + struct.pack("<QQ", 1 << 62, 1) + architecture,
            "2^62 values": start + struct.pack("<QQ", 0, 1 << 62) + architecture,
            "an array of 2^61 numbers": start + struct.pack("<QQ", 0, 2) + architecture +
                                        text(b"llama.block_count") + struct.pack("<IIQ", 9, 4, 1 << 61),
            "tensors on top of each other": start + struct.pack("<QQ", 2, 1) + architecture +
                                            b"".join(text(name) + struct.pack("<IQIQ", 1, 1024, 0, 0)
                                                     for name in (b"a", b"b")) + bytes(16384),
            "a tensor of 2^63 elements": start + struct.pack("<QQ", 1, 1) + architecture + text(b"a") +
                                         struct.pack("<IQQIQ", 2, 1 << 32, 1 << 31, 0, 0),
        }
        most = self.addresses_needed() + 64 * MIB
        for name, content in files.items():
            with self.subTest(name):
                file = self.folder / "hostile.gguf"
                file.write_bytes(content)
                done = self.limited("predict", str(file), resource_name="RLIMIT_AS", limit=most)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stderr, r"^Error: .*hostile\.gguf")
                self.assertNotIn("internal failure", done.stderr)

    def test_mistakes(self):
        self.assert_error(self.velollm("predict", "lama3.1:8b"), 4, "llama3.1:8b")
        self.assert_error(self.velollm("predict", "llama3.1:8b", "--quantization", "Q9_X"), 2)
        self.assert_error(self.velollm("predict", "llama3.1:8b", "--kv-type", "f17"), 2, "f17")
        self.assert_error(self.velollm("predict", os.environ["VELOLLM_MODEL"], "--quantization", "Q8_0"), 2)
        self.expect(self.velollm("predict"), 2)
        self.expect(self.velollm("predict", "llama3.1:8b", "--num-ctx", "0"), 2)
        self.expect(self.velollm("predict", "llama3.1:8b", "--num-ctx", "99999999999999"), 2)
        broken = self.folder / "broken.gguf"
        broken.write_bytes(b"GGUF" + b"\xff" * 100)
        self.assert_error(self.velollm("predict", broken), 1)


if __name__ == "__main__":
    unittest.main()
