#include <velollm/benchmark.h>

#include "backend/options.h"
#include "benchmark/session.h"
#include "hardware/detect.h"

namespace velollm {

struct BenchmarkRunner::State {
    explicit State(TargetSpec spec)
        : environment(system::this_system()),
          options(backend::take_environment(spec, environment)),
          session(std::move(spec), environment, hardware::detect_this_machine(environment), {.quiet_check = Ns{0}},
                  clock, {}) {}

    system::SteadyClock clock;
    system::System environment;
    Result<void> options;  // an unusable environment variable, told by the first run()
    benchmark::Session session;
    std::optional<std::string> ready_model;
};

BenchmarkRunner::BenchmarkRunner(std::string backend) : BenchmarkRunner(TargetSpec{.backend = std::move(backend)}) {}
BenchmarkRunner::BenchmarkRunner(TargetSpec target) : state_(std::make_unique<State>(std::move(target))) {}
BenchmarkRunner::~BenchmarkRunner() = default;
BenchmarkRunner::BenchmarkRunner(BenchmarkRunner&&) noexcept = default;
BenchmarkRunner& BenchmarkRunner::operator=(BenchmarkRunner&&) noexcept = default;

Result<BenchmarkResult> BenchmarkRunner::run(const BenchmarkConfig& config) {
    if (!state_->options) return state_->options.error();
    if (config.iterations < 1 || config.max_tokens < 1 || config.prompt.empty())
        return Error{ErrorCode::kUsage, "A benchmark needs a prompt, at least 1 token and at least 1 iteration", ""};
    benchmark::Session& session = state_->session;
    if (state_->ready_model != config.model) {
        state_->ready_model.reset();
        if (const auto connected = session.connect(config.model); !connected) return connected.error();
        if (const auto prepared = session.prepare(config, false); !prepared) return prepared.error();
        state_->ready_model = config.model;
    }
    BenchmarkResult result = session.measure(config, {}, nullptr);
    if (session.lost()) return *session.lost();
    if (result.summary.samples.empty()) {
        const auto& requests = result.run.requests;
        const Error reason = requests.empty() ? Error{} : requests.front().error;
        return Error{ErrorCode::kNoValidResult, "No request brought a valid result: " + reason.message, reason.hint};
    }
    return result;
}

}  // namespace velollm
