#!/usr/bin/env python3
"""Checks that tests/mistakes.json is about the source as it is: every broken line is there once, every test exists, and
the table of docs/conformance.md is the one that `scripts/prove --write` writes."""

import importlib.machinery
import importlib.util
import json
import re
import sys

sys.dont_write_bytecode = True
from common import ROOT, Case, Finding, below, files_of, read, run  # noqa: E402

MISTAKES = {f"M{i:02}" for i in range(1, 49)}


def prove():
    loader = importlib.machinery.SourceFileLoader("prove", str(ROOT / "scripts/prove"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prove", loader))
    loader.exec_module(module)
    return module


PROVE = prove()
DATA, DOCUMENT, BEGIN, END = PROVE.ENTRIES, PROVE.DOCUMENT, PROVE.BEGIN, PROVE.END


def tests_of(root, names):
    """Every test that an entry may name."""
    found = set()
    for name in names:
        if below(name, "tests/unit") and name.endswith(".cpp"):
            found |= {f"{suite}.{test}" for suite, test in re.findall(r"^TEST(?:_F)?\((\w+), (\w+)\)", read(root, name), re.M)}
        if below(name, "tests/cli") and name.endswith(".py"):
            file, kind = name.rsplit("/", 1)[-1][:-3], None
            for line in read(root, name).split("\n"):
                if match := re.match(r"class (\w+)", line):
                    kind = match[1]
                elif match := re.match(r"    def (test_\w+)", line):
                    found.add(f"{file}.{kind}.{match[1]}")
    return found


def scripts_of(tests):
    """C01 and so on: the conformance scripts that there are."""
    return {match[1].upper() for test in tests if (match := re.match(r"test_conformance\w*\.\w+\.test_(c\d\d)_", test))}


def check_entry(root, entry, tests, line):
    name = entry["id"]
    if "absent" in entry:
        if set(entry) != {"id", "what", "absent"}:
            yield Finding(DATA, line, f"{name} is absent: it has an id, what it is, and what will bring it")
        return
    if set(entry) != {"id", "what", "tests", "file", "old", "new"} or not entry["tests"]:
        yield Finding(DATA, line, f"{name} needs id, what, tests, file, old and new")
        return
    for test in entry["tests"]:
        if test not in tests:
            yield Finding(DATA, line, f"{name}: there is no test {test}")
    if not (root / entry["file"]).is_file():
        yield Finding(DATA, line, f"{name}: there is no file {entry['file']}")
    elif (count := read(root, entry["file"]).count(entry["old"])) != 1:
        yield Finding(DATA, line, f"{name}: its old text occurs {count} times in {entry['file']}, not once: {entry['old'].strip()[:60]}")
    if entry["old"] == entry["new"]:
        yield Finding(DATA, line, f"{name}: nothing is broken")


def check_ids(entries, tests):
    ids = [entry["id"] for entry in entries]
    for name in sorted(MISTAKES - set(ids)):
        yield Finding(DATA, 1, f"{name} is missing")
    for name in sorted({name for name in ids if name in MISTAKES and ids.count(name) > 1}):
        yield Finding(DATA, 1, f"{name} is there more than once")
    scripts = scripts_of(tests)
    proved = {entry["id"] for entry in entries if entry["id"].startswith("C") and "absent" not in entry}
    for name in sorted(scripts - proved):
        yield Finding(DATA, 1, f"{name} has a test and no broken line")
    known = MISTAKES | scripts | {entry["id"] for entry in entries if "absent" in entry and re.match(r"C\d\d$", entry["id"])}
    for name in sorted(set(ids) - known):
        yield Finding(DATA, 1, f"{name} is neither a mistake nor a script")


def check_document(root, entries):
    text = read(root, DOCUMENT) if (root / DOCUMENT).is_file() else ""
    part = re.search(re.escape(BEGIN) + r"\n\n(.*?)\n" + re.escape(END), text, re.S)
    if not part:
        yield Finding(DOCUMENT, 1, f"has no table between {BEGIN} and {END}")
    elif part[1] != PROVE.table(entries):
        yield Finding(DOCUMENT, text.count("\n", 0, part.start()) + 1, "its table is old: scripts/prove --write")


def check(root, _options):
    if not (root / DATA).is_file():
        yield Finding(DATA, 1, "missing")
        return
    try:
        entries = json.loads(read(root, DATA))
    except ValueError as error:
        yield Finding(DATA, 1, f"not JSON: {error}")
        return
    tests = tests_of(root, files_of(root))
    lines = [number for number, text in enumerate(read(root, DATA).split("\n"), 1) if re.match(r'\s*"id"', text)]
    for entry, line in zip(entries, lines):
        yield from check_entry(root, entry, tests, line)
    yield from check_ids(entries, tests)
    yield from check_document(root, entries)


def _data(*entries):
    """All mistakes as absent ones, but for those given."""
    given = {entry["id"] for entry in entries}
    rest = [{"id": name, "what": "w", "absent": "later"} for name in sorted(MISTAKES) if name not in given]
    return [*entries, *rest]


def _text(entries):
    return json.dumps(entries, indent=1) + "\n"


def _document(entries):
    return f"# C\n\n{BEGIN}\n\n{PROVE.table(entries)}\n{END}\n"


_SOURCES = {
    "src/a.cpp": "int f() { return 1; }\nint g() { return 1; }\n",
    "tests/unit/a_test.cpp": "TEST(Suite, Name) {\n}\n",
    "tests/cli/test_conformance.py": "class Conformance(Base):\n    def test_c01_plain(self):\n        pass\n",
}
_GOOD = {"id": "M01", "what": "w", "tests": ["Suite.Name"], "file": "src/a.cpp", "old": "int f() { return 1; }", "new": "int f() { return 2; }"}
_SCRIPT = _GOOD | {"id": "C01", "tests": ["test_conformance.Conformance.test_c01_plain"]}
_BAD = _data(_GOOD | {"old": "return 1"}, _GOOD | {"id": "M02", "tests": ["Suite.Gone", "test_conformance.Other.test_c01_plain"]},
             _GOOD | {"id": "M03", "file": "src/gone.cpp"}, _GOOD | {"id": "M04", "new": _GOOD["old"]},
             _GOOD | {"id": "M05", "tests": []}, _GOOD | {"id": "C77"}, _GOOD | {"id": "M06", "absent": "later"})
CASES = [
    Case("all is well", _SOURCES | {DATA: _text(_data(_GOOD, _SCRIPT)), DOCUMENT: _document(_data(_GOOD, _SCRIPT))}, []),
    Case("entries", _SOURCES | {DATA: _text(_BAD), DOCUMENT: _document(_BAD)}, [
        f"{DATA}:3: M01: its old text occurs 2 times", f"{DATA}:13: M02: there is no test Suite.Gone",
        f"{DATA}:13: M02: there is no test test_conformance.Other", f"{DATA}:24: M03: there is no file src/gone.cpp",
        f"{DATA}:34: M04: nothing is broken", f"{DATA}:44: M05 needs id", f"{DATA}:62: M06 is absent: it has",
        f"{DATA}:1: C01 has a test and no broken line", f"{DATA}:1: C77 is neither"]),
    Case("ids and document", _SOURCES | {
        DATA: _text([entry for entry in _data(_SCRIPT) if entry["id"] != "M48"] + [_GOOD]),
        DOCUMENT: _document(_data(_SCRIPT)),
    }, [f"{DATA}:1: M48 is missing", f"{DATA}:1: M01 is there more than once", f"{DOCUMENT}:3: its table is old"]),
    Case("no table", _SOURCES | {DATA: _text(_data(_SCRIPT)), DOCUMENT: "# C\n"}, [f"{DOCUMENT}:1: has no table"]),
    Case("no file", {"src/a.cpp": "int a;\n"}, [f"{DATA}:1: missing"]),
    Case("no JSON", {DATA: "[\n"}, [f"{DATA}:1: not JSON"]),
]

if __name__ == "__main__":
    run(check, CASES)
