#!/usr/bin/env python3
"""Checks that the documents say what the program does: its commands, options, variables and version, and their links.

Usage: docs_in_step.py --binary build/release/velollm

In README.md and README.fr.md, "velollm WORD" in code is a claim that the command WORD exists, and "--word" that the
option does. What is only planned is written without either.
"""

import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from common import Case, Finding, files_of, read, run  # noqa: E402

READMES = ("README.md", "README.fr.md")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Their options are not ours. scripts/setup is looked up in its own text.
OTHER_PROGRAMS = {
    "apt-get", "cat", "cmake", "ctest", "curl", "docker", "gcovr", "git", "htop", "jq", "llama-bench", "llama-server",
    "nvidia-smi", "ollama", "pip", "python3", "rocm-smi", "sudo", "systemctl", "top", "check", "export", "for", "echo",
    "mkdir", "mv", "done", "clang-format-14",
}


def help_text(binary, *words):
    done = subprocess.run([binary, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{binary} {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def commands_of(text):
    """Names under "Commands:" (CLI11's own word is "Subcommands")."""
    part = re.search(r"^(?:Commands|Subcommands):\n((?:  .*\n?)+)", text, re.M)
    return re.findall(r"^  ([a-z][a-z-]*)", part[1], re.M) if part else []


def options_of(text):
    """The options that a help text defines, not those that a description mentions."""
    found = set()
    for line in text.split("\n"):
        if match := re.match(r"^  (-[^ ]+)", line):
            found |= set(OPTION.findall(match[1].replace(",", " ")))
    return found


def code_of(text):
    """(line, code) of every fenced line and every `span` of a Markdown text."""
    fence = None
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.match(r"\s*(```|~~~)", line)
        if mark:
            fence = None if fence else mark[1]
        elif fence:
            yield number, line
        else:
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span


def program_of(command):
    """The first word of a command line, without assignments and prompt."""
    for word in command.split():
        if word in {"$", "#", "do", "then"} or re.match(r"^[A-Z_][A-Z0-9_]*=", word):
            continue
        return word.rsplit("/", 1)[-1] if not word.endswith("scripts/setup") else "scripts/setup"
    return ""


def commands_in(code):
    return [part for part in re.split(r"\|\||&&|;|\|", code) if part.strip()]


class Program:
    def __init__(self, binary):
        general = help_text(binary, "--help")
        self.commands = commands_of(general)
        self.helps = {command: help_text(binary, command, "--help") for command in self.commands}
        self.options = options_of(general).union(*(options_of(text) for text in self.helps.values()))
        self.version = help_text(binary, "--version").split()[1]


def claims(root, name, program):
    setup = read(root, "scripts/setup") if (root / "scripts/setup").exists() else ""
    for line, code in code_of(read(root, name)):
        for command in re.findall(r"(?:^|[\s/(])velollm ([a-z][a-z-]*)", code):
            if command not in program.commands:
                yield Finding(name, line, f"there is no command '{command}'; write what is only planned without 'velollm'")
        for part in commands_in(code):
            user = program_of(part.split("#")[0])
            if user in OTHER_PROGRAMS:
                continue
            for option in OPTION.findall(part):
                if user == "scripts/setup":
                    if option not in setup:
                        yield Finding(name, line, f"scripts/setup has no option {option}")
                elif option not in program.options:
                    yield Finding(name, line, f"no command has the option {option}")


def missing(root, program):
    readme = read(root, "README.md")
    if not program.commands:
        yield Finding("README.md", 1, "the program's --help lists no command under 'Commands:': nothing can be compared")
    for command in program.commands:
        if f"velollm {command}" not in readme:
            yield Finding("README.md", 1, f"the command '{command}' is missing")
        for option in sorted(options_of(program.helps[command])):
            if not re.search(re.escape(option) + r"(?![\w-])", readme):
                yield Finding("README.md", 1, f"the option {option} of '{command}' is missing")


def variables(root, names):
    """Environment variables that the source reads must be explained to its user."""
    readme = read(root, "README.md")
    for name in names:
        if not re.match(r"src/.*\.cpp$", name):
            continue
        for match in re.finditer(r'variable\("([A-Z_]+)"\)|"(OLLAMA_[A-Z_]+)"', text := read(root, name)):
            variable = match[1] or match[2]
            if variable not in readme:
                yield Finding(name, text.count("\n", 0, match.start()) + 1, f"{variable} is not in README.md")


def slug(heading):
    """The anchor that a heading gets on the usual hosting sites."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower().replace("`", ""))
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(text):
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)}


def links(root, name):
    text = read(root, name)
    bare = re.sub(r"```.*?```|`[^`\n]*`", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    for match in re.finditer(r"\]\(([^)\s]+)\)", bare):
        target = match[1]
        if re.match(r"[a-z]+:", target):
            continue
        line = bare.count("\n", 0, match.start()) + 1
        path, _, anchor = target.partition("#")
        place = (root / name).parent / path if path else root / name
        if not place.exists():
            yield Finding(name, line, f"the link {target} leads nowhere")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text(encoding="utf-8")):
            yield Finding(name, line, f"{path or name} has no heading #{anchor}")


def check(root, options):
    names = files_of(root)
    program = Program(str(options.binary if options.binary.is_absolute() else root / options.binary))
    yield from missing(root, program)
    for name in READMES:
        if name in names:
            yield from claims(root, name, program)
        else:
            yield Finding(name, 1, "missing")
    yield from variables(root, names)
    if f"[{program.version}]" not in read(root, "CHANGELOG.md"):
        yield Finding("CHANGELOG.md", 1, f"has no entry for {program.version}, the version that the program states")
    for name in names:
        if name.endswith(".md"):
            yield from links(root, name)


def add_arguments(parser):
    parser.add_argument("--binary", type=Path, default=Path("build/release/velollm"), help="the program")


_PROGRAM = """#!/bin/sh
case "$*" in
--help) printf 'Options:\\n  --version  Show\\n\\nCommands:\\n  benchmark  Measure; not --like\\n  detect  Show\\n' ;;
--version) echo 'velollm 1.2.3 (abc)' ;;
'benchmark --help') printf '  -m,--model NAME  A model, or --other\\n  --num-ctx N  Context\\n' ;;
'detect --help') printf '  --json  As JSON\\n' ;;
esac
"""
CASES = [
    Case("a help text that can't be read", {
        "program": (_PROGRAM.replace("Commands:", "Things:"), 0o755),
        "README.md": "", "README.fr.md": "", "CHANGELOG.md": "## [1.2.3]\n",
    }, ["README.md:1: the program's --help lists no command"], {"binary": Path("program")}),
    Case("documents", {
        "program": (_PROGRAM, 0o755),
        "scripts/setup": "--engines",
        "README.md": "# Use\n\n```bash\n./velollm benchmark -m x --model x --gone 1\ncmake --preset dev\n"
                     "velollm optimize\nscripts/setup --engines --nothing\n```\n\n`--num-ctx`, `NO_COLOR`, [a](docs/a.md#one-two),"
                     " [b](b.md), [c](#use),\n[d](#unused), and the velollm program\n",
        "README.fr.md": "`velollm detect --json` et `--absent`\n",
        "CHANGELOG.md": "## [1.2.2]\n",
        "docs/a.md": "# One, *two*\n",
        "src/base/a.cpp": 'variable("NO_COLOR");\nvariable("NEW_ONE");\n',
    }, ["README.md:4: no command has the option --gone", "README.md:6: there is no command 'optimize'",
        "README.md:7: scripts/setup has no option --nothing", "README.md:1: the option --json of 'detect'",
        "README.md:1: the command 'detect' is missing", "README.md:10: the link b.md", "README.md:11: README.md has no heading #unused",
        "README.fr.md:1: no command has the option --absent", "CHANGELOG.md:1: has no entry for 1.2.3",
        "src/base/a.cpp:2: NEW_ONE"], {"binary": Path("program")}),
]

if __name__ == "__main__":
    run(check, CASES, add_arguments)
