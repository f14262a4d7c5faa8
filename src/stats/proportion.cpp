#include "stats/proportion.h"

#include <boost/math/distributions/binomial.hpp>

namespace velollm::stats {

Proportion proportion_interval(std::size_t hits, std::size_t attempts) {
    constexpr double kTail = 0.025;
    using boost::math::binomial;
    const auto n = static_cast<double>(attempts);
    const auto k = static_cast<double>(hits);
    return {hits == 0 ? 0.0 : binomial::find_lower_bound_on_p(n, k, kTail),
            hits == attempts ? 1.0 : binomial::find_upper_bound_on_p(n, k, kTail)};
}

}  // namespace velollm::stats
