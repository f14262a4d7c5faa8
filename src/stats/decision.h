#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "stats/shift.h"

namespace velollm::stats {

/// What can be said of B against A. "Not significant" is none of these words: kUnclear says so, and how much it would
/// have seen.
enum class Decision {
    kFaster,   ///< better by more than the limit, all of the interval
    kSlower,   ///< worse by more than the limit, all of the interval
    kSmall,    ///< a real difference; whether it passes the limit is open, or it doesn't
    kSame,     ///< within the limit on both sides
    kUnclear,  ///< none of these can be said
};
std::string_view decision_name(Decision decision);

/// How a comparison is judged.
struct Limits {
    /// What the reader calls a difference: 0.02 is 2 %. In logarithms, ln(1 + delta) either way, so that B against A is
    /// the mirror image of A against B.
    double delta = 0.02;
    double alpha = 0.05;       ///< of calling equal ones different
    double alpha_same = 0.05;  ///< of calling "same" what differs by delta: two one-sided tests of this size
    bool higher_is_better = true;
};

/// Factors of B to A, and the probability that they enclose the true one.
struct Factors {
    double low = 1.0;
    double high = 1.0;
    double level = 0.0;
};

/// Of an interval of logarithms.
std::optional<Factors> as_factors(const std::optional<ShiftInterval>& interval);

struct Judgement {
    Decision decision = Decision::kUnclear;
    std::size_t n = 0;                     ///< pairs, or values of the smaller sample
    double factor = 1.0;                   ///< B ÷ A
    std::optional<Factors> interval = {};  ///< at 1 - alpha; absent where n is too small for one
    std::optional<Factors> within = {};    ///< at 1 - 2 alpha_same: inside of the limit it means kSame
    double p = 1.0;                        ///< of "no difference", two-sided
    /// A true difference of this share would have been found with 80 % by a test of 5 %: the smaller of what the
    /// standard deviation and the interval of the ranks say.
    std::optional<double> visible = {};
    std::optional<std::size_t> pairs_for_delta = {};  ///< so many pairs find a difference of delta with 80 %
};

/// The rule. `interval` at 1 - alpha and `within` at 1 - 2 alpha_same, of ln(B / A); an absent one decides nothing.
Decision decide(const std::optional<ShiftInterval>& interval, const std::optional<ShiftInterval>& within,
                const Limits& limits);

/// Judges pairs: `log_ratios` are ln(B_i / A_i), at least one.
Judgement judge_pairs(const std::vector<double>& log_ratios, const Limits& limits);

/// Judges samples taken apart, at least one value each, all above 0. What the machine did between them is in the
/// difference, and no test can tell.
Judgement judge_samples(const std::vector<double>& a, const std::vector<double>& b, const Limits& limits);

/// The confidence that each of several comparisons must reach so that 5 % (`alpha`) holds for all of them together: by
/// Holm's steps, the smallest p-value at alpha / m, the next at alpha / (m - 1), ... and from the first that fails on,
/// all the rest at that level. In the order of `p`.
/// Source: Holm, Scand. J. Statist. 6 (1979).
std::vector<double> holm_alphas(const std::vector<double>& p, double alpha);

}  // namespace velollm::stats
