// The real load engine and HTTP backend against the scripted server in a process of its own, beside a raw socket client
// that reads no JSON: the floor of this machine. Both run in turns, several rounds of each.
//
//   stream_bench [ROUNDS] [SCENARIO...]      one, watch, load, rate, many; all by default
//
// "rate" reads from a server that sends prepared bytes. Prints figures and judges none. Errors are what the client says
// minus what the server's own stamps say. As many descriptors are needed as there are streams: ulimit -n.

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/http_backend.h"
#include "blast_server.h"
#include "hardware/telemetry.h"
#include "http/curl_transport.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "mock/server.h"
#include "raw_client.h"
#include "serde/mock_script.h"
#include "stats/quantile.h"
#include "system/system.h"
#include "wire/url.h"

namespace {

using namespace velollm;

struct Scenario {
    std::string name;
    std::string script;
    int streams = 1;
    int requests = 1;
    bool paired = false;   ///< errors per request; else of the quantiles
    bool watched = false;  ///< with the watch over the machine, as a benchmark runs
    bool compact = false;  ///< too many events to compare them one by one: only their number and the time
};

/// A request as one side saw it, in ns of the steady clock.
struct Seen {
    std::int64_t id = 0;
    std::int64_t sent = 0;
    std::vector<std::int64_t> events;
};

struct Figures {
    double wall = 0;
    double cpu = 0;
    double mib = 0;
    double chunks = 0;
    double failed = 0;
    double ttft_p50 = 0;
    double ttft_tail = 0;  ///< p95 of paired errors, p99 else
    double gap_p50 = 0;
    double gap_p99 = 0;
    double speed_percent = 0;
    double late_p50 = 0;  ///< of arrivals: client's stamp minus the server's
    double late_p99 = 0;
    double open = 0;
    double lag_p50 = 0;  ///< by the kernel's own stamps
    double lag_p99 = 0;
};

// ---- Files between the processes: plain numbers ----

void put(std::FILE* out, std::int64_t number) {
    std::fwrite(&number, sizeof number, 1, out);
}

std::int64_t take(std::FILE* in) {
    std::int64_t number = -1;
    return std::fread(&number, sizeof number, 1, in) == 1 ? number : -1;
}

void put_all(std::FILE* out, const std::vector<Seen>& all) {
    for (const Seen& seen : all) {
        put(out, seen.id);
        put(out, seen.sent);
        put(out, static_cast<std::int64_t>(seen.events.size()));
        for (const std::int64_t at : seen.events) put(out, at);
    }
    std::fflush(out);
}

std::map<std::int64_t, Seen> take_all(std::FILE* in) {
    std::map<std::int64_t, Seen> all;
    for (std::int64_t id = take(in); id >= 0; id = take(in)) {
        Seen seen{.id = id, .sent = take(in), .events = {}};
        seen.events.resize(static_cast<std::size_t>(take(in)));
        for (std::int64_t& at : seen.events) at = take(in);
        all.emplace(id, std::move(seen));
    }
    return all;
}

// ---- The three processes ----

void serve(mock::Server& server, std::FILE* out) {
    ::setpriority(PRIO_PROCESS, 0, -15);
    server.run();
    std::vector<Seen> all;
    for (const mock::TruthRequest& request : server.truth().requests) {
        Seen seen{.id = std::atoll(request.prompt_start.c_str()), .sent = request.read_ns, .events = {}};
        for (const mock::TruthWrite& write : request.writes)
            seen.events.insert(seen.events.end(), write.events, write.written_ns);
        all.push_back(std::move(seen));
    }
    put_all(out, all);
}

std::string prompt_text(int id) {
    return fmt::format("{:08} Say something.", id);
}

/// The client under test. Returns the number of requests that failed.
int run_velollm(const Scenario& scenario, int port, int server, std::vector<Seen>& all, double& chunks, ReadLag& lag) {
    system::SteadyClock clock;
    backend::Target target{.spec = {.backend = "openai", .model = "mock", .endpoint = "chat"}};
    target.base = wire::parse_url(fmt::format("http://127.0.0.1:{}/v1", port), 0).value();
    const auto backend =
        backend::make_http_backend(backend::openai_dialect(), target, http::make_curl_transport(clock, ""), clock);
    std::vector<Prompt> prompts;
    for (int i = 0; i < scenario.requests; ++i) prompts.push_back({.text = prompt_text(i), .max_tokens = 64});
    const system::System system = system::this_system();
    std::optional<hardware::HostWatch> watch;
    if (scenario.watched)
        watch.emplace(system, hardware::find_engine(system, server, false), std::chrono::milliseconds(10));
    const std::int64_t begin = clock.now().time_since_epoch().count();
    const Run run = load::run_load(load::closed_loop(prompts.size(), scenario.streams), prompts, *backend, clock,
                                   std::chrono::seconds(60), {});
    if (watch) watch->report();
    if (run.client.reads && run.client.reads->lag) lag = *run.client.reads->lag;
    int failed = 0;
    for (const RequestRecord& r : run.requests) {
        failed += r.outcome == Outcome::kOk ? 0 : 1;
        if (r.outcome != Outcome::kOk && failed == 1) fmt::print(stderr, "failed: {}\n", r.error.message);
        chunks += static_cast<double>(r.events.size());
        if (scenario.compact) continue;
        Seen seen{.id = static_cast<std::int64_t>(r.id), .sent = begin + r.sent.count(), .events = {}};
        for (const TokenStamp& event : r.events) seen.events.push_back(seen.sent + event.at.count());
        all.push_back(std::move(seen));
    }
    return failed;
}

int run_raw(const Scenario& scenario, int port, std::vector<Seen>& all, double& chunks) {
    bench::RawClient client(port, scenario.requests, scenario.streams, scenario.compact);
    client.run([](int id) { return prompt_text(id); });
    for (bench::RawRequest& request : client.requests) {
        chunks += static_cast<double>(request.count);
        if (!scenario.compact) all.push_back({request.id, request.sent, std::move(request.events)});
    }
    return client.failed;
}

double seconds(const timeval& at) {
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_usec) / 1e6;
}

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Runs a client in a child and leaves what it saw in `out`: wall time, chunks, failures, then the requests.
rusage in_child(const Scenario& scenario, bool raw, int port, int server, std::FILE* out) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setpriority(PRIO_PROCESS, 0, -10);
        std::vector<Seen> all;
        double chunks = 0;
        ReadLag lag;
        const double begin = now_s();
        const int failed =
            raw ? run_raw(scenario, port, all, chunks) : run_velollm(scenario, port, server, all, chunks, lag);
        put(out, static_cast<std::int64_t>((now_s() - begin) * 1e9));
        put(out, static_cast<std::int64_t>(chunks));
        put(out, failed);
        rusage usage{};  // before the output is written
        ::getrusage(RUSAGE_SELF, &usage);
        put(out, static_cast<std::int64_t>((seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1e9));
        put(out, usage.ru_maxrss);
        put(out, lag.p50.count());
        put(out, lag.p99.count());
        put_all(out, all);
        std::_Exit(0);
    }
    rusage usage{};
    ::wait4(child, nullptr, 0, &usage);
    return usage;
}

// ---- What they say against each other ----

double ms(std::int64_t ns) {
    return static_cast<double>(ns) / 1e6;
}

double rank(std::vector<double>& values, double q) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0.0 : stats::nearest_rank(values, q);
}

int most_open(const std::map<std::int64_t, Seen>& truth) {
    std::vector<std::pair<std::int64_t, int>> steps;
    for (const auto& [id, seen] : truth) {
        if (seen.events.empty()) continue;
        steps.emplace_back(seen.sent, 1);
        steps.emplace_back(seen.events.back(), -1);
    }
    std::sort(steps.begin(), steps.end());
    int open = 0;
    int most = 0;
    for (const auto& [at, step] : steps) most = std::max(most, open += step);
    return most;
}

void compare(const Scenario& scenario, const std::map<std::int64_t, Seen>& truth,
             const std::map<std::int64_t, Seen>& seen, Figures& out) {
    std::vector<double> paired, ttft, ttft_true, gap, gap_true, speed, late;
    for (const auto& [id, r] : seen) {
        const auto it = truth.find(id);
        if (it == truth.end() || it->second.events.size() != r.events.size() || r.events.size() < 2) {
            out.failed += 1;
            continue;
        }
        const Seen& t = it->second;
        ttft.push_back(ms(r.events.front() - r.sent));
        ttft_true.push_back(ms(t.events.front() - t.sent));
        paired.push_back(ttft.back() - ttft_true.back());
        for (std::size_t i = 0; i < r.events.size(); ++i) {
            late.push_back(ms(r.events[i] - t.events[i]));
            if (i == 0) continue;
            gap.push_back(ms(r.events[i] - r.events[i - 1]));
            gap_true.push_back(ms(t.events[i] - t.events[i - 1]));
        }
        const double mine = ms(r.events.back() - r.events.front());
        const double real = ms(t.events.back() - t.events.front());
        speed.push_back(100.0 * (real / mine - 1.0));
    }
    const double tail = scenario.paired ? 0.95 : 0.99;
    out.ttft_p50 = scenario.paired ? rank(paired, 0.5) : rank(ttft, 0.5) - rank(ttft_true, 0.5);
    out.ttft_tail = scenario.paired ? rank(paired, tail) : rank(ttft, tail) - rank(ttft_true, tail);
    out.gap_p50 = rank(gap, 0.5) - rank(gap_true, 0.5);
    out.gap_p99 = rank(gap, 0.99) - rank(gap_true, 0.99);
    out.speed_percent = rank(speed, 0.5);
    out.late_p50 = rank(late, 0.5);
    out.late_p99 = rank(late, 0.99);
    out.open = most_open(truth);
}

/// What the client's process left behind.
std::map<std::int64_t, Seen> take_figures(std::FILE* saw, Figures& out) {
    std::rewind(saw);
    out.wall = static_cast<double>(take(saw)) / 1e9;
    out.chunks = static_cast<double>(take(saw));
    out.failed = static_cast<double>(take(saw));
    out.cpu = static_cast<double>(take(saw)) / 1e9;
    out.mib = static_cast<double>(take(saw)) / 1024.0;
    out.lag_p50 = static_cast<double>(take(saw)) / 1e6;
    out.lag_p99 = static_cast<double>(take(saw)) / 1e6;
    return take_all(saw);
}

Figures measure_rate(const Scenario& scenario, bool raw) {
    constexpr int kEvents = 500'224;  // a multiple of the server's block
    const bench::BlastServer server(kEvents, scenario.streams);
    std::FILE* saw = std::tmpfile();
    const pid_t child = ::fork();
    if (child == 0) {
        server.run();
        std::_Exit(0);
    }
    in_child(scenario, raw, server.port(), child, saw);
    ::kill(child, SIGTERM);
    ::waitpid(child, nullptr, 0);
    Figures out;
    take_figures(saw, out);
    std::fclose(saw);
    return out;
}

std::optional<Figures> measure(const Scenario& scenario, bool raw) {
    if (scenario.compact) return measure_rate(scenario, raw);
    auto program = serde::read_mock_script(scenario.script, scenario.name);
    auto server = mock::Server::open(std::move(*program));
    std::FILE* truth = std::tmpfile();
    std::FILE* saw = std::tmpfile();
    if (!server || truth == nullptr || saw == nullptr) return std::nullopt;
    const pid_t child = ::fork();
    if (child == 0) {
        serve(**server, truth);
        std::_Exit(0);
    }
    in_child(scenario, raw, (*server)->port(), child, saw);
    (*server)->stop();
    ::waitpid(child, nullptr, 0);
    Figures out;
    const std::map<std::int64_t, Seen> requests = take_figures(saw, out);
    std::rewind(truth);
    compare(scenario, take_all(truth), requests, out);
    std::fclose(truth);
    std::fclose(saw);
    return out;
}

// ---- The table ----

struct Row {
    const char* what;
    double (*of)(const Figures&);
    const char* goal;
    bool compact;  ///< has a value where events aren't compared
};

constexpr Row kRows[] = {
    {"TTFT error p50, ms", [](const Figures& f) { return f.ttft_p50; }, "one 0.15, load 6", false},
    {"TTFT error p95 (one) or p99, ms", [](const Figures& f) { return f.ttft_tail; }, "one 0.3, load 30", false},
    {"gap error p50, ms", [](const Figures& f) { return f.gap_p50; }, "one 0.001, load 0.01", false},
    {"gap error p99, ms", [](const Figures& f) { return f.gap_p99; }, "one 0.5, load 10", false},
    {"decode speed error, %", [](const Figures& f) { return f.speed_percent; }, "one 0.02", false},
    {"stamp later than the write p50, ms", [](const Figures& f) { return f.late_p50; }, "", false},
    {"stamp later than the write p99, ms", [](const Figures& f) { return f.late_p99; }, "", false},
    {"read lag by the kernel p50, ms", [](const Figures& f) { return f.lag_p50; }, "", true},
    {"read lag by the kernel p99, ms", [](const Figures& f) { return f.lag_p99; }, "", true},
    {"open at once", [](const Figures& f) { return f.open; }, "load 512, many 10000", false},
    {"failed or not comparable", [](const Figures& f) { return f.failed; }, "0", true},
    {"chunks/s", [](const Figures& f) { return f.chunks / f.wall; }, "rate 2000000", true},
    {"CPU s per 100,000 chunks", [](const Figures& f) { return f.cpu * 1e5 / f.chunks; }, "rate 0.05", true},
    {"CPU s", [](const Figures& f) { return f.cpu; }, "load 0.9", true},
    {"CPU % of a core", [](const Figures& f) { return 100.0 * f.cpu / f.wall; }, "one 0.5", true},
    {"peak memory, MiB", [](const Figures& f) { return f.mib; }, "one 30, load 30", true},
};

/// Median, and the extremes of the rounds.
std::string text(const std::vector<Figures>& all, const Row& row) {
    std::vector<double> values;
    for (const Figures& figures : all) values.push_back(row.of(figures));
    if (values.empty()) return "-";
    std::sort(values.begin(), values.end());
    const int digits = values.back() >= 1000.0 ? 0 : 3;
    return fmt::format("{:.{}f} ({:.{}f}..{:.{}f})", stats::median(values), digits, values.front(), digits,
                       values.back(), digits);
}

void run(const Scenario& scenario, int rounds) {
    std::vector<Figures> raw;
    std::vector<Figures> own;
    for (int i = 0; i < rounds; ++i) {
        for (const bool turn : {i % 2 == 0, i % 2 != 0}) {
            const auto figures = measure(scenario, turn);
            if (figures) (turn ? raw : own).push_back(*figures);
        }
    }
    fmt::print("\n## {}: {} requests, {} at once, {} rounds\n\n", scenario.name, scenario.requests, scenario.streams,
               rounds);
    fmt::print("| what | floor (raw client) | velollm | goal |\n|---|---|---|---|\n");
    for (const Row& row : kRows)
        if (!scenario.compact || row.compact)
            fmt::print("| {} | {} | {} | {} |\n", row.what, text(raw, row), text(own, row), row.goal);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
    const std::vector<Scenario> scenarios = {
        {"one", R"({"steps": [{"dt_ms": 80}, {"dt_ms": 10, "repeat": 63}]})", 1, 20, true},
        {"watch", R"({"steps": [{"dt_ms": 80}, {"dt_ms": 10, "repeat": 63}]})", 1, 20, true, true},
        {"load", R"({"steps": [{"dt_ms": 200}, {"dt_ms": 20, "repeat": 63}]})", 512, 1024},
        {"rate", "", 8, 8, false, false, true},
        {"many", R"({"steps": [{"dt_ms": 200, "repeat": 100}]})", 10'000, 10'000},
    };
    for (const Scenario& scenario : scenarios) {
        bool wanted = argc <= 2;
        for (int i = 2; i < argc; ++i) wanted = wanted || scenario.name == argv[i];
        if (wanted) run(scenario, rounds);
    }
}
