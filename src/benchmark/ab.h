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
#include "stats/looks.h"

namespace velollm::benchmark {

/// What one side of a pair measured in its turn: a load where its setting needs one, and the requests behind it.
struct Block {
    std::vector<RequestRecord> requests;           ///< without the warm-up
    Ns wall{};                                     ///< of all of them together
    Ns load{};                                     ///< what bringing the setting into force took, warm-up included
    std::optional<std::int64_t> model_bytes = {};  ///< what the model took, as LoadedModel::bytes
};

/// Measures a block of so many requests of a side: 0 is A, 1 is B.
using MeasureBlock = std::function<Result<Block>(std::size_t side, std::size_t requests)>;

struct AbPlan {
    std::string metric = "decode_tps";  ///< of the metric table: the one that decides
    /// What decides in place of a metric; limits.higher_is_better then says its direction.
    std::function<std::optional<double>(const Block&)> value;
    stats::Limits limits;
    bool reload = false;          ///< each block begins with a load: the load is the unit then
    std::size_t requests = 0;     ///< in a block; 0: one, or, with reload, what a pilot says
    std::size_t most_pairs = 30;  ///< at least 1
    bool watch = false;           ///< look after every pair, and go on for as long as nobody stops it
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
    kLost,     ///< an engine went away for good: AbResult::error
};

/// Another metric, judged on the same pairs when the deciding one has ended it. Holm's steps share 5 % among all of
/// these, equal parts the 5 % of "same"; with `watch`, equal parts both. bench/decisions measures what the moment of
/// the end adds: at least one of three is called different in 1 to 4 % where all are equal.
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
    std::optional<Error> error;               ///< of kLost
    stats::Look look{};                       ///< the shares of the judgement; none with `watch`
    std::optional<stats::LoadLevels> levels;  ///< what the pilot said
    std::optional<double> drift_per_pair;     ///< A became faster or slower by such a share from pair to pair
};

/// Shown after each pair; the judgement is that of now, for a display only.
using OnPair = std::function<void(const AbResult& so_far)>;

/// Measures A and B in pairs, in an order drawn anew for each, looks when the plan of stats/looks.h says so, and ends
/// as soon as something can be said. An error of `measure` is handed on where no pair is complete yet; else it ends the
/// measurement, and what there is gets judged.
Result<AbResult> run_ab(const AbPlan& plan, const MeasureBlock& measure, Clock& clock,
                        const std::function<bool()>& stop, const OnPair& on_pair);

/// The median of a metric over the requests of a block that ended well; nothing when none has it.
std::optional<double> block_value(const Block& block, std::string_view metric);

/// The most memory that a side's model took in any pair; nothing where the engine doesn't tell.
std::optional<std::int64_t> most_model_bytes(const std::vector<AbPair>& pairs, std::size_t side);

/// ln(B / A) of the complete pairs that have both.
std::vector<double> log_ratios(const std::vector<AbPair>& pairs, std::string_view metric);

}  // namespace velollm::benchmark
