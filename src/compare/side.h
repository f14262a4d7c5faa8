#pragma once

#include <velollm/result.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serde/measured.h"

namespace velollm::compare {

/// One benchmark of a side, of one run or of several that were measured alike.
struct Benchmark {
    /// Samples of all runs, in the order of their start. A pair key holds the run's id as well. `status` is the worst.
    serde::MeasuredWorkload measured;
    std::string tool;
    std::size_t runs = 1;
};

/// What stands on one side of a comparison.
struct Side {
    std::string name;  ///< as the reader typed it
    std::vector<Benchmark> benchmarks;
    std::vector<std::string> notes;
};

/// Key and value that a benchmark must have; "name" and "run" beside the keys of an identity.
using Wanted = std::vector<std::pair<std::string, std::string>>;

/// "FILE@KEY=VALUE[,KEY=VALUE]" taken apart; a word without such an end is a file alone.
std::pair<std::string, Wanted> split_selection(std::string_view word);

/// What the files hold, as far as it is wanted. An error says what is ambiguous, which key isn't known, or that nothing
/// is left. Results of this program and of the original form that don't tell their depth and their concurrency have 0
/// and 1.
Result<Side> make_side(const std::string& name, const Wanted& wanted, const std::vector<serde::MeasuredFile>& files);

/// A benchmark that both sides have.
struct Match {
    const Benchmark* baseline = nullptr;
    const Benchmark* other = nullptr;
};
struct Matches {
    std::vector<Match> both;  ///< in the order of the baseline
    std::vector<std::string> only_in_baseline;
    std::vector<std::string> only_in_other;
};

/// By the key of the workload where both have one, else by name; with depth, concurrency and length. What is left is
/// matched by name alone where that leaves no doubt, so that the difference can be named. `any_workload`: the last one
/// of each side, too, whatever their names. The sides must outlive the matches.
Matches match(const Side& baseline, const Side& other, bool any_workload);

/// The value of an identity's key; empty where it isn't known.
std::string trait(const serde::MeasuredWorkload& workload, const std::string& key);

}  // namespace velollm::compare
