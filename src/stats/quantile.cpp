#include "stats/quantile.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace velollm::stats {

double median(const std::vector<double>& sorted) {
    assert(!sorted.empty());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0;
}

double median_of(std::vector<double> values) {
    assert(!values.empty());
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*std::max_element(values.begin(), middle) + *middle) / 2.0;
}

double nearest_rank(const std::vector<double>& sorted, double q) {
    assert(!sorted.empty());
    // 0.9 * 10 is 9.000000000000000x in binary: without the small step down the rank would be one too high.
    const double rank = std::ceil(q * static_cast<double>(sorted.size()) - 1e-9);
    const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
    return sorted[std::min(index, sorted.size() - 1)];
}

std::optional<double> supported_quantile(const std::vector<double>& sorted, double q) {
    // P(all n values lie below the quantile) = q^n; at most 5 % of samples may end before it.
    if (sorted.empty() || std::pow(q, static_cast<double>(sorted.size())) > 0.05) return std::nullopt;
    return nearest_rank(sorted, q);
}

double mean(const std::vector<double>& values) {
    assert(!values.empty());
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace velollm::stats
