#include "stats/clustered.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "stats/quantile.h"

namespace velollm::stats {

std::optional<ValueInterval> clustered_interval(const std::vector<std::vector<double>>& clusters, double p) {
    constexpr std::size_t kLeast = 6;
    std::vector<double> sorted;
    double count = 0.0;
    for (const auto& cluster : clusters) {
        sorted.insert(sorted.end(), cluster.begin(), cluster.end());
        count += cluster.empty() ? 0.0 : 1.0;
    }
    if (count < static_cast<double>(kLeast)) return std::nullopt;
    std::sort(sorted.begin(), sorted.end());
    const auto total = static_cast<double>(sorted.size());
    const double value = nearest_rank(sorted, p);

    double squares = 0.0;
    for (const auto& cluster : clusters) {
        const auto below = std::count_if(cluster.begin(), cluster.end(), [&](double x) { return x <= value; });
        const double residual = static_cast<double>(below) - p * static_cast<double>(cluster.size());
        squares += residual * residual;
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
