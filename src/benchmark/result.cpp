#include "benchmark/result.h"

#include "metrics/request.h"

namespace velollm::benchmark {

std::optional<Ns> request_time(const RequestRecord& record) {
    return record.done;
}

std::optional<double> iteration_tps(const RequestRecord& record) {
    const auto tokens = metrics::output_tokens(record);
    const auto time = request_time(record);
    if (!tokens || !time || *time <= Ns{0}) return std::nullopt;
    return static_cast<double>(*tokens) / to_seconds(*time);
}

BenchmarkResult make_result(const BenchmarkConfig& config, std::string timestamp, Run run, Summary summary) {
    BenchmarkResult out{.config = config, .timestamp = std::move(timestamp)};
    std::int64_t prompt_tokens = 0;
    bool prompt_tokens_known = true;
    bool eval_count_known = true;
    for (const std::size_t i : summary.samples) {
        const RequestRecord& record = run.requests[i];
        out.tokens_per_second += iteration_tps(record).value_or(0.0);
        out.time_to_first_token_ms += record.events.empty() ? 0.0 : to_ms(record.events.front().at);
        out.total_time_ms += to_ms(request_time(record).value_or(Ns{0}));
        out.total_tokens += metrics::output_tokens(record).value_or(0);
        prompt_tokens += record.server.prompt_tokens.value_or(0);
        prompt_tokens_known = prompt_tokens_known && record.server.prompt_tokens.has_value();
        eval_count_known = eval_count_known && record.server.output_tokens.has_value();
    }
    const auto n = static_cast<std::int64_t>(summary.samples.size());
    if (n > 0) {
        out.tokens_per_second /= static_cast<double>(n);
        out.time_to_first_token_ms /= static_cast<double>(n);
        if (prompt_tokens_known) out.prompt_eval_count = prompt_tokens / n;
        if (eval_count_known) out.eval_count = out.total_tokens / n;
    }
    out.run = std::move(run);
    out.summary = std::move(summary);
    return out;
}

std::optional<OverallAverage> overall_average(const std::vector<BenchmarkResult>& results) {
    OverallAverage sum;
    int n = 0;
    for (const BenchmarkResult& result : results) {
        if (result.summary.samples.empty()) continue;
        sum.tokens_per_second += result.tokens_per_second;
        sum.time_to_first_token_ms += result.time_to_first_token_ms;
        ++n;
    }
    if (n == 0) return std::nullopt;
    return OverallAverage{sum.tokens_per_second / n, sum.time_to_first_token_ms / n};
}

}  // namespace velollm::benchmark
