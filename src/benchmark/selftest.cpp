#include "benchmark/selftest.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string_view>

#include "backend/make_backend.h"
#include "base/text.h"
#include "hardware/telemetry.h"
#include "http/curl_transport.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "metrics/request.h"
#include "mock/server.h"
#include "stats/quantile.h"
#include "system/forked_child.h"
#include "wire/json_reader.h"

namespace velollm::benchmark {
namespace {

constexpr Ns kPatience = std::chrono::seconds(20);
constexpr Ns kNap = std::chrono::milliseconds(10);
constexpr std::int64_t kWarmUp = 2;

/// A role in front of the first token, as real servers send it: it must not be taken for one.
mock::Program program_of(const SelfTestLoad& load) {
    using mock::StepKind;
    mock::Script script;
    script.steps = {{.kind = StepKind::kRole, .dt_ms = load.ttft_ms, .k = 0},
                    {.join = true},
                    {.dt_ms = load.gap_ms, .repeat = load.tokens - 1}};
    mock::Program program;
    program.requests = {script};
    return program;
}

/// One request as the server did it, by the steady clock.
struct Sent {
    Ns asked{};  ///< the whole request had arrived
    std::vector<Ns> events;
};

constexpr std::string_view kPrompt = "self-test ";

/// Asks the server what it did since the last time; by the number in the prompt.
Result<std::map<std::int64_t, Sent>> ask_truth(const std::string& url, Clock& clock,
                                               const std::function<bool()>& stop) {
    const auto transport = http::make_curl_transport(clock, {});
    const http::HttpResponse response =
        http::Caller(*transport, clock, stop)({.url = url + "/mock/truth?clear=1"}, kPatience);
    wire::JsonReader json;
    if (response.interrupted) return Error{ErrorCode::kInterrupted, "Stopped during the self-test", ""};
    if (!response.arrived() || !json.parse(response.body))
        return Error{ErrorCode::kFailed, "The scripted server does not say what it sent: " + response.end.detail,
                     "Try again; it may have been killed, as for want of memory."};
    std::map<std::int64_t, Sent> requests;
    for (std::size_t i = 0; i < json.size("/requests").value_or(0); ++i) {
        const std::string at = fmt::format("/requests/{}", i);
        const std::string_view prompt = json.text(at + "/prompt_start").value_or("");
        const auto number = prompt.starts_with(kPrompt) ? base::parse_int(prompt.substr(kPrompt.size())) : std::nullopt;
        if (!number) continue;  // a probe of the server's fields
        Sent& sent = requests[*number];
        sent.asked = Ns{json.integer(at + "/read_ns").value_or(0)};
        for (std::size_t w = 0; w < json.size(at + "/writes").value_or(0); ++w) {
            const std::string write = fmt::format("{}/writes/{}", at, w);
            if (json.integer(write + "/events").value_or(0) > 0)
                sent.events.emplace_back(json.integer(write + "/written_ns").value_or(0));
        }
    }
    return requests;
}

/// A scripted server in a child process, and a client for it.
class Bench {
public:
    static Result<std::unique_ptr<Bench>> open(const SelfTestLoad& load, const system::System& system,
                                               const std::function<bool()>& stop) {
        auto server = mock::Server::open(program_of(load), {.compact = load.gap_ms <= 0.0});
        if (!server) return server.error();
        auto child = system::ForkedChild::start([&] {
            (*server)->run();
            return 0;
        });
        if (!child) return child.error();
        std::unique_ptr<Bench> bench(new Bench(std::move(*server), std::move(*child), load, stop));
        const TargetSpec spec{.backend = "openai", .model = "mock:1b", .url = bench->server_->url()};
        auto backend = backend::make_backend(spec, system, {}, bench->clock_, stop);
        if (!backend) return backend.error();
        if (const auto described = (*backend)->describe(); !described) return described.error();
        bench->backend_ = std::move(*backend);
        if (const auto warm = bench->run(kWarmUp); warm.interrupted)
            return Error{ErrorCode::kInterrupted, "Stopped during the self-test", ""};
        return bench;
    }

    Run run(std::int64_t requests) {
        std::vector<Prompt> prompts;
        for (std::int64_t i = 0; i < requests; ++i)
            prompts.push_back({.text = fmt::format("{}{}", kPrompt, i), .max_tokens = load_.tokens, .seed = 0});
        return load::run_load(load::closed_loop(prompts.size(), load_.streams), prompts, *backend_, clock_, kPatience,
                              {.stop = stop_});
    }

    Result<std::map<std::int64_t, Sent>> truth() { return ask_truth(server_->url(), clock_, stop_); }
    int server_pid() const { return child_.pid(); }

private:
    Bench(std::unique_ptr<mock::Server> server, system::ForkedChild child, const SelfTestLoad& load,
          std::function<bool()> stop)
        : server_(std::move(server)), child_(std::move(child)), load_(load), stop_(std::move(stop)) {}

    std::unique_ptr<mock::Server> server_;  // runs in the child; here it only knows its address
    system::ForkedChild child_;
    SelfTestLoad load_;
    std::function<bool()> stop_;
    system::SteadyClock clock_;
    std::unique_ptr<Backend> backend_;
};

struct Errors {
    std::vector<double> ttft_ms;
    std::vector<double> gap_ms;
    std::vector<double> speed_percent;
};

/// The difference between what was measured and what was sent. TTFT counts at the server from the arrival of the
/// request's last byte, so the way there and back is part of the error.
void compare(const RequestRecord& record, const Sent& sent, Errors& errors) {
    const auto& events = record.events;
    errors.ttft_ms.push_back(to_ms(events.front().at - (sent.events.front() - sent.asked)));
    for (std::size_t i = 1; i < events.size(); ++i)
        errors.gap_ms.push_back(to_ms((events[i].at - events[i - 1].at) - (sent.events[i] - sent.events[i - 1])));
    const double measured = to_seconds(events.back().at - events.front().at);
    const double truth = to_seconds(sent.events.back() - sent.events.front());
    if (measured > 0.0) errors.speed_percent.push_back(100.0 * (truth / measured - 1.0));
}

bool complete(const RequestRecord& record, const SelfTestLoad& load) {
    return record.outcome == Outcome::kOk && metrics::output_tokens(record) == load.tokens &&
           record.events.size() == static_cast<std::size_t>(load.tokens);
}

double share(Ns cpu, Ns wall) {
    return wall > Ns{0} ? to_seconds(cpu) / to_seconds(wall) : 0.0;
}

Result<SelfTestStreams> measure_streams(const SelfTestLoad& load, const system::System& system,
                                        const std::function<bool()>& stop, Hiccups* hiccups) {
    auto bench = Bench::open(load, system, stop);
    if (!bench) return bench.error();
    if (const auto old = (*bench)->truth(); !old) return old.error();
    // The machine is watched as in every benchmark, so that its cost is in the figures.
    hardware::HostWatch watch(system, hardware::find_engine(system, (*bench)->server_pid(), false), kNap);
    const Ns cpu_before = system::process_cpu_time();
    const Run run = (*bench)->run(load.requests);
    const Ns cpu = system::process_cpu_time() - cpu_before;
    if (hiccups != nullptr) *hiccups = watch.report().hiccups;
    if (run.interrupted) return Error{ErrorCode::kInterrupted, "Stopped during the self-test", ""};
    const auto truth = (*bench)->truth();
    if (!truth) return truth.error();

    SelfTestStreams result{.load = load, .cpu_share = share(cpu, run.wall)};
    Errors errors;
    for (const RequestRecord& record : run.requests) {
        const auto sent = truth->find(static_cast<std::int64_t>(record.id));
        if (!complete(record, load) || sent == truth->end() || sent->second.events.size() != record.events.size())
            continue;
        ++result.answered;
        compare(record, sent->second, errors);
    }
    result.ttft_ms = error_spread(std::move(errors.ttft_ms));
    result.gap_ms = error_spread(std::move(errors.gap_ms));
    result.decode_speed_percent = error_spread(std::move(errors.speed_percent));
    return result;
}

Result<SelfTestSpeed> measure_speed(const SelfTestLoad& load, const system::System& system,
                                    const std::function<bool()>& stop) {
    auto bench = Bench::open(load, system, stop);
    if (!bench) return bench.error();
    const Ns cpu_before = system::process_cpu_time();
    const Run run = (*bench)->run(load.requests);
    const Ns cpu = system::process_cpu_time() - cpu_before;
    if (run.interrupted) return Error{ErrorCode::kInterrupted, "Stopped during the self-test", ""};

    SelfTestSpeed result{.load = load};
    Ns first = Ns::max();  // the server first writes its whole answer down: that time isn't the client's
    Ns last{};
    for (const RequestRecord& record : run.requests) {
        if (complete(record, load)) ++result.answered;
        if (record.events.empty()) continue;
        result.events += static_cast<std::int64_t>(record.events.size());
        first = std::min(first, record.sent + record.events.front().at);
        last = std::max(last, record.sent + record.events.back().at);
    }
    if (result.events > 0 && last > first) {
        result.events_per_second = static_cast<double>(result.events) / to_seconds(last - first);
        result.cpu_us_per_event = 1e6 * to_seconds(cpu) / static_cast<double>(result.events);
    }
    return result;
}

}  // namespace

ErrorSpread error_spread(std::vector<double> errors) {
    if (errors.empty()) return {};
    ErrorSpread spread{.n = errors.size(), .median = stats::median_of(errors)};
    for (double& error : errors) error = std::abs(error);
    std::sort(errors.begin(), errors.end());
    spread.max = errors.back();
    spread.p95 = stats::supported_quantile(errors, 0.95);
    spread.p99 = stats::supported_quantile(errors, 0.99);
    return spread;
}

Result<SelfTest> run_selftest(const SelfTestPlan& plan, const system::System& system,
                              const std::function<bool()>& stop) {
    SelfTest test;
    const auto one = measure_streams(plan.one, system, stop, &test.hiccups);
    if (!one) return one.error();
    const auto many = measure_streams(plan.many, system, stop, nullptr);
    if (!many) return many.error();
    const auto full = measure_speed(plan.full, system, stop);
    if (!full) return full.error();
    test.one = *one;
    test.many = *many;
    test.full = *full;
    test.peak_memory_bytes = system::peak_memory_bytes();
    return test;
}

}  // namespace velollm::benchmark
