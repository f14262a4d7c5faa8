#include "stats/looks.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "stats/power.h"
#include "stats/quantile.h"

namespace velollm::stats {

bool is_look(std::size_t pairs) {
    return std::find(std::begin(kLooks), std::end(kLooks), pairs) != std::end(kLooks);
}

std::optional<std::size_t> next_look(std::size_t pairs) {
    const auto* const next = std::upper_bound(std::begin(kLooks), std::end(kLooks), pairs);
    return next == std::end(kLooks) ? std::nullopt : std::optional(*next);
}

Judgement judge_look(const std::vector<double>& log_ratios, Limits limits) {
    limits.alpha = kLookAlpha;
    limits.alpha_same = kLookAlphaSame;
    return judge_pairs(log_ratios, limits);
}

std::optional<ShiftInterval> anytime_interval(const std::vector<double>& differences, double alpha) {
    constexpr double kMixture = 0.25;
    if (differences.size() < 2) return std::nullopt;
    const auto n = static_cast<double>(differences.size());
    const double weight = 1.0 + n * kMixture;
    // L_n = 1 / alpha, solved for u.
    const double root = std::pow(std::sqrt(weight) / alpha, 2.0 / n);
    if (root >= weight) return std::nullopt;
    const double u = (root - 1.0) / (1.0 - root / weight);
    const double reach = std::sqrt(u * (n - 1.0)) * deviation(differences) / std::sqrt(n);
    const double centre = mean(differences);
    return ShiftInterval{centre - reach, centre + reach, 1.0 - alpha};
}

Judgement judge_anytime(const std::vector<double>& log_ratios, const Limits& limits) {
    Judgement out = judge_pairs(log_ratios, limits);
    const auto interval = anytime_interval(log_ratios, limits.alpha);
    out.decision = decide(interval, interval, limits);
    out.interval.reset();
    if (interval) out.interval = Factors{std::exp(interval->lower), std::exp(interval->upper), interval->level};
    out.within = out.interval;
    return out;
}

}  // namespace velollm::stats
