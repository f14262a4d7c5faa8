#!/usr/bin/env python3
"""What the changes that `velollm optimize` proposes bring under limits, measured by `velollm ab` in pairs.

    bench/optimize_gains.py VELOLLM MODEL.gguf LLAMA_SERVER OLLAMA [PAIRS]

Makes a control group of its own below that of this process (v1 or v2; needs the right to) with a quota of one CPU, then one
with little memory, and runs each comparison inside it: A is the engine's default there, B what the plan says. Prints a table
in Markdown for each. Without the right to make groups, one CPU is an affinity mask, and the memory part is left out.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))
# pylint: disable=wrong-import-position
from cgroup import Group
from engines import create_model, start_ollama

MODEL_NAME = "smollm2:135m"
MIB = 1 << 20


def compare(title, words, environment):
    print(f"\n### {title}\n", flush=True)
    done = subprocess.run(list(map(str, words)), env=environment, check=False)
    print(f"\nexit code {done.returncode}", flush=True)


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    velollm, model, llama_server, ollama = sys.argv[1:5]
    pairs = sys.argv[5] if len(sys.argv) == 6 else "8"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = start_ollama(ollama, folder)
        create_model(engine, ollama, MODEL_NAME, model, folder)
        engine.stop()
        environment = {"PATH": os.environ["PATH"], "HOME": name, "LC_ALL": "C.UTF-8", "OLLAMA_MODELS": str(folder / "models"),
                       "OLLAMA_NO_CLOUD": "1", "VELOLLM_OLLAMA": ollama, "VELOLLM_LLAMA_SERVER": llama_server}
        ab = [velollm, "ab", "--format", "md", "--quiet-check", "0", "--pairs", pairs, "--requests", "1", "--warmup", "1",
              "--max-tokens", "8"]
        quota = Group.make("cpu", {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": 100000}, {"cpu.max": "100000 100000"})
        wrap = quota.words if quota else lambda words: ["taskset", "-c", str(min(os.sched_getaffinity(0))), *words]
        place = "a quota of one CPU" if quota else "an affinity to one CPU (no group could be made)"
        compare(f"llama-server, {place}: two threads, its default on two cores, against one",
                wrap([*ab, "-b", "llamacpp", "-m", model, "--a", "num_thread=2", "--b", "num_thread=1"]), environment)
        compare(f"Ollama, {place}: its default against LLAMA_ARG_THREADS=1",
                wrap([*ab, "-m", MODEL_NAME, "--a", "OLLAMA_NUM_PARALLEL=1", "--b", "LLAMA_ARG_THREADS=1"]), environment)
        if quota:
            quota.remove()
        compare("llama-server: a batch of 16 against 512, on the time to the first token of a prompt of 512 tokens",
                [*ab, "-b", "llamacpp", "-m", model, "--a", "num_batch=16", "--b", "num_batch=512", "--metric", "ttft_ms", "--depth",
                 "512"], environment)
        limit = 200 * MIB
        memory = Group.make("memory", {"memory.limit_in_bytes": limit}, {"memory.max": limit})
        if memory is None:
            print("\nNo group with a memory limit may be made here.")
            return
        compare(f"llama-server under a memory limit of {limit // MIB} MiB: a context of 8192, which doesn't fit, against 1024",
                memory.words([*ab, "-b", "llamacpp", "-m", model, "--timeout", "60", "--a", "num_ctx=8192", "--b", "num_ctx=1024"]),
                environment)
        memory.remove()


if __name__ == "__main__":
    main()
