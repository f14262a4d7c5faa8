#pragma once

#include <velollm/run.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/ab.h"

namespace velollm::report {

/// What a comparison of two settings was made of, beside its pairs.
struct AbContext {
    std::array<std::string, 2> words;  ///< what A and B are, as the user wrote it
    std::string engine;                ///< "llama.cpp 0.5.0, Q4_1"
    std::string model;
    std::string version;  ///< of this program
    std::string started_at;
    std::uint64_t seed = 0;
    std::int64_t max_tokens = 0;
    std::int64_t warm_up = 0;
    bool null_test = false;  ///< B is A
    /// What a variable of the user's environment set beside the words: option, value, variable.
    std::array<std::vector<std::array<std::string, 3>>, 2> from_environment;
    std::optional<HostReport> before;   ///< the machine before anything was loaded
    std::optional<double> common_text;  ///< share of A's answer that B's begins with; absent: not asked
    std::vector<std::string> notes;     ///< on requests that don't count
};

/// What is going to happen, before the first pair.
std::string ab_opening(const benchmark::AbPlan& plan, const AbContext& context);
/// One line for the latest pair, and one more at a look.
std::string ab_pair(const benchmark::AbPlan& plan, const benchmark::AbResult& result);
/// The verdicts, what they rest on, and what is to be known of them.
std::string ab_verdict(const benchmark::AbPlan& plan, const benchmark::AbResult& result, const AbContext& context);
/// A table to paste, and how it was measured.
std::string ab_markdown(const benchmark::AbPlan& plan, const benchmark::AbResult& result, const AbContext& context);
/// schema/velollm-ab-1.schema.json.
std::string ab_json(const benchmark::AbPlan& plan, const benchmark::AbResult& result, const AbContext& context);

}  // namespace velollm::report
