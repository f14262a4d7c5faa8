#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "stats/decision.h"

namespace velollm::stats {

/// Looking at pairs while they come in, without finding what isn't there. Testing after each pair at 5 % calls equal
/// settings different in 29 to 36 % of cases (method 3.3).
///
/// Planned looks, by the test that disturbed pairs don't blind (stats/trimmed.h). Equal shares of 1.4 % at each look
/// (Pocock, Biometrika 64, 1977) find a true 3 % at 3 % noise in 78 % of cases where one run in twenty is disturbed.
/// More of the 5 % for the last look (as O'Brien and Fleming have it, Biometrics 35, 1979) finds it in 86 %, and 5 %
/// still after 10 pairs; so the shares grow. "Same" has shares of its own, most of them for the first two looks, since
/// on a quiet machine ten pairs are enough to say so. bench/decisions measures all of it: equal settings are called
/// different in 5 % at most (0.8 to 5.0 of 1000 seeds), whatever the drift; settings that differ by just delta are
/// called the same in 5 to 6 % at the noise where that happens most (1.6 % of a run), elsewhere in less.
struct Look {
    std::size_t pairs;
    double alpha;       ///< both sides together
    double alpha_same;  ///< each side
    /// A true difference of so many standard deviations of a pair is found with 80 %, at this look or before it
    /// (4000 simulated cases, normal).
    double reach;
};
inline constexpr Look kLooks[] = {{8, 0.008, 0.0275, 1.92},
                                  {10, 0.007, 0.0325, 1.51},
                                  {15, 0.009, 0.009, 1.06},
                                  {20, 0.013, 0.007, 0.84},
                                  {30, 0.028, 0.007, 0.62}};

/// Fewer than this tell nothing.
inline constexpr std::size_t kLeastPairs = kLooks[0].pairs;

/// The looks of a measurement that ends after `most` pairs at the latest, at least 1: those of the table that come
/// before, and the last look's shares at the end, so that they are spent once.
std::vector<Look> planned_looks(std::size_t most);

/// The look after so many pairs; nothing when none is planned then.
const Look* look_at(const std::vector<Look>& looks, std::size_t pairs);

/// The shares for an end after `pairs` pairs that isn't one of the looks. `planned`: time was over, or the engine gone,
/// whatever the pairs said: what the last look was to have. Else a person chose the moment, with the figures before
/// their eyes: only what the look before had.
Look look_at_end(const std::vector<Look>& looks, std::size_t pairs, bool planned);

/// Judges at a look, with its shares in place of those of `limits`. No interval below
/// kLeastPairs. `visible` and `pairs_for_delta` are those of the planned looks; absent where there is no interval.
Judgement judge_look(const std::vector<double>& log_ratios, const Limits& limits, const Look& look);

/// For looking after every pair, for as long as somebody likes: an interval that encloses the true mean at all times
/// together with 95 %. From the t-mixture L_n = (1 + n g)^(-1/2) [(1 + u) / (1 + u / (1 + n g))]^(n/2),
/// u = t^2 / (n - 1), g = 0.25, which passes 20 with at most 5 % ever; solved for the mean. Nothing where n is too
/// small to say anything. Against the planned looks it takes some pairs more (method 3.3: a 5 % effect at 3 % noise, 12
/// pairs). Source: Johari, Pekelis, Walsh, Always Valid Inference (2015); Lai, Ann. Stat. 4 (1976) for the mixture of
/// t.
std::optional<ShiftInterval> anytime_interval(const std::vector<double>& differences, double alpha = 0.05);

/// judge_pairs() by that interval. It gives "same" by the same interval, so that it too may be looked at after every
/// pair; p is the largest alpha whose interval leaves 0 out, so it too holds whenever one stops. What it could have
/// seen: half of the interval and 0.84 standard errors, within 8 % of what 2000 simulated cases found with 80 %.
Judgement judge_anytime(const std::vector<double>& log_ratios, const Limits& limits);

}  // namespace velollm::stats
