#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "benchmark/ab.h"

namespace velollm::optimize {

/// Tokens of a turn of a profile: what is new in the prompt, and the answer.
struct Turn {
    double prompt_tokens = 1024.0;
    double answer_tokens = 256.0;
};

/// Seconds that such a turn would take at the speeds of a block's requests, whose prompts have any length:
/// TTFT · prompt_tokens / N + answer_tokens / decode. N counts the processed tokens; medians over the requests. Never a
/// mean of two speeds. Nothing where the block brought no decode speed, or no length of its prompts.
std::optional<double> turn_seconds(const benchmark::Block& block, const Turn& turn);

struct ConfirmPlan {
    /// What a block costs, less is better; empty: 1 ÷ decode speed.
    std::function<std::optional<double>(const benchmark::Block&)> cost = {};
    double delta = 0.02;
    bool reload = false;
    std::size_t requests = 0;  ///< as in AbPlan
    std::size_t most_pairs = 30;
    std::optional<Ns> budget = {};
    std::uint64_t seed = 0;
};

struct Confirmation {
    benchmark::AbResult measured;  ///< A: as it was; B: the choice. Factors are of costs: below 1 is better
    bool improved = false;         ///< better beyond doubt, and by delta at least as estimated
};

/// Measures a choice against what it is to replace, on fresh requests, in pairs. Only this is published: what a search
/// saw of its winner is partly luck.
Result<Confirmation> confirm(const benchmark::MeasureBlock& measure, const ConfirmPlan& plan, Clock& clock,
                             const std::function<bool()>& stop, const benchmark::OnPair& on_pair);

}  // namespace velollm::optimize
