#!/usr/bin/env python3
"""Time of `velollm detect --json` beside other tools that show the hardware, interleaved and in an order drawn anew in
each round, so that all of them meet the same disturbance. Prints wall time and processor time, median and quartiles, and
the ratio to lscpu of the same round.

--bandwidth RUNS looks at the repeatability of `velollm detect --bandwidth` instead.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOAL_WALL_MS, GOAL_CPU_MS = 20, 15
OTHERS = {"true (floor)": ["true"], "lscpu": ["lscpu", "-J"], "fastfetch": ["fastfetch", "--format", "json"],
          "lshw": ["lshw", "-json"]}


def timed(words):
    """(wall ms, user + system ms) of one run, children included."""
    started = time.perf_counter_ns()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = (time.perf_counter_ns() - started) / 1e6
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} ended with {child.returncode}")
    return wall, (usage.ru_utime + usage.ru_stime) * 1e3


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:7.2f} ({low:.2f} .. {high:.2f})"


def times(velollm, rounds):
    tools = {"velollm": [velollm, "detect", "--json"]} | {
        name: words for name, words in OTHERS.items() if shutil.which(words[0])}
    for words in tools.values():
        timed(words)  # into the page cache
    taken = {name: [] for name in tools}
    for _ in range(rounds):
        for name in random.sample(list(tools), len(tools)):
            taken[name].append(timed(tools[name]))
    print(f"{rounds} interleaved rounds; median (quartiles), ms\n")
    print(f"{'':14}{'wall':28}{'user + system':28}wall / lscpu's")
    for name, values in taken.items():
        walls, cpus = zip(*values)
        ratio = statistics.median(wall / other for wall, (other, _) in zip(walls, taken["lscpu"]))
        print(f"{name:14}{spread(walls):28}{spread(cpus):28}{ratio:.2f}")
    wall, cpu = (statistics.median(values) for values in zip(*taken["velollm"]))
    print(f"\ngoal: {GOAL_WALL_MS} ms wall, {GOAL_CPU_MS} ms of processor: "
          f"{'reached' if wall <= GOAL_WALL_MS and cpu <= GOAL_CPU_MS else 'missed'}")


def bandwidth(velollm, runs):
    figures, reasons = [], []
    for _ in range(runs):
        started = time.perf_counter()
        done = subprocess.run([velollm, "detect", "--bandwidth", "--json"], capture_output=True, text=True, check=True)
        document = json.loads(done.stdout)
        probe, peak = document["memory"]["bandwidth"]["measured"], document["cpu"]["peak"]
        print(f"{time.perf_counter() - started:5.2f} s  read {probe['read_gbps']} GB/s with {probe['threads']}, "
              f"1 thread {probe['read_1t_gbps']}, cv {probe['cv_percent']} %, "
              f"{probe['clean_repetitions']} of {probe['repetitions']} clean, {probe['reason'] or 'valid'}; "
              f"peak {peak['fp32_gflops']} GFLOP/s, {peak['int8_gops']} Gop/s {peak['reason'] or ''}")
        (figures if probe["valid"] else reasons).append(probe["read_gbps"] or probe["reason"])
    print(f"\n{len(figures)} of {runs} valid")
    if figures:
        middle = statistics.median(figures)
        print(f"median {middle:.1f} GB/s, from {min(figures) / middle - 1:+.1%} to {max(figures) / middle - 1:+.1%} "
              "(goal: within 5 %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--velollm", default=ROOT / "build/release/velollm")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--bandwidth", type=int, metavar="RUNS")
    args = parser.parse_args()
    if args.bandwidth:
        bandwidth(args.velollm, args.bandwidth)
    else:
        times(args.velollm, args.rounds)


if __name__ == "__main__":
    main()
