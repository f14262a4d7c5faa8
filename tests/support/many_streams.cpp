// Many requests at once through the real load engine and the real HTTP backend, for the conformance scripts that need
// more than one stream: what happened, with times of the steady clock, and what was found doubtful, as JSON.
//
// velollm_many_streams URL REQUESTS STREAMS TOKENS [INTERVAL_MS]
//     STREAMS users of a closed loop; with INTERVAL_MS a request is due every so often instead, and STREAMS is the most
//     that may be open.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "backend/make_backend.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "hardware/detect.h"
#include "hardware/telemetry.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "metrics/summarize.h"
#include "system/system.h"

namespace {

using namespace velollm;

/// Remembers the first time that it was asked: the begin of a run.
struct BeginClock final : Clock {
    system::SteadyClock clock;
    std::optional<TimePoint> begin;

    TimePoint now() override {
        const TimePoint time = clock.now();
        if (!begin) begin = time;
        return time;
    }
};

struct Wish {
    std::string url;
    std::size_t requests = 0;
    int streams = 0;
    std::int64_t tokens = 0;
    std::int64_t interval_ms = 0;
};

int fail(const Error& error) {
    std::fprintf(stderr, "%s\n%s\n", error.message.c_str(), error.hint.c_str());
    return 1;
}

Schedule schedule_of(const Wish& wish) {
    Schedule schedule = load::closed_loop(wish.requests, wish.streams);
    if (wish.interval_ms == 0) return schedule;
    schedule.closed_loop = false;
    for (std::size_t i = 0; i < schedule.due.size(); ++i)
        schedule.due[i] = std::chrono::milliseconds(wish.interval_ms * static_cast<std::int64_t>(i));
    return schedule;
}

void write(base::JsonWriter& json, const RequestRecord& r, TimePoint begin) {
    const Ns zero = begin.time_since_epoch();
    json.begin_object().field("scheduled_ns", (zero + r.scheduled).count()).field("sent_ns", (zero + r.sent).count());
    json.field("ok", r.outcome == Outcome::kOk).field("error", r.error.message);
    json.field("tokens", r.server.output_tokens.value_or(0)).field("connect_ns", r.connect.value_or(Ns{0}).count());
    json.key("event_ns").begin_array();
    for (const TokenStamp& event : r.events) json.value((zero + r.sent + event.at).count());
    json.end_array().end_object();
}

void print(const Run& run, const Summary& summary, TimePoint begin) {
    base::JsonWriter json;
    json.begin_object().key("requests").begin_array();
    for (const RequestRecord& r : run.requests) write(json, r, begin);
    json.end_array().key("findings").begin_array();
    for (const Finding& finding : summary.findings) json.value(finding.code);
    json.end_array().field("valid", summary.verdict == Verdict::kValid);
    json.field("cpu_share", run.client.cpu_share.value_or(0.0), 4);
    json.field("cap_reached", run.cap_reached);
    json.field("p99_ms", to_ms(run.host->hiccups.p99), 4).field("max_ms", to_ms(run.host->hiccups.max), 4);
    json.end_object();
    std::printf("%s\n", json.text().c_str());
}

int measure(const Wish& wish) {
    const system::System system = system::this_system();
    system::SteadyClock clock;
    const TargetSpec target{.backend = "openai", .model = "mock:1b", .url = wish.url};
    auto backend = backend::make_backend(target, system, hardware::detect_this_machine(system), clock, {});
    if (!backend) return fail(backend.error());
    if (const auto described = (*backend)->describe(); !described) return fail(described.error());

    const std::vector<Prompt> prompts(wish.requests, {.text = "Say something long.", .max_tokens = wish.tokens});
    BeginClock run_clock;
    hardware::HostWatch host(system, {}, std::chrono::milliseconds(1));
    const Ns cpu = system::process_cpu_time();
    Run run = load::run_load(schedule_of(wish), prompts, **backend, run_clock, target.timeout, {});
    run.client.cpu_share = to_seconds(system::process_cpu_time() - cpu) / to_seconds(run.wall);
    run.host = host.report();
    print(run, metrics::summarize(run, {}), run_clock.begin.value());
    return 0;
}

}  // namespace

int main(int count, char** words) {
    const auto number = [&](int i) { return i < count ? base::parse_int(words[i]).value_or(-1) : 0; };
    const Wish wish{.url = count > 1 ? words[1] : "",
                    .requests = static_cast<std::size_t>(number(2)),
                    .streams = static_cast<int>(number(3)),
                    .tokens = number(4),
                    .interval_ms = number(5)};
    if (count < 5 || count > 6 || number(2) < 1 || wish.streams < 1 || wish.tokens < 1 || wish.interval_ms < 0)
        return fail({ErrorCode::kUsage, "velollm_many_streams URL REQUESTS STREAMS TOKENS [INTERVAL_MS]", ""});
    return measure(wish);
}
