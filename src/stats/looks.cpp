#include "stats/looks.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "stats/power.h"
#include "stats/quantile.h"
#include "stats/trimmed.h"

namespace velollm::stats {

namespace {

std::optional<Factors> factors(const std::optional<ShiftInterval>& interval) {
    if (!interval) return std::nullopt;
    return Factors{std::exp(interval->lower), std::exp(interval->upper), interval->level};
}

}  // namespace

bool is_look(std::size_t pairs) {
    return std::any_of(std::begin(kLooks), std::end(kLooks), [&](const Look& look) { return look.pairs == pairs; });
}

std::optional<std::size_t> next_look(std::size_t pairs) {
    for (const Look& look : kLooks)
        if (look.pairs > pairs) return look.pairs;
    return std::nullopt;
}

Judgement judge_look(const std::vector<double>& log_ratios, const Limits& limits) {
    Judgement out = judge_pairs(log_ratios, limits);
    Look now = kLooks[0];
    for (const Look& look : kLooks)
        if (look.pairs <= log_ratios.size()) now = look;
    const auto interval = trimmed_interval(log_ratios, now.alpha / 2.0);
    const auto within = trimmed_interval(log_ratios, now.alpha_same);
    out.decision = decide(interval, within, limits);
    out.interval = factors(interval);
    out.within = factors(within);
    out.p = trimmed_p(log_ratios);
    return out;
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
    out.interval = factors(interval);
    out.within = out.interval;
    return out;
}

}  // namespace velollm::stats
