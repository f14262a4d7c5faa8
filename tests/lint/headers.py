#!/usr/bin/env python3
"""Compiles every header of src and include on its own: each must include what it needs. Those that a source file includes
before anything else are left out: the build has compiled them so.

Usage: headers.py --cxx g++ -I src -I include -std=c++20
"""

import concurrent.futures
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from common import Case, Finding, below, files_of, run  # noqa: E402

JOBS = 2


def compile_header(root, name, options):
    folder = "src" if below(name, "src") else "include"
    include = name[len(folder) + 1:]
    line = f"#include <{include}>\n" if folder == "include" else f'#include "{include}"\n'
    command = [options.cxx, "-std=c++20", "-Wall", "-Wextra", "-fsyntax-only", f"-I{root}/src", f"-I{root}/include",
               *options.flags, "-x", "c++", "-"]
    done = subprocess.run(command, input=line, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    where = re.search(rf"{re.escape(name)}:(\d+):(?:\d+:)? (?:fatal )?error: (.*)", done.stderr)
    first = re.search(r"error: (.*)", done.stderr)
    reason = where[2] if where else first[1] if first else done.stderr.strip()[:200]
    return Finding(name, int(where[1]) if where else 1, f"does not compile alone: {reason}")


def first_included(root):
    """Headers that stand in the first line of code of a source file."""
    for name in files_of(root):
        if below(name, "src") and name.endswith(".cpp"):
            for line in (root / name).read_text(encoding="utf-8").splitlines():
                if line and not line.startswith("//"):
                    if found := re.match(r'#include (?:"(.*)"|<(velollm/.*)>)', line):
                        yield f"src/{found[1]}" if found[1] else f"include/{found[2]}"
                    break


def check(root, options):
    built = set(first_included(root))
    names = [name for name in files_of(root)
             if below(name, "src", "include") and name.endswith(".h") and name not in built]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for finding in pool.map(lambda name: compile_header(root, name, options), names):
            if finding:
                yield finding


def add_arguments(parser):
    parser.add_argument("--cxx", default="g++", help="the compiler; -I, -D and -std go to it as they are")


CASES = [
    Case("headers", {
        "src/base/a.h": "#pragma once\n\ninline std::string a();\n",
        "src/base/b.h": "#pragma once\n\n#include <cstddef>\n\n#include <velollm/c.h>\ninline std::size_t b(C);\n",
        "include/velollm/c.h": "#pragma once\n\nstruct C {};\n",
        "include/velollm/d.h": "#pragma once\n\nstruct D : C {};\n",
        "src/base/e.h": "#pragma once\n\nstruct E : C {};\n",
        "src/base/e.cpp": "// The build compiles it.\n#include \"base/e.h\"\n",
        "src/base/f.h": "#pragma once\n\nstruct F : C {};\n",
        "src/base/f.cpp": "#include <cstddef>\n\n#include \"base/f.h\"\n",
    }, ["src/base/a.h:3: does not compile alone", "include/velollm/d.h:3: does not compile alone",
        "src/base/f.h:3: does not compile alone"]),
]

if __name__ == "__main__":
    run(check, CASES, add_arguments)
