#pragma once

#include <velollm/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace velollm::optimize {

/// How many runs a race may take, and who runs in which order.
struct RaceRules {
    std::size_t most_runs = 130;
    std::uint64_t seed = 0;
};

/// One setting in a race.
struct Runner {
    std::vector<double> logs;  ///< of its costs, one for each block that it ran in
    std::string failed;        ///< why it ran no further: out of memory, for one; empty: it didn't fail
    double behind = 0.0;       ///< of the best, as a logarithm, when it was last in a block
};

struct RaceResult {
    std::vector<Runner> runners;
    std::vector<std::size_t> ranking;  ///< best first; those that failed are left out
    std::size_t runs = 0;
    bool stopped = false;  ///< before its end: the ranking is that of now
};

/// What a setting costs in a run, above 0: less is better. An error of kInterrupted ends the race, any other one takes
/// the setting out of it.
using MeasureCost = std::function<Result<double>(std::size_t runner)>;

/// Finds the cheapest of several settings. It is no measurement of by how much: whoever wins a race was lucky, too, and
/// must be measured anew before anything is said of it.
///
/// Blocks: in each, everybody who is still in runs once, in an order drawn anew, so that what the machine does
/// meanwhile falls on all alike; only differences within blocks count. Rounds of equal numbers of runs: after each, the
/// better 60 % go on, down to two; whoever is behind the best by more than three standard errors goes at once.
///
/// Measured by bench/decisions with 24 settings whose costs lie up to 15 % apart, at 3 % noise and drift: see
/// docs/tuning.md. A grid with five runs each finds a setting within 1 % of the best in 71 % (method 3.5).
/// Source: Karnin, Koren, Somekh, ICML 2013 (sequential halving); Lopez-Ibanez et al., Oper. Res. Persp. 3 (2016)
/// (racing).
RaceResult race(std::size_t runners, const MeasureCost& measure, const RaceRules& rules,
                const std::function<void(const RaceResult&)>& on_block = {});

}  // namespace velollm::optimize
