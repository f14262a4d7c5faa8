#include "serde/measured.h"

#include <cmath>

#include "fuzz.h"

namespace {

using velollm::fuzz::require;

void check(const velollm::serde::MeasuredMetric& metric) {
    require(!metric.key.empty(), "a metric has a key");
    require(metric.centre.has_value() != !metric.samples.empty(), "a metric has samples or a figure, and not both");
    require(metric.centre.has_value() == !metric.centre_is.empty(), "it is said what a figure is");
    require(metric.samples.empty() || metric.n == metric.samples.size(), "n counts the samples");
    require(metric.pair_keys.empty() || metric.pair_keys.size() == metric.samples.size(),
            "each sample has its partner");
    for (const double sample : metric.samples) require(!std::isnan(sample), "a sample is a number");
}

}  // namespace

/// Whatever a result file holds, something was measured in it, or it is refused with a reason.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto file = velollm::serde::read_measured(velollm::fuzz::as_text(data, size), "fuzz");
    if (!file) {
        require(!file.error().message.empty() && !file.error().hint.empty(), "an error says what and what to do");
        return 0;
    }
    require(!file->tool.empty() && !file->workloads.empty(), "a result is of a tool and has a benchmark");
    for (const auto& workload : file->workloads) {
        require(!workload.metrics.empty() || !workload.status.empty(),
                "a benchmark measured something, or says that it failed");
        for (const auto& metric : workload.metrics) {
            check(metric);
            require(workload.find(metric.key) != nullptr, "a metric is found by its key");
        }
        for (const auto& [name, value] : workload.identity) require(!value.empty(), "what isn't known isn't there");
    }
    return 0;
}
