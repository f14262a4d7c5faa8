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

double robust_cv(const std::vector<double>& sorted) {
    const double centre = median(sorted);
    if (centre == 0.0) return 0.0;
    std::vector<double> distances;
    distances.reserve(sorted.size());
    for (const double value : sorted) distances.push_back(std::abs(value - centre));
    std::sort(distances.begin(), distances.end());
    return 1.4826 * median(distances) / std::abs(centre);
}

}  // namespace velollm::stats
