#include "metrics/summarize.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "metrics/figures.h"
#include "metrics/request.h"
#include "metrics/table.h"
#include "stats/clustered.h"
#include "stats/dependence.h"
#include "stats/order_interval.h"
#include "stats/outliers.h"
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

constexpr double kConfidence = 0.95;
constexpr std::array kPercentiles = {0.9, 0.95, 0.99, 0.999};
/// Shorter series have no correlation worth the name: its standard error is about 1 / sqrt(n).
constexpr std::size_t kMinSamplesForDependence = 30;

Distribution describe(const std::vector<double>& sorted) {
    const stats::Outliers outliers = stats::count_outliers(sorted);
    return {.n = sorted.size(),
            .median = stats::median(sorted),
            .mean = stats::mean(sorted),
            .min = sorted.front(),
            .max = sorted.back(),
            .cv = stats::robust_cv(sorted),
            .mild_outliers = outliers.mild,
            .severe_outliers = outliers.severe};
}

/// Values of requests, in the order these were sent.
Distribution distribution(const std::vector<double>& values) {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    Distribution out = describe(sorted);
    out.samples = values;
    auto worth = sorted.size();
    if (const double n = stats::effective_n(values);
        sorted.size() >= kMinSamplesForDependence && n < static_cast<double>(sorted.size())) {
        out.n_effective = n;
        worth = static_cast<std::size_t>(n);
    }
    // Ranks for the number of independent values, carried over to the sample and rounded outwards.
    const double step = worth < 2 ? 0.0 : static_cast<double>(sorted.size() - 1) / static_cast<double>(worth - 1);
    const auto low = [&](std::size_t rank) {
        return sorted[static_cast<std::size_t>(std::floor(static_cast<double>(rank - 1) * step))];
    };
    const auto high = [&](std::size_t rank) {
        return sorted[static_cast<std::size_t>(std::ceil(static_cast<double>(rank - 1) * step - 1e-9))];
    };
    if (const auto ranks = stats::order_interval(worth, 0.5, kConfidence))
        out.interval = Interval{low(ranks->lower), high(ranks->upper), ranks->coverage};
    for (const double p : kPercentiles) {
        const auto value = stats::supported_quantile(sorted, p);
        if (!value) continue;
        Percentile percentile{.p = p, .value = *value};
        const stats::RankBounds bounds = stats::order_bounds(worth, p, kConfidence);
        if (bounds.lower) percentile.lower = low(*bounds.lower);
        if (bounds.upper) percentile.upper = high(*bounds.upper);
        out.percentiles.push_back(percentile);
    }
    return out;
}

/// Values pooled over the tokens of requests: what is independent is the request.
Distribution pooled_distribution(const std::vector<std::vector<double>>& requests) {
    std::vector<double> sorted;
    for (const auto& values : requests) sorted.insert(sorted.end(), values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    Distribution out = describe(sorted);
    if (const auto interval = stats::clustered_interval(requests, 0.5))
        out.interval = Interval{interval->lower, interval->upper, kConfidence};
    for (const double p : kPercentiles) {
        const auto value = stats::supported_quantile(sorted, p);
        if (!value) continue;
        Percentile percentile{.p = p, .value = *value};
        if (const auto bounds = stats::clustered_interval(requests, p)) {
            percentile.lower = bounds->lower;
            percentile.upper = bounds->upper;
        }
        out.percentiles.push_back(percentile);
    }
    return out;
}

MetricSummary summarize_metric(const Metric& metric, const Run& run, const std::vector<std::size_t>& samples) {
    MetricSummary out{
        .key = std::string(metric.key), .values = {}, .absent = samples.empty() ? "no valid request" : ""};
    std::vector<double> values;
    std::vector<std::vector<double>> pooled;
    bool any_pooled = false;
    for (const std::size_t i : samples) {
        const RequestRecord& request = run.requests[i];
        const MetricValue value = metric.of(request);
        if (value.value) values.push_back(*value.value);
        if (out.absent.empty()) out.absent = value.absent;
        if (metric.pooled == nullptr) continue;
        pooled.push_back(metric.pooled(request));
        any_pooled = any_pooled || !pooled.back().empty();
    }
    if (!values.empty()) out.values = distribution(values);
    if (any_pooled) out.values = pooled_distribution(pooled);
    if (out.values) out.absent.clear();
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
    out.figures = run_figures(run, out.samples);
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
