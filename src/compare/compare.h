#pragma once

#include <velollm/result.h>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compare/judge.h"
#include "compare/likeness.h"
#include "compare/side.h"

namespace velollm::compare {

/// What is asked for.
struct Question {
    Rule rule;
    std::set<std::string> varied = {};  ///< keys of differences that are the object of the comparison
    bool force = false;                 ///< compare unlike runs too
};

/// One benchmark of one side against the baseline's.
struct BenchmarkComparison {
    std::string name;
    bool paired = false;  ///< the primary measure is
    std::size_t baseline_runs = 1;
    std::size_t runs = 1;
    std::string baseline_when = {};
    std::string when = {};
    std::vector<MetricComparison> metrics;  ///< the primary one first; empty: nothing can be compared
    std::vector<NotCompared> not_compared;
};

/// A difference between the runs, and in how many of the benchmarks.
struct SeenDifference {
    Difference difference;
    std::vector<std::string> benchmarks;
};

/// Geometric mean of the factors of one primary measure. It has no interval: benchmarks are chosen, not drawn.
struct Mean {
    std::string key;
    double factor = 1.0;
    std::size_t benchmarks = 0;
};

/// One side against the baseline.
struct Candidate {
    std::string name;
    std::vector<BenchmarkComparison> benchmarks;
    std::vector<SeenDifference> differences;
    std::vector<std::string> unknown;  ///< keys that matter and that one side doesn't tell
    std::vector<std::string> only_in_baseline;
    std::vector<std::string> only_here;
    std::vector<Mean> means;  ///< of measures that at least two benchmarks of both sides have
    std::vector<std::string> notes;
};

enum class Outcome { kSameOrBetter, kSlower, kUnclear };
std::string_view outcome_name(Outcome outcome);

struct Comparison {
    Question question;
    std::string baseline;
    /// What the baseline was measured on; empty for what its benchmarks don't share.
    std::map<std::string, std::string> identity;
    std::vector<std::string> baseline_notes;
    std::vector<Candidate> candidates;
    Outcome outcome = Outcome::kSameOrBetter;
};

/// Compares each of `others` with the baseline. An error names every difference that forbids it, or says that nothing
/// is common.
Result<Comparison> compare(const Side& baseline, const std::vector<Side>& others, const Question& question);

/// By the primary measures: slower if any is, unclear if any is or is a small change for the worse that may pass the
/// limit, else same or better. What has no primary measure is unclear.
Outcome outcome_of(const Candidate& candidate, double delta);

}  // namespace velollm::compare
