#!/usr/bin/env python3
"""Checks layout: clang-format-14 for C++, plain text without tabs and trailing blanks, exec bits that fit the file."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from common import ROOT, Case, Finding, below, files_of, run  # noqa: E402

CLANG_FORMAT = "clang-format-14"
# Recorded from real machines, servers and runs: kept byte for byte.
AS_RECORDED = ("tests/traces", "tests/hosts", "tests/fuzz/corpus", "tests/approved")
MAY_HAVE_TABS = ("Makefile", ".mk", ".go", "go.mod", "go.sum", ".svg")


def check_text(name, data):
    if b"\r\n" in data:
        yield Finding(name, data[:data.index(b"\r\n")].count(b"\n") + 1, "the line ends in CR LF")
    for number, line in enumerate(data.split(b"\n"), 1):
        if b"\t" in line and not name.endswith(MAY_HAVE_TABS):
            yield Finding(name, number, "a tab: indent with spaces")
        if line.rstrip(b"\r").endswith((b" ", b"\t")):
            yield Finding(name, number, "blanks at the end of the line")
    if data and not data.endswith(b"\n"):
        yield Finding(name, data.count(b"\n") + 1, "no newline at the end of the file")
    if data.endswith(b"\n\n"):
        yield Finding(name, data.count(b"\n"), "an empty line at the end of the file")


def check_mode(root, name, data):
    runs = os.access(root / name, os.X_OK)
    program = data.startswith(b"#!")
    if program and not runs:
        yield Finding(name, 1, "a program (#!) that can't be executed: chmod +x")
    if runs and not program:
        yield Finding(name, 1, "executable, but the first line names no interpreter: chmod -x, or add #!")


def clang_format(root, names):
    command = [CLANG_FORMAT, "--dry-run", "-Werror", "--style=file", *names]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    seen = set()
    for match in re.finditer(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", done.stderr, re.M):
        name, line = match[1], int(match[2])
        if name not in seen:  # the first place is enough: clang-format -i repairs the file
            seen.add(name)
            yield Finding(name, line, f"not in the project's layout: {CLANG_FORMAT} -i {name}")
    if done.returncode != 0 and not seen:
        yield Finding(names[0], 1, f"{CLANG_FORMAT} failed: {done.stderr.strip()}")


def check_layout(root, names):
    if not names:
        return
    if not shutil.which(CLANG_FORMAT):
        yield Finding(".clang-format", 1, f"{CLANG_FORMAT} was not found: apt-get install {CLANG_FORMAT}")
        return
    parts = [part for part in (names[0::2], names[1::2]) if part]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda part: list(clang_format(root, part)), parts):
            yield from found


def check(root, _options):
    names = [name for name in files_of(root) if not below(name, *AS_RECORDED)]
    for name in names:
        data = (root / name).read_bytes()
        yield from check_mode(root, name, data)
        if b"\0" not in data[:8192]:
            yield from check_text(name, data)
    yield from check_layout(root, [name for name in names if name.endswith((".cpp", ".h"))])


CASES = [
    Case("text", {
        "a.md": "one\ntwo \n\tthree\n",
        "b.md": "one\r\ntwo\r\n",
        "c.md": "one",
        "d.md": "one\n\n",
        "e.bin": b"\0 \t",
        "tests/traces/a.jsonl": "one \t",
    }, ["a.md:2: blanks", "a.md:3: a tab", "b.md:1: the line ends", "c.md:1: no newline", "d.md:2: an empty line"]),
    Case("modes", {
        "a.py": ("#!/usr/bin/env python3\n", 0o644),
        "b.sh": ("echo\n", 0o755),
        "c.py": ("#!/usr/bin/env python3\n", 0o755),
    }, ["a.py:1: a program", "b.sh:1: executable"]),
    Case("layout", {
        ".clang-format": (ROOT / ".clang-format").read_bytes(),
        "src/a.cpp": "int f( int x ) {return x;}\n",
        "src/b.cpp": "int f(int x) {\n    return x;\n}\n",
        "src/c.h": "#pragma once\n\nstruct A{};\n",
    }, ["src/a.cpp:1: not in the project's layout", "src/c.h:3: not in the project's layout"]),
]

if __name__ == "__main__":
    run(check, CASES)
