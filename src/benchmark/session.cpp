#include "benchmark/session.h"

#include <fmt/core.h>

#include <algorithm>

#include "backend/make_backend.h"
#include "benchmark/result.h"
#include "load/schedule.h"
#include "metrics/summarize.h"

namespace velollm::benchmark {
namespace {

constexpr std::int64_t kWarmUpRequests = 2;
constexpr std::int64_t kWarmUpTokens = 16;

}  // namespace

Session::Session(TargetSpec target, system::System system, Hardware hardware, Clock& clock, std::function<bool()> stop)
    : target_(std::move(target)),
      system_(std::move(system)),
      hardware_(std::move(hardware)),
      clock_(clock),
      stop_(std::move(stop)),
      nonces_(system::random_u64()) {}

Result<TargetInfo> Session::connect(const std::string& model) {
    TargetSpec target = target_;
    if (!model.empty()) target.model = model;
    auto backend = backend::make_backend(target, system_, hardware_, clock_, stop_);
    if (!backend) return backend.error();
    auto described = (*backend)->describe();
    if (!described) return described.error();
    backend_ = std::move(*backend);
    prepared_ = {.target = *described};
    return described;
}

Run Session::run_prompts(const BenchmarkConfig& config, std::int64_t requests, std::int64_t max_tokens,
                         const load::Watch& watch) {
    std::vector<Prompt> prompts;
    std::vector<std::string> nonces;
    for (std::int64_t i = 0; i < requests; ++i) {
        nonces.push_back(nonces_.next());
        prompts.push_back({.text = nonces.back() + config.prompt, .max_tokens = max_tokens, .seed = target_.seed});
    }
    const Schedule schedule = load::closed_loop(prompts.size(), 1);
    Run run = load::run_load(schedule, prompts, *backend_, clock_, target_.timeout, watch);
    for (RequestRecord& record : run.requests) record.nonce = nonces[record.id].substr(0, nonces[record.id].find('\n'));
    return run;
}

Result<Preparation> Session::prepare(const BenchmarkConfig& first, bool reload) {
    if (reload) {
        if (const auto done = backend_->unload(); !done) return done.error();
    }
    auto loaded = backend_->load();
    if (!loaded) return loaded.error();
    prepared_.loaded = *loaded;

    const std::int64_t tokens = std::min(first.max_tokens, kWarmUpTokens);
    const Run run = run_prompts(first, kWarmUpRequests, tokens, {.stop = stop_});
    for (const RequestRecord& record : run.requests) {
        if (record.outcome == Outcome::kCancelled)
            return Error{ErrorCode::kInterrupted, "Stopped while warming up", ""};
        if (record.outcome == Outcome::kOk) ++prepared_.warm_up_requests;
    }
    if (run.interrupted) return Error{ErrorCode::kInterrupted, "Stopped while warming up", ""};
    if (prepared_.warm_up_requests == 0) {
        Error error = run.requests.front().error;
        if (error.message.empty()) error.message = "the warm-up requests brought no token";
        return error;
    }
    return prepared_;
}

BenchmarkResult Session::measure(const BenchmarkConfig& config,
                                 const std::function<void(const RequestRecord&)>& on_request,
                                 load::LiveCounters* live) {
    const std::string timestamp = system::utc_timestamp(system::unix_now_ms() / 1000);
    const load::Watch watch{.stop = [this] { return lost_.has_value() || (stop_ && stop_()); },
                            .on_request_done =
                                [&](const RequestRecord& record) {
                                    if (record.error.code == ErrorCode::kUnreachable) lost_ = record.error;
                                    if (on_request) on_request(record);
                                },
                            .live = live};
    const Ns cpu_before = system::process_cpu_time();
    const auto machine_before = system::machine_time(system_);
    Run run = run_prompts(config, config.iterations, config.max_tokens, watch);
    const Ns cpu = system::process_cpu_time() - cpu_before;
    const auto machine_after = system::machine_time(system_);
    run.client.peak_memory_bytes = system::peak_memory_bytes();
    if (prepared_.target.kind != "embedded") {
        if (run.wall > Ns{0}) run.client.cpu_share = to_seconds(cpu) / to_seconds(run.wall);
    } else if (machine_before && machine_after && machine_after->all > machine_before->all) {
        // With the engine in this process its CPU time is ours; what is left of the machine's is other work.
        const double others = to_seconds(machine_after->busy - machine_before->busy - cpu);
        run.client.other_cpu_share = std::max(0.0, others / to_seconds(machine_after->all - machine_before->all));
    }

    const metrics::RunContext context{
        .prompt = config.prompt, .gpu_share = prepared_.loaded.gpu_share, .engine = prepared_.target.display_name};
    Summary summary = metrics::summarize(run, context);
    BenchmarkResult result = make_result(config, timestamp, std::move(run), std::move(summary));
    result.config.model = prepared_.target.model;
    return result;
}

}  // namespace velollm::benchmark
