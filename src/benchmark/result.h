#pragma once

#include <velollm/benchmark.h>

#include <optional>
#include <string>
#include <vector>

namespace velollm::benchmark {

/// Whole time of a request: from sending it to the server's own end. What "total time" means in the original file.
std::optional<Ns> request_time(const RequestRecord& record);

/// The original's tokens per second of one iteration: generated tokens ÷ whole request time. Not a speed of generation.
std::optional<double> iteration_tps(const RequestRecord& record);

/// Works out the original keys from the samples of `summary`.
BenchmarkResult make_result(const BenchmarkConfig& config, std::string timestamp, Run run, Summary summary);

/// Mean over the results that have a valid sample, as the original's "Overall Average". Nothing when none has.
struct OverallAverage {
    double tokens_per_second = 0.0;
    double time_to_first_token_ms = 0.0;
};
std::optional<OverallAverage> overall_average(const std::vector<BenchmarkResult>& results);

}  // namespace velollm::benchmark
