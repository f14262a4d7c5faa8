#!/usr/bin/env python3
"""Measures the error that `velollm benchmark` itself makes, against a server that knows the truth.

The server runs in this process, speaks as Ollama (or llama-server) does, and sends tokens at planned instants. It writes
down when a request was read and when each token was handed to the kernel. What velollm reports is compared with that.
Prints figures and asserts nothing: they depend on the machine and on what else runs there.

TTFT error: velollm's time to first token less the server's (request read -> first token sent). Both ways through the
loopback interface are in it, so it is never below zero by much. Decode error: relative difference of the speeds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPIN_NS = 300_000  # the last part of a wait is spent looking at the clock
PROMPT = "Tell me about the sea."


def wait_until(due_ns):
    while (left := due_ns - time.monotonic_ns()) > 0:
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)


class Plan:
    """How fast the server answers, and what it did: nonce of the prompt -> (request read, times of the tokens)."""

    def __init__(self, ttft_ms, rate):
        self.ttft_ns = int(ttft_ms * 1e6)
        self.gap_ns = int(1e9 / rate)
        self.log = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    plan = None

    def parse_request(self):
        # The first line has been read; what Python needs to take the rest apart is not velollm's time.
        self.read_ns = time.monotonic_ns()
        return super().parse_request()

    def log_message(self, *_):
        pass

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        known = {
            "/api/version": {"version": "0.0.0-paced"},
            "/api/ps": {"models": []},
            "/api/tags": {"models": []},
            "/props": {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 1, "model_alias": "paced"},
        }
        if self.path in known:
            self.answer(known[self.path])
        else:
            self.answer({"error": "not found"}, 404)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/show":
            self.answer({"details": {}, "model_info": {}})
        elif self.path == "/api/generate" and not body.get("prompt"):
            self.answer({"done": True})
        elif self.path == "/api/generate":
            self.stream(body["prompt"], body["options"]["num_predict"], "application/x-ndjson", ollama_event)
        elif self.path == "/completion":
            self.stream(body["prompt"], body["n_predict"], "text/event-stream", llama_server_event)
        else:
            self.answer({"error": "not found"}, 404)

    def stream(self, prompt, count, kind, event):
        plan, read_ns = self.plan, self.read_ns
        # All bytes are made before the first is due.
        chunks = [event(i, count) for i in range(count + 1)]
        chunks = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = []
        for i in range(count):
            wait_until(read_ns + plan.ttft_ns + i * plan.gap_ns)
            sent.append(time.monotonic_ns())
            self.wfile.write(chunks[i])
        self.wfile.write(chunks[count] + b"0\r\n\r\n")
        plan.log[prompt.split("\n")[0]] = (read_ns, sent)


def ollama_event(i, count):
    if i < count:
        return json.dumps({"response": " word", "done": False}).encode() + b"\n"
    return json.dumps({"response": "", "done": True, "done_reason": "length", "prompt_eval_count": 20,
                       "eval_count": count}).encode() + b"\n"


def llama_server_event(i, count):
    value = {"content": " word", "tokens": [i], "stop": False}
    if i == count:
        value = {"content": "", "tokens": [], "stop": True, "stop_type": "limit", "tokens_evaluated": 20,
                 "timings": {"cache_n": 0, "prompt_n": 20, "predicted_n": count}}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def serve(plan):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("PacedHandler", (Handler,), {"plan": plan}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run_velollm(options, port, result):
    """Runs it to its end; gives its use of the machine."""
    command = [options.velollm, "benchmark", "-b", "llamacpp" if options.server == "llama-server" else "ollama",
               "-m", "paced", "--url", f"http://127.0.0.1:{port}", "--prompt", PROMPT, "-q",
               "--max-tokens", str(options.tokens), "--iterations", str(options.iterations), "-o", result]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 5):
        sys.exit(f"velollm ended with {process.returncode}")
    return usage


def errors_of(element, log):
    """Of every counted sample: error of TTFT in microseconds, relative error of decode speed, lateness of the server."""
    ttft, decode = [], []
    for sample in element["velollm"]["samples"]:
        if not sample["counted"]:
            continue
        read_ns, sent = log[sample["nonce"]]
        events = sample["event_ns"]
        ttft.append((events[0] - (sent[0] - read_ns)) / 1e3)
        decode.append((sent[-1] - sent[0]) / (events[-1] - events[0]) * (len(events) - 1) / (len(sent) - 1) - 1)
    return ttft, decode


def rank(values, share):
    """Nearest rank: always a value that occurred."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * int(share * 100) // 100) - 1))]


def measure(options, rate):
    plan = Plan(options.ttft_ms, rate)
    server = serve(plan)
    with tempfile.TemporaryDirectory(prefix="velollm-bench-") as folder:
        result = os.path.join(folder, "result.json")
        usage = run_velollm(options, server.server_address[1], result)
        element = json.loads(Path(result).read_text())[0]
    server.shutdown()
    server.server_close()
    ttft, decode = errors_of(element, plan.log)
    if not ttft:
        sys.exit(f"no valid sample at {rate} tok/s: {element['velollm']['findings']}")
    late = [sent[i] - read - plan.ttft_ns - i * plan.gap_ns for read, sent in plan.log.values() for i in range(len(sent))]
    size = [abs(value) for value in decode]
    print(f"{rate:9.0f} | {statistics.median(ttft):7.0f} {rank(ttft, 0.95):7.0f} |"
          f" {100 * statistics.median(size):8.4f} {100 * rank(size, 0.95):8.4f} |"
          f" {100 * element['velollm']['client'].get('cpu_share', float('nan')):6.2f} |"
          f" {usage.ru_utime + usage.ru_stime:6.2f} | {usage.ru_maxrss / 1024:8.1f} |"
          f" {rank(late, 0.95) / 1e3:8.0f} | {len(ttft):4}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--velollm", default=str(ROOT / "build/release/velollm"))
    parser.add_argument("--server", choices=["ollama", "llama-server"], default="ollama")
    parser.add_argument("--rates", default="50,200,1000", help="tokens per second, one run each")
    parser.add_argument("--ttft-ms", type=float, default=50.0)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_args()
    print(f"{options.server} dialect, {options.iterations} requests of {options.tokens} tokens, TTFT {options.ttft_ms} ms")
    print("     rate |  TTFT error us  | decode error %    |  own   |  CPU   |   peak   | server   |")
    print("    tok/s |  median     p95 |   median      p95 |  CPU % |  s all |   MiB    | late us  |    n")
    for rate in options.rates.split(","):
        measure(options, float(rate))


if __name__ == "__main__":
    main()
