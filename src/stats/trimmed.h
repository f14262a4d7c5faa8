#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "stats/shift.h"

namespace velollm::stats {

/// The signed-rank test of few pairs, blind to disturbed ones.
///
/// A run that something else disturbed makes its pair differ by many times the usual. Its rank is bounded, but it takes
/// the highest one, and with one run in twenty disturbed and 30 pairs three such ranks of random sign lie among the
/// evidence. So pairs that lie further from the shift in question than 2.5 robust standard deviations (1.4826 times the
/// median distance from it) are left out of the count. Whether a pair is left out hangs on its distance alone and not
/// on its side: if the pairs are symmetric around that shift, the sides of those that are left are still tosses of a
/// coin, and the test is as exact as it was. Nothing is removed from the data, or from the estimate.
///
/// Measured (bench/decisions, planned looks): a true 3 % at 3 % noise with disturbed runs is found within 30 pairs in
/// 70 % by the plain test, in 86 % by this one.

/// The differences less their median, without disturbed ones.
std::vector<double> undisturbed(const std::vector<double>& differences);

/// P of as many or fewer (`below`), or as many or more, of the ranks on the positive side, if the pairs are symmetric
/// around `shift`. 1 where nothing is left.
double trimmed_tail(const std::vector<double>& differences, double shift, bool below);

/// Two-sided, of "symmetric around 0".
double trimmed_p(const std::vector<double>& differences);

/// The shifts that the test doesn't refuse, missing the true one at each end with at most `tail`. Nothing where the
/// pairs are too few. For up to kExactPairs pairs.
std::optional<ShiftInterval> trimmed_interval(const std::vector<double>& differences, double tail);

}  // namespace velollm::stats
