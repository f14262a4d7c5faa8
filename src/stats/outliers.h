#pragma once

#include <cstddef>
#include <vector>

namespace velollm::stats {

/// Tukey's fences around the quartiles of a sample: 1.5 and 3 times their distance. Values beyond are labelled and
/// kept; nothing here removes any (criterion.rs has the same fences and rule).
struct Fences {
    double severe_low = 0.0;
    double mild_low = 0.0;
    double mild_high = 0.0;
    double severe_high = 0.0;
};

/// `sorted` is ascending and has at least 4 values: fewer have no quartiles to speak of.
Fences tukey_fences(const std::vector<double>& sorted);

struct Outliers {
    std::size_t mild = 0;
    std::size_t severe = 0;
};
/// None in fewer than 6 values.
Outliers count_outliers(const std::vector<double>& sorted);

/// Spread relative to the median, 1.4826 MAD / median: the coefficient of variation of a normal sample, and blind to
/// outliers. 0 when the median is 0.
double robust_cv(const std::vector<double>& sorted);

}  // namespace velollm::stats
