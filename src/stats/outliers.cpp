#include "stats/outliers.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "stats/quantile.h"

namespace velollm::stats {

Fences tukey_fences(const std::vector<double>& sorted) {
    assert(sorted.size() >= 4);
    const double low = nearest_rank(sorted, 0.25);
    const double high = nearest_rank(sorted, 0.75);
    const double range = high - low;
    return {low - 3.0 * range, low - 1.5 * range, high + 1.5 * range, high + 3.0 * range};
}

Outliers count_outliers(const std::vector<double>& sorted) {
    constexpr std::size_t kLeast = 6;
    Outliers out;
    if (sorted.size() < kLeast) return out;
    const Fences fences = tukey_fences(sorted);
    for (const double value : sorted) {
        if (value < fences.severe_low || value > fences.severe_high) {
            ++out.severe;
        } else if (value < fences.mild_low || value > fences.mild_high) {
            ++out.mild;
        }
    }
    return out;
}

namespace {

/// Median of the distances from `centre`, which grow away from it on both sides: so they are met in order, without
/// sorting them.
double median_distance(const std::vector<double>& sorted, double centre) {
    const std::size_t n = sorted.size();
    auto above = static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), centre) - sorted.begin());
    std::size_t below = above;  // the next one below is before it
    double last = 0.0;
    double before = 0.0;
    for (std::size_t met = 0; met <= n / 2; ++met) {
        before = last;
        const bool up = below == 0 || (above < n && sorted[above] - centre <= centre - sorted[below - 1]);
        last = std::abs((up ? sorted[above++] : sorted[--below]) - centre);
    }
    return n % 2 == 1 ? last : (before + last) / 2.0;
}

}  // namespace

double robust_cv(const std::vector<double>& sorted) {
    const double centre = median(sorted);
    if (centre == 0.0) return 0.0;
    return 1.4826 * median_distance(sorted, centre) / std::abs(centre);
}

}  // namespace velollm::stats
