#include "stats/power.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "stats/quantile.h"

namespace velollm::stats {
namespace {

/// How many standard errors a shift must measure to be found with 80 %.
double reach(double degrees_of_freedom) {
    const boost::math::students_t t(degrees_of_freedom);
    return boost::math::quantile(t, 0.975) + boost::math::quantile(t, 0.8);
}

double squares_around_mean(const std::vector<double>& values) {
    const double centre = mean(values);
    double sum = 0.0;
    for (const double value : values) sum += (value - centre) * (value - centre);
    return sum;
}

}  // namespace

double deviation(const std::vector<double>& values) {
    if (values.size() < 2) return 0.0;
    return std::sqrt(squares_around_mean(values) / static_cast<double>(values.size() - 1));
}

std::optional<double> smallest_visible(const std::vector<double>& differences) {
    if (differences.size() < 2) return std::nullopt;
    return smallest_visible_per_deviation(differences.size()) * deviation(differences);
}

double smallest_visible_per_deviation(std::size_t n) {
    return reach(static_cast<double>(n) - 1.0) / std::sqrt(static_cast<double>(n));
}

std::optional<double> smallest_visible(const std::vector<double>& a, const std::vector<double>& b) {
    if (a.size() < 2 || b.size() < 2) return std::nullopt;
    const double freedom = static_cast<double>(a.size() + b.size() - 2);
    const double pooled = std::sqrt((squares_around_mean(a) + squares_around_mean(b)) / freedom);
    return reach(freedom) * pooled *
           std::sqrt(1.0 / static_cast<double>(a.size()) + 1.0 / static_cast<double>(b.size()));
}

std::optional<std::size_t> pairs_needed(double deviation, double shift, std::size_t most) {
    const auto enough = [&](std::size_t n) {
        return reach(static_cast<double>(n) - 1.0) * deviation <= shift * std::sqrt(static_cast<double>(n));
    };
    if (shift <= 0.0 || most < 2 || !enough(most)) return std::nullopt;
    std::size_t bad = 1;
    std::size_t good = most;
    while (good - bad > 1) {
        const std::size_t middle = bad + (good - bad) / 2;
        (enough(middle) ? good : bad) = middle;
    }
    return good;
}

}  // namespace velollm::stats
