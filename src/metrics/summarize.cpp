#include "metrics/summarize.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "metrics/request.h"
#include "metrics/table.h"
#include "stats/order_interval.h"
#include "stats/quantile.h"

namespace velollm {

const Distribution* Summary::find(const std::string& key) const {
    for (const MetricSummary& metric : metrics)
        if (metric.key == key) return metric.values ? &*metric.values : nullptr;
    return nullptr;
}

std::string Summary::why_absent(const std::string& key) const {
    for (const MetricSummary& metric : metrics)
        if (metric.key == key) return metric.absent;
    return "no such metric";
}

namespace metrics {
namespace {

constexpr std::size_t kMinSamplesForInterval = 6;

Distribution distribution(const std::vector<double>& values, bool independent) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    Distribution out{.n = sorted.size(),
                     .median = stats::median(sorted),
                     .mean = stats::mean(sorted),
                     .min = sorted.front(),
                     .max = sorted.back(),
                     .p90 = stats::supported_quantile(sorted, 0.90),
                     .p95 = stats::supported_quantile(sorted, 0.95),
                     .p99 = stats::supported_quantile(sorted, 0.99)};
    if (!independent) return out;
    out.samples = values;
    if (const auto ranks = stats::order_interval(sorted.size(), 0.5, 0.95))
        out.interval = Interval{sorted[ranks->lower - 1], sorted[ranks->upper - 1], ranks->coverage};
    return out;
}

MetricSummary summarize_metric(const Metric& metric, const Run& run, const std::vector<std::size_t>& samples) {
    MetricSummary out{
        .key = std::string(metric.key), .values = {}, .absent = samples.empty() ? "no valid request" : ""};
    std::vector<double> values;
    for (const std::size_t i : samples) {
        const RequestRecord& request = run.requests[i];
        const MetricValue value = metric.of(request);
        if (value.value) values.push_back(*value.value);
        if (out.absent.empty()) out.absent = value.absent;
        if (metric.pooled != nullptr) {
            const std::vector<double> more = metric.pooled(request);
            values.insert(values.end(), more.begin(), more.end());
        }
    }
    if (!values.empty()) {
        out.values = distribution(values, metric.pooled == nullptr);
        out.absent.clear();
    }
    return out;
}

Verdict judge(const Run& run, const std::vector<Finding>& findings, const std::set<std::size_t>& invalid,
              std::size_t samples) {
    if (samples == 0) return Verdict::kInvalid;
    const double share = static_cast<double>(invalid.size()) / static_cast<double>(run.requests.size());
    if (share > kThresholds.requests_invalid) return Verdict::kInvalid;
    Verdict verdict = Verdict::kValid;
    for (const Finding& finding : findings) {
        if (finding.level == Level::kInvalid && !finding.request) return Verdict::kInvalid;
        if (finding.level != Level::kNote) verdict = Verdict::kSuspect;
    }
    return verdict;
}

}  // namespace

Summary summarize(const Run& run, const RunContext& context) {
    Summary out;
    out.findings = check_run(run, context);
    std::set<std::size_t> invalid;
    for (const Finding& finding : out.findings)
        if (finding.request && finding.level == Level::kInvalid) invalid.insert(*finding.request);

    for (std::size_t i = 0; i < run.requests.size(); ++i) {
        const RequestRecord& request = run.requests[i];
        if (request.outcome != Outcome::kCancelled) ++out.attempted;
        if (request.outcome != Outcome::kOk || invalid.contains(i)) continue;
        out.samples.push_back(i);
        out.token_source = std::max(out.token_source, token_source(request));  // the worst one speaks for all
    }
    for (const Metric& metric : metric_table()) out.metrics.push_back(summarize_metric(metric, run, out.samples));
    if (!out.samples.empty() && out.samples.size() < kMinSamplesForInterval) {
        out.findings.push_back({"too_few", Level::kNote,
                                fmt::format("{} samples: no interval of the median below 6", out.samples.size()),
                                "Measure more: --iterations 10", std::nullopt});
    }
    out.verdict = judge(run, out.findings, invalid, out.samples.size());
    return out;
}

}  // namespace metrics
}  // namespace velollm
