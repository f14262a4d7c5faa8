#!/usr/bin/env python3
"""Checks for what must not stand in the code: sleeps and skips in tests, slow or stray facilities, notes to oneself."""

import re
import sys

sys.dont_write_bytecode = True
from common import Case, Finding, below, files_of, read, run  # noqa: E402
from cpp_text import code_only, without_comments  # noqa: E402

AS_RECORDED = ("tests/traces", "tests/hosts", "tests/fuzz/corpus", "tests/approved")


def cpp(name):
    return name.endswith((".cpp", ".h"))


def in_tests(name):
    return below(name, "tests")


def in_source(name):
    return below(name, "src", "include")


# (where, what of the text: "all", "code" = without comments, "bare" = without comments and literals, pattern, reason)
RULES = [
    (lambda n: in_tests(n) and cpp(n), "bare", r"\b(?:u|nano)?sleep(?:_for|_until)?\s*\(",
     "a test must not sleep: turn a fake clock, or wait for the event itself"),
    (lambda n: in_tests(n) and n.endswith(".py"), "all", r"\btime\.sleep\b|\bfrom time import [^\n]*\bsleep\b",
     "a test must not sleep: wait for the event itself"),
    (lambda n: in_tests(n) and n.endswith(".sh"), "all", r"^\s*sleep\s", "a test must not sleep: wait for the event itself"),
    (lambda n: in_tests(n) and cpp(n), "bare", r"\bGTEST_SKI[P]\b|\bDISABLE[D]_\w+",
     "a test must not be skipped: make what it needs, or take it out"),
    (lambda n: in_tests(n) and n.endswith(".py"), "all", r"\bunittest\.ski[p]|\bself\.skipTes[t]|\bSkipTes[t]\b|\bpytest\.ski[p]",
     "a test must not be skipped: make what it needs, or take it out"),
    (lambda n: cpp(n), "bare", r"\bstd::w?regex\b|\bstd::basic_regex\b", "std::regex costs seconds to compile and is slow to run"),
    (lambda n: in_source(n) and cpp(n), "bare", r"\bstd::(?:cout|cerr|clog)\b",
     "text is made with fmt and printed by cli/output"),
    (lambda n: n.endswith(".h") and in_source(n), "bare", r"\busing\s+namespace\b",
     "a header must not open a namespace for everybody who includes it"),
    (lambda n: in_source(n) and cpp(n) and not below(n, "src/system"), "bare", r"\bsystem_clock\b|\bgettimeofday\b|\bstd::time\s*\(",
     "wall time is a label only and comes from src/system; durations come from the Clock"),
    (lambda n: True, "all", r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b", "a note to oneself: do it, or say in docs/ what is missing"),
    (lambda n: True, "all", r"(?<![\w.$}*])/(?:roo[t]|hom[e]|wor[k])/\w", "a path of one machine"),
]


def views(name, text):
    if not cpp(name):
        return {"all": text, "code": text, "bare": text}
    return {"all": text, "code": without_comments(text), "bare": code_only(text)}


def check_rules(root, name):
    text = read(root, name)
    seen = views(name, text)
    for applies, what, pattern, reason in RULES:
        if not applies(name):
            continue
        for match in re.finditer(pattern, seen[what], re.M):
            line = text.count("\n", 0, match.start()) + 1
            yield Finding(name, line, f"{match[0].strip()}: {reason}")


def check_build_list(root, names):
    """Every source file is built, and what is to be built is there."""
    place = "src/CMakeLists.txt"
    if place not in names:
        return
    listed = {}
    for number, line in enumerate(read(root, place).split("\n"), 1):
        for match in re.finditer(r"(?<![\w/}])[a-z_]+/[a-z0-9_]+\.cpp\b", line.split("#")[0]):
            listed.setdefault("src/" + match[0], number)
    there = {name for name in names if below(name, "src") and name.endswith(".cpp")}
    for name in sorted(there - set(listed)):
        yield Finding(name, 1, f"not listed in {place}: it is never compiled")
    for name in sorted(set(listed) - there):
        yield Finding(place, listed[name], f"{name} does not exist")


def check(root, _options):
    names = files_of(root)
    for name in names:
        wanted = below(name, "src", "include", "tests") and not below(name, *AS_RECORDED)
        if wanted and b"\0" not in (root / name).read_bytes()[:8192]:
            yield from check_rules(root, name)
    yield from check_build_list(root, names)


_NOTE = "TO" + "DO"
_SKIP = "GTEST_" + "SKIP"
_UNIT_SKIP = "unittest." + "skip"
_SLEEP = "time." + "sleep"
_HOME = "/ho" + "me/someone/file"
CASES = [
    Case("tests", {
        "tests/unit/a_test.cpp": "// sleep(1) in words\nvoid f() {\n    std::this_thread::sleep_for(1s);\n"
                                 f"    {_SKIP}();\n    usleep(3);\n    log(\"sleep(1)\");\n}}\n",
        "tests/cli/b.py": f"import time\n\n{_SLEEP}(1)\n",
        "tests/cli/c.py": f"import unittest\n\n\n@{_UNIT_SKIP}('x')\ndef f():\n    pass\n",
        "tests/traces/x/d.jsonl": _NOTE + " " + _HOME + "\n",
    }, ["tests/unit/a_test.cpp:3: sleep_for(", f"tests/unit/a_test.cpp:4: {_SKIP}", "tests/unit/a_test.cpp:5: usleep(",
        f"tests/cli/b.py:3: {_SLEEP}", f"tests/cli/c.py:4: {_UNIT_SKIP}"]),
    Case("source", {
        "src/base/a.cpp": f"// {_NOTE}: later\nvoid f() {{\n    std::cout << 1;\n    std::regex r(\"x\");\n}}\n",
        "src/base/a.h": "#pragma once\n\nusing namespace std;\n",
        "src/load/b.cpp": "auto now() {\n    return std::chrono::system_clock::now();\n}\n",
        "src/system/c.cpp": "auto now() {\n    return std::chrono::system_clock::now();\n}\n",
        "src/cli/d.cpp": f'const char* a = "{_HOME}";\nconst char* b = "https://example.org{_HOME}";\n',
    }, [f"src/base/a.cpp:1: {_NOTE}", "src/base/a.cpp:3: std::cout", "src/base/a.cpp:4: std::regex",
        "src/base/a.h:3: using namespace", "src/load/b.cpp:2: system_clock", "src/cli/d.cpp:1: /ho" + "me/s"]),
    Case("build list", {
        "src/CMakeLists.txt": "add_library(velollm STATIC\n  base/a.cpp base/gone.cpp)\n",
        "src/base/a.cpp": "int a;\n",
        "src/base/forgotten.cpp": "int b;\n",
    }, ["src/base/forgotten.cpp:1: not listed", "src/CMakeLists.txt:2: src/base/gone.cpp"]),
]

if __name__ == "__main__":
    run(check, CASES)
