#include "stats/clustered.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <utility>

#include "stats/quantile.h"
#include "stats/sort.h"

namespace velollm::stats {

std::optional<ValueInterval> clustered_interval(const std::vector<std::vector<double>>& clusters, double p) {
    Clusters flat;
    for (const auto& cluster : clusters) {
        flat.values.insert(flat.values.end(), cluster.begin(), cluster.end());
        flat.ends.push_back(flat.values.size());
    }
    std::vector<double> sorted = flat.values;
    sort_values(sorted);
    return clustered_interval(flat, sorted, p);
}

std::optional<ValueInterval> clustered_interval(const Clusters& clusters, const std::vector<double>& sorted, double p) {
    constexpr double kLeast = 6.0;
    double count = 0.0;
    std::size_t begin = 0;
    for (const std::size_t end : clusters.ends) count += std::exchange(begin, end) < end ? 1.0 : 0.0;
    if (count < kLeast) return std::nullopt;
    const auto total = static_cast<double>(sorted.size());
    const double value = nearest_rank(sorted, p);

    double squares = 0.0;
    begin = 0;
    for (const std::size_t end : clusters.ends) {
        std::size_t below = 0;
        for (std::size_t i = begin; i < end; ++i) below += clusters.values[i] <= value ? 1U : 0U;
        const double residual = static_cast<double>(below) - p * static_cast<double>(end - begin);
        squares += residual * residual;
        begin = end;
    }
    const double error = std::sqrt(squares * count / (count - 1.0)) / total;
    const double reach = boost::math::quantile(boost::math::students_t(count - 1.0), 0.975) * error;
    const auto at = [&](double share) {
        // Outside of the sample there is nothing to read: its ends are the best there is.
        return nearest_rank(sorted, std::clamp(share, 1.0 / total, 1.0));
    };
    return ValueInterval{at(p - reach), at(p + reach)};
}

}  // namespace velollm::stats
