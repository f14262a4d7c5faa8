#!/usr/bin/env python3
"""Turns recorded replies of tests/traces into inputs of dialects_fuzz.

Usage: seeds.py TRACES FOLDER
"""

import json
import sys
from pathlib import Path

LONGEST = 3000  # bytes of a reply: its beginning and its end are what matters
HEAD, TAIL = 1800, 1000
CUTS = bytes([3, 1, 40, 7])  # three lengths, taken in turn
REFUSED = 128


def dialects(request, folder):
    """The numbers that dialects_fuzz gives to those who would read the reply."""
    path = request["path"]
    if path in ("/api/generate", "/api/chat"):
        return [0]
    if path == "/completion":
        return [1]
    if path in ("/v1/chat/completions", "/v1/completions"):
        return [2, 3] if folder.startswith("llama-server") else [3]
    return []


def shortened(reply):
    """Whole events of the beginning and of the end."""
    if len(reply) <= LONGEST:
        return reply
    head = reply[:reply.rfind(b"\n", 0, HEAD) + 1]
    tail = reply[reply.find(b"\n", len(reply) - TAIL) + 1:]
    return head + tail


def main():
    traces, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for path in sorted(traces.glob("*/*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        reply = shortened("".join(line["data"] for line in lines[2:]).encode())
        for number in dialects(lines[0]["request"], path.parent.name):
            first = number if lines[1]["status"] == 200 else number + REFUSED
            (folder / f"{path.parent.name}-{path.stem}-{number}").write_bytes(bytes([first]) + CUTS + reply)
            written += 1
    if written < 40:
        sys.exit(f"only {written} replies were found in {traces}")


if __name__ == "__main__":
    main()
