#include "stats/order_interval.h"

#include <boost/math/distributions/binomial.hpp>

namespace velollm::stats {

std::optional<RankInterval> order_interval(std::size_t n, double quantile, double confidence) {
    if (n == 0) return std::nullopt;
    const boost::math::binomial hits(static_cast<double>(n), quantile);
    const double tail = (1.0 - confidence) / 2.0;
    const auto at_most = [&](std::size_t k) { return boost::math::cdf(hits, static_cast<double>(k)); };

    // Both ends move inwards from the sample's own ends, so that the first rank that would miss too often stops them:
    // the narrowest interval with these tails. Linear, because it runs once per printed number and n is small there.
    if (at_most(0) > tail || 1.0 - at_most(n - 1) > tail) return std::nullopt;
    std::size_t lower = 1;
    while (at_most(lower) <= tail) ++lower;
    std::size_t upper = n;
    while (1.0 - at_most(upper - 2) <= tail) --upper;
    return RankInterval{lower, upper, at_most(upper - 1) - at_most(lower - 1)};
}

}  // namespace velollm::stats
