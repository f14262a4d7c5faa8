#!/usr/bin/env python3
"""Checks who includes what: folders by rank, foreign libraries in their own folder, public headers free of both."""

import re
import sys

sys.dont_write_bytecode = True
from common import Case, Finding, below, files_of, read, run  # noqa: E402
from cpp_text import without_comments  # noqa: E402

# A file may include its own folder, folders of lower rank, and <velollm/...>.
RANKS = {
    "base": 0,
    "system": 1, "stats": 1, "wire": 1, "serde": 1, "gguf": 1,
    "http": 2, "hardware": 2, "mock": 2,
    "backend": 3,
    "load": 4, "metrics": 4, "model": 4,
    "benchmark": 5, "compare": 5,
    "optimize": 6, "report": 6,
    "cli": 8,
}

# Start of a header's name -> folders that may include it.
THIRD_PARTY = {
    "fmt/": set(RANKS),
    "openssl/": {"base"},
    "zlib.h": {"base"},
    "boost/": {"stats"},
    "simdjson": {"wire"},
    "nlohmann/": {"serde"},
    "curl/": {"http"},
    "llama": {"backend"}, "ggml": {"backend"}, "gguf.h": {"backend"},
    "CLI/": {"cli"},
}
# The operating system, and the parts of the standard library that reach it or cost much.
SYSTEM = {
    "unistd.h": {"system", "http", "hardware", "mock", "cli"},
    "dlfcn.h": {"hardware"},
    "fcntl.h": {"system"},
    "grp.h": {"system"},
    "pwd.h": {"system"},
    "poll.h": {"system"},
    "sys/mman.h": {"system", "hardware"},
    "sys/random.h": {"system"},
    "sys/resource.h": {"system", "mock"},
    "sys/stat.h": {"system"},
    "sys/syscall.h": {"system"},
    "sys/wait.h": {"system"},
    "sys/epoll.h": {"http", "mock"},
    "sys/eventfd.h": {"mock"},
    "sys/prctl.h": {"system", "mock"},
    "sys/socket.h": {"system", "mock"},
    "netinet/in.h": {"system", "mock"},
    "netinet/tcp.h": {"mock"},
    "arpa/inet.h": {"mock"},
    "linux/net_tstamp.h": {"system"},
    "sys/utsname.h": {"hardware"},
    "sched.h": {"hardware"},
    "immintrin.h": {"hardware"},
    "pthread.h": {"system"},
    "signal.h": {"cli"},
    "csignal": {"system", "mock", "cli"},
    "fstream": {"system"},
    "random": {"system"},
    "iostream": {"cli"},
    "thread": {"system", "hardware", "backend", "cli"},
    "regex": set(),
}
STD = set("""
    algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits
    clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint
    cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem forward_list fstream
    functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
    memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator
    semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string string_view
    strstream syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility
    valarray variant vector version
""".split())

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(text):
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        if match := INCLUDE.match(line):
            yield number, match[1] == '"', match[2]


def allowed_in(folder, table, name):
    """None when the table doesn't know the header, else whether the folder may include it."""
    for start, folders in table.items():
        if name == start or (table is THIRD_PARTY and name.startswith(start)):
            return folder in folders
    return None


def own_include(folder, target):
    other = target.split("/")[0] if "/" in target else ""
    if other not in RANKS:
        return f'"{target}" names no folder of src; own headers are written "folder/file.h"'
    if other == folder or RANKS[other] < RANKS[folder]:
        return None
    return f"{folder} (rank {RANKS[folder]}) must not include {other} (rank {RANKS[other]}): \"{target}\""


def foreign_include(folder, target, is_header):
    if target.startswith("velollm/"):
        return None
    known = allowed_in(folder, SYSTEM, target)
    if known is None and target in STD:
        return None
    if known is None:
        known = allowed_in(folder, THIRD_PARTY, target)
        if known and is_header and not target.startswith("fmt/"):
            return f"<{target}> belongs in a .cpp: every file that includes this header would compile it"
    if known is None:
        return f"<{target}> is in no table of {__file__.rsplit('/', 1)[-1]}: add it to the folder that owns it"
    return None if known else f"<{target}> is not for {folder}"


def check_source(root, name):
    folder = name.split("/")[1]
    if folder not in RANKS:
        yield Finding(name, 1, f"the folder {folder} has no rank")
        return
    for line, own, target in includes(read(root, name)):
        reason = own_include(folder, target) if own else foreign_include(folder, target, name.endswith(".h"))
        if reason:
            yield Finding(name, line, reason)


def check_public(root, name):
    for line, own, target in includes(read(root, name)):
        if own or not (target in STD or target.startswith("velollm/")):
            yield Finding(name, line, f"a public header includes the standard library and <velollm/...> only: {target}")


def check(root, _options):
    for name in files_of(root):
        if not name.endswith((".h", ".cpp")):
            continue
        if below(name, "src"):
            yield from check_source(root, name)
        elif below(name, "include"):
            yield from check_public(root, name)


CASES = [
    Case("ranks", {
        "src/base/a.cpp": '#include "base/a.h"\n#include "wire/url.h"\n',
        "src/wire/b.cpp": '#include "base/a.h"\n// #include "cli/args.h"\n#include "stats/quantile.h"\n',
        "src/report/c.cpp": '#include "benchmark/result.h"\n#include <velollm/run.h>\n#include <vector>\n',
        "src/report/d.h": '#include "d.h"\n',
        "src/gguf/e.cpp": '#include "system/system.h"\n#include "hardware/cpu.h"\n',
        "src/new/f.cpp": '#include "base/a.h"\n',
    }, ["src/base/a.cpp:2: base (rank 0)", "src/wire/b.cpp:3: wire (rank 1)", 'src/report/d.h:1: "d.h"',
        "src/gguf/e.cpp:1: gguf (rank 1)", "src/gguf/e.cpp:2: gguf (rank 1)", "src/new/f.cpp:1: the folder new"]),
    Case("libraries", {
        "src/wire/a.cpp": "#include <simdjson.h>\n#include <nlohmann/json.hpp>\n#include <fmt/core.h>\n",
        "src/wire/a.h": "#include <simdjson.h>\n",
        "src/stats/b.cpp": "#include <boost/math/distributions/binomial.hpp>\n#include <llama.h>\n#include <regex>\n",
        "src/metrics/c.cpp": "#include <sys/epoll.h>\n#include <unistd.h>\n#include <lzma.h>\n",
        "src/cli/d.cpp": "#include <CLI/CLI.hpp>\n#include <iostream>\n#include <unistd.h>\n",
    }, ["src/wire/a.cpp:2: <nlohmann/json.hpp>", "src/wire/a.h:1: <simdjson.h> belongs", "src/stats/b.cpp:2: <llama.h>",
        "src/stats/b.cpp:3: <regex>", "src/metrics/c.cpp:1: <sys/epoll.h>", "src/metrics/c.cpp:2: <unistd.h>",
        "src/metrics/c.cpp:3: <lzma.h> is in no table"]),
    Case("public headers", {
        "include/velollm/a.h": '#include <string>\n#include <velollm/b.h>\n#include <fmt/core.h>\n#include "base/a.h"\n',
    }, ["include/velollm/a.h:3:", "include/velollm/a.h:4:"]),
]

if __name__ == "__main__":
    run(check, CASES)
