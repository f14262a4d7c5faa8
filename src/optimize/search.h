#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/ab.h"
#include "optimize/confirm.h"
#include "optimize/race.h"

namespace velollm::optimize {

/// Settings and their values; what isn't in it is as it was.
using Choice = std::map<std::string, std::string>;

/// One setting, and the values that are tried for it beside the one that it has.
struct Stage {
    std::string id;  ///< S1 .. S7
    std::string setting;
    std::vector<std::string> values;
};

struct SearchPlan {
    std::vector<Stage> stages;
    Choice start = {};  ///< taken to have won already
    /// What a block costs, less is better.
    std::function<std::optional<double>(const benchmark::Block&)> cost;
    double delta = 0.02;       ///< least gain worth a change
    std::size_t requests = 2;  ///< of a block
    bool reload = true;        ///< a block begins with a load
    Ns budget = std::chrono::minutes(20);
    std::uint64_t seed = 0;
    /// How often the processor was slowed down for heat since the machine started, and what lets it cool down. A block
    /// in which that happened says nothing of its settings: it is measured again. Absent: not known.
    std::function<std::optional<std::int64_t>()> heat_events = {};
    std::function<void()> rest = {};
};

/// Measures a block of so many requests with these settings.
using MeasureChoice = std::function<Result<benchmark::Block>(const Choice&, std::size_t requests)>;

/// What a stage came to.
struct StageResult {
    Stage stage;
    std::vector<std::string> values;  ///< all that ran: "" is as it was before the stage
    RaceResult race;
    std::string taken;  ///< "": nothing was changed
    double gain = 0.0;  ///< of the taken value against the one before, as the race saw it: the winner's luck is in it
    bool dropped = false;  ///< taken, and found to bring nothing when it was left out again
};

enum class SearchEnd {
    kImproved,       ///< the confirmation says so
    kNoImprovement,  ///< nothing was better, or not measurably so
    kTradeoff,       ///< better, and another measure is worse by more than 5 %
    kStopped,        ///< by the user: `best` is what had won so far, and nothing confirms it
};

struct SearchResult {
    SearchEnd end = SearchEnd::kNoImprovement;
    Choice best;  ///< empty: as it was
    std::vector<StageResult> stages;
    double noise = 0.0;    ///< spread of the ratio of two blocks with the same settings
    double visible = 0.0;  ///< visible_gain() of the confirmation that there was, or that there is time for
    Ns block{};            ///< what a block takes
    std::optional<Confirmation> confirmed;
    std::string worse;  ///< the measure of kTradeoff, in words
    std::size_t blocks = 0;
};

/// A line for people.
struct Notice {
    std::string text;
    bool passing = false;  ///< how far it is, and until when: true until the next line comes
};
using OnProgress = std::function<void(const Notice&)>;

/// The gain that a confirmation of so many pairs finds with 80 %: it must be told from nothing, and come out at `delta`
/// at least. `noise`: of the ratio of two blocks, as a logarithm.
double visible_gain(double noise, std::size_t pairs, double delta);

/// Searches stage by stage, each with a race in blocks that all share, takes a winner only where it is ahead by delta /
/// 2, leaves each change out once to see whether it is missed, and confirms what is left against what was, in pairs on
/// fresh requests. Only the confirmation's gain is published. An error is one of the settings as they were: those of
/// others are outcomes of the race.
Result<SearchResult> search(const SearchPlan& plan, const MeasureChoice& measure, Clock& clock,
                            const std::function<bool()>& stop, const OnProgress& progress);

}  // namespace velollm::optimize
