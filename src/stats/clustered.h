#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "stats/order_interval.h"

namespace velollm::stats {

struct ValueInterval {
    double lower;
    double upper;
};

/// Values in clusters, one cluster after the other.
struct Clusters {
    std::vector<double> values;
    std::vector<std::size_t> ends;  ///< index behind the last value of each
};

/// 95 % interval of the quantile `p` of values that come in clusters (the token gaps of one request are alike),
/// clusters being what was drawn independently. Woodruff's interval: the share of values below the quantile with the
/// variance of a ratio over clusters, turned back into values. Nothing below 6 clusters.
///
/// Taking the values for independent covers 81 % instead of 95 % (method 1.4). `clusters` may hold empty ones.
/// Source: Woodruff, J. Am. Stat. Assoc. 47 (1952); Cochran, Sampling Techniques, 3rd edition, section 6.
std::optional<ValueInterval> clustered_interval(const std::vector<std::vector<double>>& clusters, double p);
/// The same for many values; `sorted` are all of them, in order.
std::optional<ValueInterval> clustered_interval(const Clusters& clusters, const std::vector<double>& sorted, double p);

}  // namespace velollm::stats
