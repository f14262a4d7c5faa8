#include "cli/apply_benchmark.h"

#include <fmt/core.h>

#include <utility>

#include "benchmark/session.h"
#include "cli/interrupt.h"

namespace velollm::cli {
namespace {

constexpr std::int64_t kRequests = 6;  // fewer have no interval
constexpr std::int64_t kTokens = 24;
/// Before and after lie minutes apart: so much changes by itself on a quiet machine.
constexpr double kDrift = 0.05;

std::string side(const Distribution& values) {
    if (!values.interval) return fmt::format("{:.1f} tok/s", values.median);
    return fmt::format("{:.1f} tok/s ({:.1f} to {:.1f})", values.median, values.interval->lower,
                       values.interval->upper);
}

}  // namespace

Result<BriefResult> measure_briefly(const std::string& engine, const std::string& model, const std::string& url,
                                    const system::System& system) {
    TargetSpec target;
    target.backend = engine == "ollama" ? "ollama" : "llamacpp";
    target.url = url;
    if (engine == "ollama") target.model = model;
    BenchmarkConfig config;
    config.name = "before_after";
    config.model = target.model;
    config.prompt = "Tell in plain words how a bicycle stays upright.";
    config.max_tokens = kTokens;
    config.iterations = kRequests;
    benchmark::Protocol protocol;
    protocol.quiet_check = Ns(0);
    protocol.cache_check = false;
    protocol.warm_up = 2;
    system::SteadyClock clock;
    benchmark::Session session(target, system, {}, protocol, clock, interrupted);
    if (const auto connected = session.connect(config.model); !connected) return connected.error();
    if (const auto prepared = session.prepare(config, false); !prepared) return prepared.error();
    const BenchmarkResult result = session.measure(config, {}, nullptr);
    if (interrupted()) return Error{ErrorCode::kInterrupted, "Interrupted", ""};
    const Distribution* decode = result.summary.find("decode_tps");
    if (decode != nullptr) return BriefResult{*decode};
    return Error{ErrorCode::kNoValidResult, "The server's speed can't be measured: no request came to a good end",
                 "See  velollm benchmark"};
}

std::string comparison_text(const BriefResult& before, const BriefResult& after) {
    return fmt::format("Decode before {}, after {}: {:.2f} times ({} requests each, one block behind the other)\n",
                       side(before.decode), side(after.decode), after.decode.median / before.decode.median, kRequests);
}

bool clearly_slower(const BriefResult& before, const BriefResult& after) {
    const Distribution& a = before.decode;
    const Distribution& b = after.decode;
    const double least = a.interval ? a.interval->lower : a.min;
    const double most = b.interval ? b.interval->upper : b.max;
    return most < least && b.median < a.median * (1.0 - kDrift);
}

}  // namespace velollm::cli
