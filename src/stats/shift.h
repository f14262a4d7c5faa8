#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace velollm::stats {

/// An interval of a shift, and the probability with which its ends enclose the true one.
struct ShiftInterval {
    double lower = 0.0;
    double upper = 0.0;
    double level = 0.0;
};

/// By how much one sample lies above another, by all the differences that can be formed: of pairs the Walsh averages
/// (d_i + d_j) / 2, i <= j; of two samples all b_j - a_i. Their median is the estimate of Hodges and Lehmann, and
/// counting off as many at each end as the rank test allows gives its interval, exact for whatever symmetric
/// distribution of the pairs' differences, or whatever common shape of the samples.
///
/// Why not the mean and Student's t: one run in twenty that is disturbed moves a mean, and the t-interval covers 83 to
/// 88 % where it says 95 (method 3.2); this one covers 95 to 97. Why not the median of the differences: it needs half
/// as many pairs again for the same width. At 3 % noise with disturbed runs and 30 pairs, a true 3 % is found in 80 %
/// of tests, by the paired t test in 45 % (method 3.3).
///
/// Sources: Hodges, Lehmann, Ann. Math. Stat. 34 (1963); Lehmann, Nonparametrics, sections 2.6 and 4.4.
class Shift {
public:
    static Shift of_pairs(const std::vector<double>& differences);
    static Shift of_samples(const std::vector<double>& a, const std::vector<double>& b);

    double estimate();
    /// Misses at each end with at most `tail`. Nothing where there are too few values for that: for a tail of 2.5 %,
    /// fewer than 6 pairs, or 4 and 4 values.
    std::optional<ShiftInterval> interval(double tail);
    /// Two-sided, of "no shift".
    double p() const { return p_; }
    /// Pairs, or the values of the smaller sample.
    std::size_t n() const { return paired_ ? n1_ : (n1_ < n2_ ? n1_ : n2_); }

private:
    double at(std::size_t rank);

    std::vector<double> differences_;  // in order only where ranks have been asked for: half a million for 1000 pairs
    std::size_t n1_ = 0;
    std::size_t n2_ = 0;
    bool paired_ = true;
    double p_ = 1.0;
};

}  // namespace velollm::stats
