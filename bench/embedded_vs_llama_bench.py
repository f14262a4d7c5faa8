#!/usr/bin/env python3
"""Compares the generation speed of velollm's embedded engine with llama.cpp's own llama-bench.

Same GGUF file, same number of threads, pairs in one run, order drawn anew in each pair. What is left between the two is
what velollm adds: sampling, turning tokens into text, stamping. Prints figures and judges them against the goal; the
exit code says only whether it could measure. Wants an otherwise idle machine.

The two don't measure quite the same: velollm generates behind its prompt (about 30 tokens of context) and leaves the
first token out of the time; llama-bench starts with an empty context, feeds random tokens and samples nothing.
"""

import argparse
import json
import math
import random
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.98
PROMPT = "Tell me about the sea."


def places():
    """Where scripts/setup put things."""
    text = subprocess.run([ROOT / "scripts/setup", "--print"], check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def usable_threads(velollm):
    return json.loads(output_of([velollm, "detect", "--json"]))["cpu"]["usable"]["threads"]


def embedded(options):
    text = output_of([options.velollm, "benchmark", "-b", "embedded", "-m", options.model, "--prompt", PROMPT,
                      "--max-tokens", str(options.tokens), "--iterations", "1",
                      "--num-thread", str(options.threads), "--format", "json"])
    return json.loads(text)[0]["velollm"]["measured"]["decode_tps"]["median"]


def llama_bench(options):
    text = output_of([options.llama_bench, "-m", options.model, "-p", "0", "-n", str(options.tokens), "-r", "1",
                      "-d", str(options.depth), "-t", str(options.threads), "-o", "json"])
    return json.loads(text)[0]["avg_ts"]


def median_interval(values, coverage=0.95):
    """The order statistics that enclose the true median with at least this probability; None when there are too few."""
    ordered, n = sorted(values), len(values)
    best = None
    for k in range(1, n // 2 + 1):
        inside = 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n
        if inside >= coverage:
            best = (ordered[k - 1], ordered[n - k], inside)
    return best


def measure(options):
    pairs = []
    for number in range(options.pairs):
        order = [("embedded", embedded), ("llama-bench", llama_bench)]
        random.shuffle(order)
        speeds = {name: run(options) for name, run in order}
        pairs.append((speeds["embedded"], speeds["llama-bench"]))
        print(f"pair {number + 1:2}: embedded {pairs[-1][0]:8.2f} tok/s, llama-bench {pairs[-1][1]:8.2f} tok/s, "
              f"ratio {pairs[-1][0] / pairs[-1][1]:.4f}  ({order[0][0]} first)", flush=True)
    return pairs


def show(pairs):
    for name, speeds in zip(("embedded", "llama-bench"), zip(*pairs)):
        print(f"{name:12} median {statistics.median(speeds):8.2f} tok/s ({min(speeds):.2f} .. {max(speeds):.2f})")
    ratios = [a / b for a, b in pairs]
    line = f"ratio        median {statistics.median(ratios):8.4f}"
    interval = median_interval(ratios)
    if interval is None:
        print(f"{line} ({min(ratios):.4f} .. {max(ratios):.4f}; no interval below 6 pairs)")
        return
    low, high, coverage = interval
    verdict = "reached" if low >= GOAL else "missed" if high < GOAL else "cannot tell: measure more pairs, or on a quieter machine"
    print(f"{line} ({low:.4f} .. {high:.4f}, {100 * coverage:.1f}% interval of the median)")
    print(f"goal >= {GOAL}: {verdict}")


def load_average():
    match = re.match(r"\S+", Path("/proc/loadavg").read_text())
    return float(match[0])


def main():
    known = places()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--velollm", default=str(ROOT / "build/release/velollm"))
    parser.add_argument("--llama-bench", default=known.get("VELOLLM_LLAMA_BENCH"))
    parser.add_argument("--model", default=known.get("VELOLLM_MODEL"), help="a GGUF file")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--threads", type=int, help="default: what 'velollm detect' says is usable")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--depth", type=int, default=0,
                        help="context that llama-bench starts with; 30 is what the prompt gives velollm")
    options = parser.parse_args()
    if not options.llama_bench or not options.model:
        sys.exit("llama-bench or the model is missing: run scripts/setup, or name them.")
    options.threads = options.threads or usable_threads(options.velollm)
    print(f"{options.tokens} tokens, {options.threads} threads, llama-bench at depth {options.depth}, load of this machine before: {load_average():.2f}")
    show(measure(options))


if __name__ == "__main__":
    main()
