"""What the lint programs share: the list of files, the findings, the command line and the self-test.

A lint is a function check(root, options) that yields findings, and a list of cases that plant violations. Every run
plants them first, so that a lint that has gone blind fails.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {".git", "build", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    reason: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass
class Case:
    """A tree with violations, and the start of every finding that it must give, in any order."""

    name: str
    files: dict  # path -> text, bytes, or (text, mode)
    expected: list = field(default_factory=list)
    options: dict = field(default_factory=dict)


def files_of(root):
    """Paths below root, sorted: those of git that aren't ignored, or all of them where there is no history."""
    if (root / ".git").exists():
        listing = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True, text=True).stdout
        names = {name for name in listing.split("\0") if name}
        return sorted(name for name in names if (root / name).is_file())
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")
                  if path.is_file() and not LEFT_OUT & set(path.relative_to(root).parts))


def read(root, name):
    return (root / name).read_text(encoding="utf-8", errors="surrogateescape")


def below(name, *folders):
    return any(name.startswith(folder + "/") for folder in folders)


def plant(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content, mode = content if isinstance(content, tuple) else (content, 0o644)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)


def self_test(check, cases, options):
    """Problems of the lint itself."""
    problems = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="velollm-lint-") as folder:
            plant(Path(folder), case.files)
            here = argparse.Namespace(**{**vars(options), **case.options})
            found = [str(finding) for finding in check(Path(folder), here)]
        for start in case.expected:
            if not any(text.startswith(start) for text in found):
                problems.append(f"self-test '{case.name}': not found: {start}")
        for text in found:
            if not any(text.startswith(start) for start in case.expected):
                problems.append(f"self-test '{case.name}': found without reason: {text}")
    return problems


def run(check, cases, add_arguments=None):
    """The program: self-test, then the tree. Ends with 0 when all is well, 1 when not."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree to look at; default: the one of this file")
    parser.add_argument("--self-test", action="store_true", help="only test that planted violations are found")
    if add_arguments:
        add_arguments(parser)
    options, options.flags = parser.parse_known_args()
    # For headers.py: compiler flags, "-I" and its folder in one word or two.
    unknown = [flag for before, flag in zip(["", *options.flags], options.flags)
               if before not in ("-I", "-isystem") and not flag.startswith(("-I", "-D", "-std", "-isystem"))]
    if unknown:
        parser.error("unknown: " + " ".join(unknown))
    found = self_test(check, cases, options)
    if not options.self_test and not found:
        found = sorted(set(check(options.root.resolve(), options)), key=lambda f: (f.path, f.line, f.reason))
    for finding in found:
        print(finding)
    sys.exit(1 if found else 0)
