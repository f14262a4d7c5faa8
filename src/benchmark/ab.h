#pragma once

#include <velollm/result.h>
#include <velollm/run.h>
#include <velollm/time.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stats/decision.h"
#include "stats/levels.h"

namespace velollm::benchmark {

/// What one side of a pair measured in its turn: a load where its setting needs one, and the requests behind it.
struct Block {
    std::vector<RequestRecord> requests;  ///< without the warm-up
    Ns wall{};                            ///< of all of them together
    Ns load{};                            ///< what bringing the setting into force took, warm-up included
};

/// Measures a block of so many requests of a side: 0 is A, 1 is B.
using MeasureBlock = std::function<Result<Block>(std::size_t side, std::size_t requests)>;

struct AbPlan {
    std::string metric = "decode_tps";  ///< of the metric table: the one that decides
    /// What decides in place of a metric; limits.higher_is_better then says its direction.
    std::function<std::optional<double>(const Block&)> value;
    stats::Limits limits;
    bool reload = false;       ///< each block begins with a load: the load is the unit then
    std::size_t requests = 0;  ///< in a block; 0: one, or, with reload, what a pilot says
    std::size_t most_pairs = 30;
    bool watch = false;  ///< look after every pair, and go on for as long as nobody stops it
    std::optional<Ns> budget;
    std::uint64_t seed = 0;  ///< of the order in the pairs
};

struct AbPair {
    std::array<Block, 2> sides;
    bool b_first = false;
    std::array<std::optional<double>, 2> values;  ///< median of the deciding metric; absent: it brought none
    bool complete() const { return values[0] && values[1]; }
};

enum class AbEnd {
    kDecided,
    kPairsOver,
    kBudgetOver,
    kStopped,  ///< by the user
    kFailing,  ///< pair after pair brought no value
};

/// Another metric, judged on the same pairs. Holm's steps share 5 % among all of these.
struct AbMetric {
    std::string key;
    stats::Judgement judgement;
};

struct AbResult {
    std::vector<AbPair> pairs;
    std::size_t failed_pairs = 0;  ///< of them, without a value on one side
    stats::Judgement judgement;    ///< of the deciding metric
    bool higher_is_better = true;  ///< its direction
    std::vector<AbMetric> others;
    AbEnd end = AbEnd::kPairsOver;
    std::optional<stats::LoadLevels> levels;  ///< what the pilot said
    std::optional<double> drift_per_pair;     ///< A became faster or slower by such a share from pair to pair
};

/// Shown after each pair; the judgement is that of now, for a display only.
using OnPair = std::function<void(const AbResult& so_far)>;

/// Measures A and B in pairs, in an order drawn anew for each, looks when the plan of stats/looks.h says so, and ends
/// as soon as something can be said. An error of `measure` ends it, unless pairs are there already and it was the
/// user's stop.
Result<AbResult> run_ab(const AbPlan& plan, const MeasureBlock& measure, Clock& clock,
                        const std::function<bool()>& stop, const OnPair& on_pair);

/// The median of a metric over the requests of a block that ended well; nothing when none has it.
std::optional<double> block_value(const Block& block, std::string_view metric);

/// ln(B / A) of the pairs that have both.
std::vector<double> log_ratios(const std::vector<AbPair>& pairs, std::string_view metric);

}  // namespace velollm::benchmark
