#include "stats/dependence.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>

#include "stats/quantile.h"

namespace velollm::stats {

double lag1_correlation(const std::vector<double>& series) {
    if (series.size() < 3) return 0.0;
    const double centre = mean(series);
    double products = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < series.size(); ++i) {
        const double here = series[i] - centre;
        squares += here * here;
        if (i > 0) products += here * (series[i - 1] - centre);
    }
    return squares > 0.0 ? products / squares : 0.0;
}

double effective_n(const std::vector<double>& series) {
    constexpr double kNoise = 0.1;
    const auto n = static_cast<double>(series.size());
    const double rho = lag1_correlation(series);
    return rho <= kNoise ? n : std::max(1.0, n * (1.0 - rho) / (1.0 + rho));
}

namespace {

/// Variance of Kendall's S for values of which some are equal.
double variance_of_s(const std::vector<double>& series) {
    const auto term = [](double n) { return n * (n - 1.0) * (2.0 * n + 5.0); };
    std::map<double, double> groups;
    for (const double value : series) groups[value] += 1.0;
    double sum = term(static_cast<double>(series.size()));
    for (const auto& [value, count] : groups) sum -= term(count);
    return sum / 18.0;
}

}  // namespace

Trend trend(const std::vector<double>& series) {
    constexpr std::size_t kLeast = 4;
    if (series.size() < kLeast) return {};
    std::int64_t s = 0;
    std::vector<double> slopes;
    slopes.reserve(series.size() * (series.size() - 1) / 2);
    for (std::size_t i = 0; i < series.size(); ++i) {
        for (std::size_t j = i + 1; j < series.size(); ++j) {
            const double rise = series[j] - series[i];
            s += rise > 0.0 ? 1 : rise < 0.0 ? -1 : 0;
            slopes.push_back(rise / static_cast<double>(j - i));
        }
    }
    std::sort(slopes.begin(), slopes.end());
    Trend out{.p = 1.0, .slope = median(slopes)};
    const double variance = variance_of_s(series);
    if (s == 0 || variance <= 0.0) return out;
    // One step towards zero: S takes every second whole number, the normal distribution takes all.
    const double z = (std::abs(static_cast<double>(s)) - 1.0) / std::sqrt(variance);
    out.p = std::erfc(z / std::sqrt(2.0));
    return out;
}

}  // namespace velollm::stats
