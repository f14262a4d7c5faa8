#pragma once

#include <velollm/backend.h>
#include <velollm/result.h>
#include <velollm/run.h>
#include <velollm/spec.h>
#include <velollm/summary.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace velollm {

/// One benchmark: the same prompt, `iterations` times, up to `max_tokens` generated tokens each.
struct BenchmarkConfig {
    std::string name;
    std::string model;  ///< empty: the target's own
    std::string prompt;
    std::int64_t max_tokens = 50;
    std::int64_t iterations = 3;
    /// Tokens of other text in front of the prompt: speed falls as the context fills. Met within a few per cent where
    /// the engine counts prompt tokens, else by a usual length of words.
    std::int64_t context_depth = 0;
};

/// What came out. The first group keeps the names and meanings of the original result file.
struct BenchmarkResult {
    BenchmarkConfig config;
    double tokens_per_second = 0.0;       ///< generated tokens ÷ whole request time, averaged over the iterations
    double time_to_first_token_ms = 0.0;  ///< averaged over the iterations
    double total_time_ms = 0.0;           ///< sum over the iterations
    std::int64_t total_tokens = 0;        ///< sum over the iterations
    std::optional<std::int64_t> prompt_eval_count;  ///< mean over the iterations, rounded down
    std::optional<std::int64_t> eval_count;         ///< mean over the iterations, rounded down
    std::string timestamp;                          ///< UTC, when the benchmark began

    Run run;          ///< every request, raw
    Summary summary;  ///< decode speed and the rest of docs/metrics.md, with what they can be trusted for
};

/// Runs benchmarks against one engine. Not for use by several threads at once.
class BenchmarkRunner {
public:
    /// `backend` is "ollama", "llamacpp" or "embedded"; addresses and options come from the environment (OLLAMA_HOST,
    /// OLLAMA_NUM_CTX, ...), as for the command.
    explicit BenchmarkRunner(std::string backend);
    explicit BenchmarkRunner(TargetSpec target);
    ~BenchmarkRunner();
    BenchmarkRunner(BenchmarkRunner&&) noexcept;
    BenchmarkRunner& operator=(BenchmarkRunner&&) noexcept;

    /// Connects, loads and warms the model up when it isn't yet, measures, and judges. Fails when the engine can't be
    /// reached or hasn't the model, and with kNoValidResult when every request failed.
    Result<BenchmarkResult> run(const BenchmarkConfig& config);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace velollm
