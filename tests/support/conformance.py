"""What the conformance scripts share: measuring against `velollm-mock`, comparing with its log, and the table.

Counts, outcomes and findings are exact on any machine. Times are compared with the server's own log of what it wrote
when, never with its plan: one column of bounds holds on any host, a closer one where the host was quiet (method 6.4).
"""

import json
import statistics
import sys
import tempfile

from mock_server import Mock
from velollm_cli import CliTest

# Half a second of tokens: what a first event is late by after a longer sleep must not count as speed.
DECODE_MS = 500
PLAIN = [{"dt_ms": 30}, {"dt_ms": 8, "repeat": 63}]
BACKENDS = {"openai": ("chat", "completions"), "llamacpp": ("completion", "chat"), "ollama": ("generate", "chat")}

# Bounds of the errors: (name, unit, on any host, on a quiet host).
BOUNDS = (("TTFT median", "ms", 0.5, 0.2), ("TTFT p99", "ms", None, 1.0),
          ("gap median", "ms", 0.05, 0.02), ("gap p90", "ms", 0.5, 0.15), ("gap p99", "ms", None, 0.5),
          ("speed median", "%", 0.1, 0.02), ("speed max", "%", 2.0, 0.2))
QUIET_P99_MS, QUIET_MAX_MS = 1.0, 5.0
# The column for any host was found on hosts whose naps were late by up to 3.5 ms at p99: beyond, its tails say nothing.
TAILS = ("gap p90", "speed max")
BUSY_P99_MS = 3.5
# A script has three requests and some hundred gaps: one delay of the machine is their p99 and their maximum. Where a nap
# was late by more than the closest of these bounds, the tails of a quiet host say nothing either.
QUIET_TAILS = ("TTFT p99", "gap p99", "speed max")
QUIET_TAIL_MS = 0.5
# A delay of the machine passes, an error of the program comes back.
ATTEMPTS = 3

HOLDS, FAILS, NOISY = "holds", "FAILS", "too noisy to judge"


def quantile(values, p):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


def event_stamps(record):
    """When the server wrote each event, ns; several may have shared a write."""
    return [write["written_ns"] for write in record["writes"] for _ in range(write["events"])]


def decode_ms(record):
    """From the server's first event to its last."""
    stamps = event_stamps(record)
    return (stamps[-1] - stamps[0]) / 1e6


def longest_gap_ms(record):
    """Between two of the server's events."""
    stamps = event_stamps(record)
    return max(b - a for a, b in zip(stamps, stamps[1:])) / 1e6


def tokens_of_first(record):
    return next(write["tokens"] for write in record["writes"] if write["events"])


def times(samples, records):
    """{name of a bound: error} of requests against the server's log."""
    ttft, gaps, speeds = [], [], []
    for sample, record in zip(samples, records, strict=True):
        seen, true = sample["event_ns"], event_stamps(record)
        ttft.append((seen[0] - (true[0] - record["read_ns"])) / 1e6)
        if len(seen) != len(true):
            continue
        gaps += [((seen[i] - seen[i - 1]) - (true[i] - true[i - 1])) / 1e6 for i in range(1, len(seen))]
        if len(seen) > 1 and true[-1] > true[0]:
            # The tokens are equal, so the speeds are as the times.
            speeds.append(100.0 * ((true[-1] - true[0]) / (seen[-1] - seen[0]) - 1.0))
    errors = {"TTFT median": statistics.median(ttft), "TTFT p99": quantile([abs(e) for e in ttft], 99)}
    if gaps:
        errors |= {"gap median": statistics.median(gaps), "gap p90": quantile([abs(e) for e in gaps], 90),
                   "gap p99": quantile([abs(e) for e in gaps], 99)}
    if speeds:
        errors |= {"speed median": statistics.median(speeds), "speed max": max(map(abs, speeds))}
    return errors


def beyond(errors, column, left_out=()):
    """The names of the bounds that don't hold; column 2: any host, 3: a quiet one."""
    return [bound[0] for bound in BOUNDS
            if bound[column] is not None and bound[0] not in left_out and abs(errors.get(bound[0], 0.0)) > bound[column]]


def unjudged(element, column):
    """The bounds of a column that mean nothing on this host."""
    hiccups = element["velollm"]["host"]["hiccups"]
    if column == 3:
        return QUIET_TAILS if hiccups["max_ms"] > QUIET_TAIL_MS else ()
    return TAILS if hiccups["p99_ms"] > BUSY_P99_MS else ()


def naps(element):
    """How late the machine woke a sleeping thread, as text."""
    hiccups = element["velollm"]["host"]["hiccups"]
    return f"naps late by {hiccups['p99_ms']:.2f} ms (p99), {hiccups['max_ms']:.2f} (max)"


def noise(element):
    """What made the host a noisy one while this was measured; empty where it was quiet."""
    hiccups = element["velollm"]["host"]["hiccups"]
    found = [f"{code} found" for code in ("background_load", "vm_steal") if code in element["velollm"]["warnings"]]
    if hiccups["p99_ms"] >= QUIET_P99_MS or hiccups["max_ms"] >= QUIET_MAX_MS:
        found.append(naps(element))
    return ", ".join(found)


class Conformance(CliTest):
    """A test whose rows are printed as a table at the end, on standard error."""

    table = []

    @classmethod
    def setUpClass(cls):
        cls.table = []

    @classmethod
    def tearDownClass(cls):
        print("\n| script | what | expected | got | bound | verdict |\n|---|---|---|---|---|---|", file=sys.stderr)
        for row in cls.table:
            print("| " + " | ".join(map(str, row)) + " |", file=sys.stderr)

    # ---- Rows ----

    def row(self, script, what, expected, got, bound="exact"):
        """A row that is right when both are equal."""
        self.table.append((script, what, expected, got, bound, HOLDS if got == expected else FAILS))
        self.assertEqual(got, expected, f"{script}: {what}")

    def within(self, script, what, expected, got, bound, unit=""):
        """A row that is right when `got` is no further than `bound` from `expected`."""
        good = abs(got - expected) <= bound
        self.table.append((script, what, expected, round(got, 4), f"+-{bound} {unit}".strip(), HOLDS if good else FAILS))
        self.assertTrue(good, f"{script}: {what}: {got} is not within {bound} of {expected}")

    def time_rows(self, script, errors, element):
        """The rows of the errors of times; says what doesn't hold."""
        failed, noisy = [], noise(element)
        for what, column in (("times, any host", 2), ("times, quiet host", 3)):
            left_out = unjudged(element, column)
            bounds = [bound for bound in BOUNDS if bound[column] is not None and bound[0] in errors]
            got = ", ".join(f"{name} {errors[name]:+.3f} {unit}" for name, unit, *_ in bounds)
            limits = ", ".join(f"{bound[column]:g}" for bound in bounds)
            broken = beyond(errors, column, left_out)
            verdict = FAILS if broken else HOLDS
            if not broken and beyond(errors, column):
                verdict = f"{HOLDS}, but for {' and '.join(left_out)}: {NOISY}: {naps(element)}"
            if column == 3 and noisy:
                verdict = f"{NOISY}: {noisy}"
            self.table.append((script, what, "as logged", got, limits, verdict))
            if verdict == FAILS:
                failed += broken
        return failed

    # ---- Measuring ----

    def measure(self, script, backend="openai", endpoint=None, tokens=64, runs=3, warmup=1, code=(0, 5), more=()):
        """(element of the result file, the server's records of the measured requests)."""
        with tempfile.TemporaryDirectory() as folder:
            mock = Mock(script, folder)
            try:
                endpoint = endpoint or BACKENDS[backend][0]
                done = self.velollm("benchmark", "-b", backend, "--endpoint", endpoint, "--url",
                                    f"http://127.0.0.1:{mock.port}", "-m", "mock:1b", "--prompt", "Say something long.",
                                    "--max-tokens", tokens, "--runs", runs, "--warmup", warmup, "-o", self.results, *more)
                self.assertIn(done.code, code, done)
                truth = mock.truth()["requests"]
            finally:
                mock.stop()
        return json.loads(self.results.read_text(encoding="utf-8"))[0], truth[-runs:]

    def measure_times(self, name, script, *words, **more):
        """As measure(), with the rows of the times. What doesn't hold is measured again: a delay passes."""
        for attempt in range(1, ATTEMPTS + 1):
            element, truth = self.measure(script, *words, **more)
            self.assertGreater(min(decode_ms(record) for record in truth), 0.9 * DECODE_MS, "too short for the bounds of speed")
            errors = times(self.samples(element), truth)
            bad = beyond(errors, 2) or (beyond(errors, 3) if not noise(element) else [])
            if not bad or attempt == ATTEMPTS:
                break
        failed = self.time_rows(name, errors, element)
        self.assertEqual(failed, [], f"{name}: {errors} after {attempt} attempts")
        return element, truth

    # ---- Reading a result ----

    def samples(self, element):
        return element["velollm"]["samples"]

    def tokens_of(self, element):
        return [sample.get("output_tokens") for sample in self.samples(element)]

    def events_of(self, element):
        return [len(sample["event_ns"]) for sample in self.samples(element)]

    def warnings(self, element):
        return set(element["velollm"]["warnings"])
