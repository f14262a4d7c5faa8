#!/usr/bin/env python3
"""Checks that files and functions stay short enough to be read at once."""

import re
import sys

sys.dont_write_bytecode = True
from common import Case, Finding, below, files_of, read, run  # noqa: E402
from cpp_text import code_only  # noqa: E402

FILE_LINES = 400
FUNCTION_LINES = 80
TEST_LINES = 800

_TYPE = re.compile(r"\b(class|struct|union|enum|namespace|extern)\b")
_ACCESS = re.compile(r"^\s*(public|private|protected)\s*:")


def _without_groups(head):
    """The head of a block without what stands in its parentheses."""
    before = None
    while before != head:
        before, head = head, re.sub(r"\([^()]*\)", "@", head)
    return re.sub(r"operator\s*[^\s@]+", "operator", head)


def _kind(head, inside):
    """What a brace opens: 'scope' (functions stand directly in it), 'function', or 'other'."""
    if inside != "scope":
        return "other"
    plain = _without_groups(head)
    if "@" not in plain and _TYPE.search(plain):
        return "other" if re.search(r"\benum\b", plain) else "scope"
    if re.match(r"\s*extern\b[^@]*$", plain):
        return "scope"
    if re.search(r"(?<![=!<>])=(?!=)", plain):
        return "other"
    # Nothing in front: the body of a constructor whose last initialiser ended in a brace.
    return "function" if "@" in plain or not plain.strip(" \n,:") else "other"


def functions(text):
    """First and last line of every function at namespace or class scope."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), code_only(text), flags=re.M)
    stack = []  # (kind, position where its head begins)
    head_start = 0
    parentheses = 0
    for at, char in enumerate(code):
        if char in "()":
            parentheses += 1 if char == "(" else -1
        elif char == ";" and parentheses == 0:
            head_start = at + 1
        elif char == "{" and parentheses > 0:
            stack.append(("inner", head_start))  # an initialiser among arguments
        elif char == "{":
            inside = stack[-1][0] if stack else "scope"
            stack.append((_kind(code[head_start:at], inside), head_start))
            head_start = at + 1
        elif char == "}" and stack:
            kind, begin = stack.pop()
            if kind == "inner":
                continue
            if kind == "function":
                yield _first_line(code, begin, at), code.count("\n", 0, at) + 1
            head_start = at + 1


def _first_line(code, begin, end):
    text = code[begin:end]
    while match := _ACCESS.match(text):
        text = text[match.end():]
    start = end - len(text.lstrip())
    return code.count("\n", 0, start) + 1


def check(root, _options):
    for name in files_of(root):
        source = below(name, "src", "include") and name.endswith((".h", ".cpp"))
        test = below(name, "tests") and name.endswith((".h", ".cpp", ".py"))
        if not source and not test:
            continue
        text = read(root, name)
        lines = text.count("\n")
        limit = FILE_LINES if source else TEST_LINES
        if lines > limit:
            yield Finding(name, limit + 1, f"the file has {lines} lines, at most {limit} are allowed: split it")
        if not source:
            continue
        for first, last in functions(text):
            if last - first + 1 > FUNCTION_LINES:
                yield Finding(name, first, f"the function has {last - first + 1} lines, at most {FUNCTION_LINES} are allowed")


def _body(lines):
    return "    call();\n" * (lines - 2)


CASES = [
    Case("files", {
        "src/base/long.cpp": "int a;\n" * 401,
        "src/base/right.cpp": "int a;\n" * 400,
        "tests/unit/long_test.cpp": "int a;\n" * 801,
        "tests/unit/right_test.cpp": "int a;\n" * 800,
    }, ["src/base/long.cpp:401: the file has 401 lines", "tests/unit/long_test.cpp:801: the file has 801 lines"]),
    Case("functions", {
        "src/base/free.cpp": "namespace a {\n\n/// Text.\nint f(int x,\n      int y = {}) {\n" + _body(80) + "}\n\n"
                             "int g() {\n" + _body(80) + "}\n}  // namespace a\n",
        "src/base/member.cpp": "class A {\npublic:\n    int f() const {\n" + "        if (a) { b(); }\n" * 79 + "    }\n};\n",
        "src/base/table.cpp": "constexpr std::array kTable = {\n" + "    Row{\"}\", '{', f},\n" * 90 + "};\n",
        "src/base/type.cpp": "struct A {\n" + "    int a = 0;\n    int f() { return 1; }\n" * 60 + "};\n",
        "src/base/constructor.cpp": "A::A(int x) : a_{x}, b_(x) {\n" + _body(81) + "}\n",
        "src/base/operator.cpp": "bool operator==(const A& a, const A& b) {\n" + _body(81) + "}\n",
    }, ["src/base/free.cpp:4: the function has 81 lines", "src/base/member.cpp:3: the function has 81 lines",
        "src/base/constructor.cpp:1: the function has 81 lines", "src/base/operator.cpp:1: the function has 81 lines"]),
]

if __name__ == "__main__":
    run(check, CASES)
