#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compare/side.h"
#include "stats/decision.h"

namespace velollm::compare {

/// The values of one side.
struct Values {
    std::size_t n = 0;             ///< that are compared; 0: the file has a summary only
    std::size_t drawn_from = 0;    ///< where there are too many: all of them, of which n were drawn at random; else 0
    double centre = 0.0;           ///< median of them; of a summary what the file states
    std::string centre_is = {};    ///< "median", "mean"
    std::vector<double> few = {};  ///< all of them where they are too few for an interval
};

/// One measure of one benchmark, the other side against the baseline.
struct MetricComparison {
    std::string key = {};
    bool higher_is_better = true;
    bool primary = false;
    bool paired = false;
    double alpha = 0.05;  ///< the share of errors that this measure may make: less where several are judged at once
    Values baseline = {};
    Values other = {};
    stats::Judgement judgement = {};  ///< of the values; of summaries only the factor
    std::string because = {};         ///< why it can't be told, where the numbers don't say so
    std::size_t left_out = 0;         ///< values of both sides that are none: 0 or less, or out of all range
};

/// A measure that both sides have and that isn't judged.
struct NotCompared {
    std::string key;
    std::string because;
};

struct Judged {
    std::vector<MetricComparison> metrics;  ///< the primary one first
    std::vector<NotCompared> not_compared;
};

/// How to judge.
struct Rule {
    double delta = 0.02;
    std::string metric = {};  ///< primary; empty: decode_tps, else tokens_per_second, else the next best
};

/// Judges what both sides of the match have. Pairs where 6 samples, or half of them, have a partner, else the samples
/// as taken apart; fewer than 6 pairs, or than 4 on a side, have no interval. Of more than 1000, 1000 are drawn at
/// random, the same at every call. The primary measure at 5 %, all others of the benchmark together at 5 % by Holm's
/// steps. Measures that say the same as another one are left out (TPOT beside the decode speed), and so are those of
/// whole requests where answers differ in length. Without a primary measure nothing is judged.
Judged judge(const Match& match, const Rule& rule);

/// Whether all of the interval lies within the limit.
bool within_limit(const MetricComparison& metric, double delta);

/// Whether a small change is for the worse, and its interval reaches beyond the limit.
bool may_be_worse(const MetricComparison& metric, double delta);

}  // namespace velollm::compare
