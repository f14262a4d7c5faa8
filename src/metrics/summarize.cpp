#include "metrics/summarize.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

#include "metrics/figures.h"
#include "metrics/request.h"
#include "metrics/table.h"
#include "stats/clustered.h"
#include "stats/dependence.h"
#include "stats/order_interval.h"
#include "stats/outliers.h"
#include "stats/quantile.h"
#include "stats/sort.h"

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

/// Large runs are sorted two dozen times: the memory for it is taken once.
struct Memory {
    std::vector<double> sorted;
    std::vector<std::uint64_t> keys;

    const std::vector<double>& sorted_copy(const std::vector<double>& values) {
        sorted.assign(values.begin(), values.end());
        stats::sort_values(sorted, keys);
        return sorted;
    }
};

/// Values of requests, in the order these were sent.
Distribution distribution(std::vector<double> values, Memory& memory) {
    const std::vector<double>& sorted = memory.sorted_copy(values);
    Distribution out = describe(sorted);
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
    out.samples = std::move(values);
    return out;
}

/// Values pooled over the tokens of requests: what is independent is the request.
Distribution pooled_distribution(const stats::Clusters& requests, Memory& memory) {
    const std::vector<double>& sorted = memory.sorted_copy(requests.values);
    Distribution out = describe(sorted);
    if (const auto interval = stats::clustered_interval(requests, sorted, 0.5))
        out.interval = Interval{interval->lower, interval->upper, kConfidence};
    for (const double p : kPercentiles) {
        const auto value = stats::supported_quantile(sorted, p);
        if (!value) continue;
        Percentile percentile{.p = p, .value = *value};
        if (const auto bounds = stats::clustered_interval(requests, sorted, p)) {
            percentile.lower = bounds->lower;
            percentile.upper = bounds->upper;
        }
        out.percentiles.push_back(percentile);
    }
    return out;
}

stats::Clusters pool(const Metric& metric, const Run& run, const std::vector<std::size_t>& samples) {
    stats::Clusters out;
    std::size_t events = 0;
    for (const std::size_t i : samples) events += run.requests[i].events.size();
    out.values.reserve(events);
    out.ends.reserve(samples.size());
    for (const std::size_t i : samples) {
        metric.pooled(run.requests[i], out.values);
        out.ends.push_back(out.values.size());
    }
    return out;
}

/// The values of all metrics. Some requests at a time, and all metrics of these: a large run is read from memory once.
std::vector<MetricSummary> summarize_metrics(const Run& run, const std::vector<std::size_t>& samples) {
    constexpr std::size_t kAtOnce = 1024;
    const auto table = metric_table();
    std::vector<MetricSummary> out;
    for (const Metric& metric : table)
        out.push_back(
            {.key = std::string(metric.key), .values = {}, .absent = samples.empty() ? "no valid request" : ""});
    std::vector<std::vector<double>> values(table.size());
    std::vector<std::vector<std::size_t>> missing(table.size());
    for (std::size_t m = 0; m < table.size(); ++m)
        if (table[m].pooled == nullptr) values[m].reserve(samples.size());
    for (std::size_t begin = 0; begin < samples.size(); begin += kAtOnce) {
        const std::size_t end = std::min(begin + kAtOnce, samples.size());
        for (std::size_t m = 0; m < table.size(); ++m) {
            for (std::size_t i = begin; i < end; ++i) {
                const MetricValue value = table[m].of(run.requests[samples[i]]);
                if (value.value)
                    values[m].push_back(*value.value);
                else
                    missing[m].push_back(i);
                if (out[m].absent.empty()) out[m].absent = value.absent;
            }
        }
    }
    Memory memory;
    for (std::size_t m = 0; m < table.size(); ++m) {
        if (!values[m].empty()) {
            out[m].values = distribution(std::move(values[m]), memory);
            out[m].values->missing = std::move(missing[m]);
        }
        if (table[m].pooled != nullptr) {
            const stats::Clusters pooled = pool(table[m], run, samples);
            if (!pooled.values.empty()) out[m].values = pooled_distribution(pooled, memory);
        }
        if (out[m].values) out[m].absent.clear();
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
    out.metrics = summarize_metrics(run, out.samples);
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
