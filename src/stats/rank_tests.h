#pragma once

#include <cstddef>
#include <vector>

namespace velollm::stats {

/// Largest number of values for which the distributions below are exact. Beyond it the normal distribution stands in:
/// within 6 % of the exact one to two standard deviations, and a fifth too large at three, on the careful side.
inline constexpr std::size_t kExactPairs = 50;
inline constexpr std::size_t kExactSide = 20;  ///< of the larger of two samples

/// P(W+ <= w) of Wilcoxon's signed-rank statistic for `n` differences, none of them 0 and no two alike in size, where
/// each is as likely positive as negative. Exact up to kExactPairs.
double signed_rank_at_most(std::size_t n, double w);

/// P(U <= u) of Mann and Whitney's statistic for samples of `n1` and `n2` values of one distribution without ties.
/// Exact up to kExactSide.
double rank_sum_at_most(std::size_t n1, std::size_t n2, double u);

/// Two-sided p-value of "the differences are symmetric around 0". Differences of 0 say nothing and are left out, equal
/// sizes share their ranks; with both, the distribution is that of the very ranks at hand. 1 when nothing is left.
/// Source: Wilcoxon, Biometrics Bulletin 1 (1945); Lehmann, Nonparametrics, section 3.2.
double signed_rank_p(const std::vector<double>& differences);

/// One side of it: the probability of as few or fewer (`below`), or as many or more, of the ranks being positive.
double signed_rank_tail(const std::vector<double>& differences, bool below);

/// Two-sided p-value of "both samples come from one distribution", by the ranks at hand. 1 when a sample is empty.
/// Source: Mann, Whitney, Ann. Math. Stat. 18 (1947).
double rank_sum_p(const std::vector<double>& a, const std::vector<double>& b);

/// The largest number k with P(W+ <= k) <= tail, or -1: how many of the ordered Walsh averages may be cut off at each
/// end for an interval that misses at that end with at most `tail`.
long signed_rank_cut(std::size_t n, double tail);
/// The same for the differences between two samples.
long rank_sum_cut(std::size_t n1, std::size_t n2, double tail);

}  // namespace velollm::stats
