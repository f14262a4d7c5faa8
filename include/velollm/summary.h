#pragma once

#include <velollm/run.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace velollm {

/// The values that enclose the true median with probability `coverage`, at least 0.95, whatever the distribution.
struct Interval {
    double lower = 0.0;
    double upper = 0.0;
    double coverage = 0.0;
};

/// The value below which the share `p` of a distribution lies, with 95 % bounds on it. A bound that so small a sample
/// can't give is absent.
struct Percentile {
    double p = 0.0;
    double value = 0.0;
    std::optional<double> lower;
    std::optional<double> upper;
};

/// One metric over the samples of a run.
struct Distribution {
    std::size_t n = 0;
    double median = 0.0;
    double mean = 0.0;
    double min = 0.0;
    double max = 0.0;
    std::optional<Interval> interval;     ///< of the median; absent below 6 independent samples
    std::vector<Percentile> percentiles;  ///< 0.9 from 29 values on, 0.95 from 59, 0.99 from 299, 0.999 from 2995
    double cv = 0.0;                      ///< spread: 1.4826 MAD / median
    std::size_t mild_outliers = 0;        ///< beyond 1.5 interquartile ranges; labelled, never removed
    std::size_t severe_outliers = 0;      ///< beyond 3
    /// What n is worth where neighbours resemble each other; absent where they don't. The interval takes it.
    std::optional<double> n_effective;
    std::vector<double> samples;  ///< in the order they were taken; empty for values pooled over tokens
    /// Places, from 0, among the requests that count, of those without a value here: samples are of the others.
    std::vector<std::size_t> missing;
};

/// A row of the metric table (docs/metrics.md) with its values, or the reason why there are none.
struct MetricSummary {
    std::string key;
    std::optional<Distribution> values;
    std::string absent;
};

/// How much a finding takes from the trust in the numbers.
enum class Level { kNote, kSuspect, kInvalid };

/// Something that a reader of the numbers must know. Codes: docs/metrics.md.
struct Finding {
    std::string code;
    Level level = Level::kNote;
    std::string message;
    std::string remedy;
    std::optional<std::size_t> request;  ///< index in the run, when it concerns one request only
};

/// A figure of the whole run: a ratio of sums, not a mean of ratios.
struct RunFigure {
    std::string key;
    double value = 0.0;
    std::optional<Interval> interval;
};

enum class Verdict { kValid, kSuspect, kInvalid };

/// What a run says, judged.
struct Summary {
    std::vector<MetricSummary> metrics;  ///< one for every row of the table, in its order
    std::vector<RunFigure> figures;      ///< those that the run allows (docs/metrics.md)
    std::vector<Finding> findings;
    Verdict verdict = Verdict::kValid;
    TokenSource token_source = TokenSource::kNone;
    std::size_t attempted = 0;
    std::vector<std::size_t> samples;  ///< indices of the requests that count

    const Distribution* find(const std::string& key) const;
    /// Why the metric is absent; empty when it isn't.
    std::string why_absent(const std::string& key) const;
};

}  // namespace velollm
