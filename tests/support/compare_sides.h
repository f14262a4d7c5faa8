#pragma once

#include <gtest/gtest.h>

#include <fmt/core.h>

#include <map>
#include <string>
#include <vector>

#include "compare/side.h"

namespace velollm::test {

using Identity = std::map<std::string, std::string>;

/// Samples under a key; `paired`: sample i of each metric shares a key with sample i of others.
inline serde::MeasuredMetric metric(const std::string& key, std::vector<double> samples, bool higher, bool paired) {
    serde::MeasuredMetric out{.key = key, .higher_is_better = higher, .samples = std::move(samples)};
    out.n = out.samples.size();
    if (paired)
        for (std::size_t i = 0; i < out.samples.size(); ++i) out.pair_keys.push_back(fmt::format("turn {}", i));
    return out;
}

/// A benchmark on one and the same engine and machine, but for `changed`.
inline serde::MeasuredWorkload measured(const std::string& name, std::vector<serde::MeasuredMetric> metrics,
                                        const Identity& changed = {}) {
    serde::MeasuredWorkload out{.name = name};
    out.identity = {{"model", "llama3.2:3b"},      {"quantization", "Q4_K_M"}, {"engine", "ollama"},
                    {"engine_version", "0.32.15"}, {"context_tokens", "4096"}, {"machine", "Example CPU"},
                    {"hardware", "a box"}};
    for (const auto& [key, value] : changed) out.identity[key] = value;
    out.metrics = std::move(metrics);
    out.status = "ok";
    return out;
}

inline compare::Side side(const std::string& name, std::vector<serde::MeasuredWorkload> workloads) {
    serde::MeasuredFile file{.tool = "velollm", .workloads = std::move(workloads), .notes = {}};
    auto made = compare::make_side(name, {}, {std::move(file)});
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made ? *made : compare::Side{};
}

}  // namespace velollm::test
