#include "model/extrapolate.h"

#include <algorithm>
#include <cmath>

#include "stats/quantile.h"

namespace velollm::model {
namespace {

constexpr double kNormal80 = 1.2816;  ///< of a standard normal distribution, four fifths lie within +- so much
/// Spread between loads of one model beyond what five rounds show: where its pages lie in memory.
constexpr double kModelError = 0.03;
/// Of a line through two files: blocks that differ in their mix of types, and caches that a smaller file fits better.
constexpr double kLineError = 0.03;
/// Rounds that are alike by chance would promise too much.
constexpr double kLeastSpread = 0.02;

/// Standard deviation of one round, as a share of the median, from the median of the deviations: one round that a
/// neighbour slowed down says nothing about the others.
double spread(const std::vector<double>& seconds, double median) {
    std::vector<double> deviations;
    for (const double value : seconds) deviations.push_back(std::abs(value - median));
    return std::max(1.4826 * stats::median_of(deviations) / median, kLeastSpread);
}

/// Of the median of the rounds, in seconds. 1.2533: a median is worth 64 % of the rounds that a mean would be worth.
double error_of_median(const PacePoint& point, double median) {
    return 1.2533 * spread(point.seconds, median) * median / std::sqrt(static_cast<double>(point.seconds.size()));
}

PaceEstimate estimate(double seconds, double error, double leverage) {
    if (seconds <= 0) return {};
    const double share = std::min(kNormal80 * error / seconds, 0.95);
    return {.tps = {.low = 1 / (seconds * (1 + share)), .likely = 1 / seconds, .high = 1 / (seconds * (1 - share))},
            .leverage = leverage};
}

}  // namespace

PaceEstimate estimate_of(const PacePoint& whole) {
    const double seconds = stats::median_of(whole.seconds);
    return estimate(seconds, std::hypot(error_of_median(whole, seconds), kModelError * seconds), 0);
}

PaceEstimate estimate_at(double size, const PacePoint& small, const PacePoint& large) {
    const double first = stats::median_of(small.seconds);
    const double second = stats::median_of(large.seconds);
    const double leverage = (size - large.size) / (large.size - small.size);
    const double seconds = second + leverage * (second - first);
    const double noise =
        std::hypot((1 + leverage) * error_of_median(large, second), leverage * error_of_median(small, first));
    return estimate(seconds, std::hypot(noise, kModelError * seconds, kLineError * seconds), leverage);
}

}  // namespace velollm::model
