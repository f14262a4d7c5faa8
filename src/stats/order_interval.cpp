#include "stats/order_interval.h"

#include <boost/math/distributions/binomial.hpp>

namespace velollm::stats {
namespace {

/// The largest k in [0, n] for which `holds`, which is true up to some k and false from there on; nothing when it never
/// is.
template <typename Holds>
std::optional<std::size_t> last_that(std::size_t n, Holds holds) {
    if (!holds(std::size_t{0})) return std::nullopt;
    std::size_t good = 0;
    std::size_t bad = n + 1;
    while (bad - good > 1) {
        const std::size_t middle = good + (bad - good) / 2;
        (holds(middle) ? good : bad) = middle;
    }
    return good;
}

}  // namespace

RankBounds order_bounds(std::size_t n, double quantile, double confidence) {
    RankBounds bounds;
    if (n == 0) return bounds;
    const boost::math::binomial hits(static_cast<double>(n), quantile);
    const double tail = (1.0 - confidence) / 2.0;
    const auto at_most = [&](std::size_t k) { return boost::math::cdf(hits, static_cast<double>(k)); };
    const auto more_than = [&](std::size_t k) {
        return boost::math::cdf(boost::math::complement(hits, static_cast<double>(k)));
    };
    // x_lower is above the quantile when fewer than `lower` values are below it; the highest rank that rarely happens.
    if (const auto k = last_that(n - 1, [&](std::size_t i) { return at_most(i) <= tail; })) bounds.lower = *k + 1;
    // And x_upper is below it when at least `upper` are; the lowest such rank.
    if (const auto k = last_that(n - 1, [&](std::size_t i) { return more_than(n - 1 - i) <= tail; }))
        bounds.upper = n - *k;
    return bounds;
}

std::optional<RankInterval> order_interval(std::size_t n, double quantile, double confidence) {
    const RankBounds bounds = order_bounds(n, quantile, confidence);
    if (!bounds.lower || !bounds.upper) return std::nullopt;
    const boost::math::binomial hits(static_cast<double>(n), quantile);
    const auto at_most = [&](std::size_t k) { return boost::math::cdf(hits, static_cast<double>(k)); };
    return RankInterval{*bounds.lower, *bounds.upper, at_most(*bounds.upper - 1) - at_most(*bounds.lower - 1)};
}

}  // namespace velollm::stats
