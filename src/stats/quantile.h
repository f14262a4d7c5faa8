#pragma once

#include <optional>
#include <vector>

namespace velollm::stats {

/// Middle value; the mean of the two middle ones for an even count. `sorted` is ascending and not empty.
double median(const std::vector<double>& sorted);

/// The same of values in any order, at least one.
double median_of(std::vector<double> values);

/// Nearest rank x_(ceil(n q)): always an observed value, in the rank system of order_interval(). 0 < q <= 1.
double nearest_rank(const std::vector<double>& sorted, double q);

/// `q` as nearest rank, or nothing where the sample is too small to say anything about it: fewer than 29 values for
/// 0.9, 59 for 0.95, 299 for 0.99 (method 3.1: the largest value then bounds the quantile with 95 %).
std::optional<double> supported_quantile(const std::vector<double>& sorted, double q);

double mean(const std::vector<double>& values);

}  // namespace velollm::stats
