#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace velollm::stats {

/// The smallest true shift that a two-sided 5 % test of so many pairs finds with 80 %:
/// (t_(0.975, n-1) + t_(0.80, n-1)) s / sqrt(n), s the standard deviation of the pairs' differences. Nothing below 2
/// pairs. (method 3.4; compared there with the power of the signed-rank test.)
std::optional<double> smallest_visible(const std::vector<double>& differences);

/// The same of two samples taken apart: s is pooled, and 1/sqrt(n) becomes sqrt(1/n1 + 1/n2).
std::optional<double> smallest_visible(const std::vector<double>& a, const std::vector<double>& b);

/// The first of them for a standard deviation of 1, and n >= 2.
double smallest_visible_per_deviation(std::size_t n);

/// Pairs that it takes to find a true `shift` > 0 with 80 %, where the pairs' differences have the standard deviation
/// `deviation`. At least 2, and at most `most`: nothing where those don't do.
std::optional<std::size_t> pairs_needed(double deviation, double shift, std::size_t most = 100'000);

/// Standard deviation with n - 1; 0 for fewer than 2 values.
double deviation(const std::vector<double>& values);

}  // namespace velollm::stats
