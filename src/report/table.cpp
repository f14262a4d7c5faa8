#include "report/table.h"

#include <fmt/core.h>

#include "metrics/table.h"
#include "report/delimited.h"

namespace velollm::report {
namespace {

std::string number(double value) {
    return fmt::format("{:.4f}", value);
}

std::string count(const std::optional<std::int64_t>& value) {
    return value ? fmt::format("{}", *value) : "";
}

std::string codes(const Summary& summary) {
    std::string text;
    for (const Finding& finding : summary.findings)
        if (text.find(finding.code) == std::string::npos) text += (text.empty() ? "" : " ") + finding.code;
    return text;
}

std::vector<std::string> csv_values(const Context& context, const BenchmarkResult& result) {
    std::vector<std::string> fields = {result.config.name,
                                       result.config.model,
                                       context.target.kind,
                                       context.target.version,
                                       context.target.quantization,
                                       fmt::format("{}", result.config.max_tokens),
                                       fmt::format("{}", result.config.iterations),
                                       fmt::format("{}", result.summary.samples.size()),
                                       number(result.tokens_per_second),
                                       number(result.time_to_first_token_ms),
                                       number(result.total_time_ms),
                                       fmt::format("{}", result.total_tokens),
                                       count(result.prompt_eval_count),
                                       count(result.eval_count),
                                       result.timestamp,
                                       std::string(status_of(result)),
                                       codes(result.summary)};
    for (const MetricSummary& metric : result.summary.metrics) {
        const auto& d = metric.values;
        fields.push_back(d ? number(d->median) : "");
        fields.push_back(d ? number(d->interval ? d->interval->lower : d->min) : "");
        fields.push_back(d ? number(d->interval ? d->interval->upper : d->max) : "");
    }
    return fields;
}

std::string markdown_value(const Summary& summary, const metrics::Metric& metric) {
    const Distribution* d = summary.find(std::string(metric.key));
    if (d == nullptr) return "-";
    const double low = d->interval ? d->interval->lower : d->min;
    const double high = d->interval ? d->interval->upper : d->max;
    if (d->n == 1) return fmt::format("{:.{}f}", d->median, metric.decimals);
    return fmt::format("{0:.{3}f} ({1:.{3}f} .. {2:.{3}f})", d->median, low, high, metric.decimals);
}

}  // namespace

std::string result_csv(const std::vector<ReportedResult>& results) {
    std::vector<std::string> head = {
        "name",          "model",        "backend",           "engine_version",    "quantization",
        "max_tokens",    "iterations",   "samples",           "tokens_per_second", "time_to_first_token_ms",
        "total_time_ms", "total_tokens", "prompt_eval_count", "eval_count",        "timestamp",
        "status",        "warnings"};
    for (const metrics::Metric& metric : metrics::metric_table())
        for (const char* part : {"median", "low", "high"}) head.push_back(fmt::format("{}_{}", metric.key, part));
    std::string text = csv_row(head);
    for (const auto& [context, result] : results) text += csv_row(csv_values(*context, *result));
    return text;
}

std::string result_markdown(const std::vector<ReportedResult>& results) {
    std::string text;
    const Context* last = nullptr;
    for (const auto& [context, result] : results) {
        if (context != last) {
            const TargetInfo& target = context->target;
            text += fmt::format("{}{} {} on {}, {} {}\n\n", last == nullptr ? "" : "\n", target.display_name,
                                target.version, context->hardware.cpu.model, target.model, target.quantization);
            text += "| benchmark | runs | tok/s | TTFT ms | decode tok/s | TPOT ms | status |\n";
            text += "|---|---|---|---|---|---|---|\n";
            last = context;
        }
        const auto value = [&](std::string_view key) {
            for (const metrics::Metric& metric : metrics::metric_table())
                if (metric.key == key) return markdown_value(result->summary, metric);
            return std::string("-");
        };
        text += fmt::format("| {} | {} | {:.1f} | {} | {} | {} | {} {} |\n", markdown_cell(result->config.name),
                            result->summary.samples.size(), result->tokens_per_second, value("ttft_ms"),
                            value("decode_tps"), value("tpot_ms"), status_of(*result), codes(result->summary));
    }
    return text;
}

}  // namespace velollm::report
