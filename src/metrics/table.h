#pragma once

#include <velollm/run.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::metrics {

/// A value of one request, or the reason why there is none.
struct MetricValue {
    std::optional<double> value;
    std::string_view absent;
};

enum class Better { kHigher, kLower };

/// One metric, once: result file, CSV and Markdown columns and docs/metrics.md all follow from its row.
struct Metric {
    std::string_view key;    ///< in files
    std::string_view title;  ///< in tables
    std::string_view unit;
    int decimals;  ///< printed
    Better better;
    std::string_view formula;  ///< for docs/metrics.md, in the terms of its glossary
    std::string_view note;
    MetricValue (*of)(const RequestRecord&);
    /// Set for a metric that has a value per pair of token events rather than per request.
    /// Adds them to those of other requests.
    void (*pooled)(const RequestRecord&, std::vector<double>&) = nullptr;
};

std::span<const Metric> metric_table();

}  // namespace velollm::metrics
