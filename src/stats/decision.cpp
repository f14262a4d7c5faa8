#include "stats/decision.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "stats/power.h"

namespace velollm::stats {
namespace {

constexpr double kUsualTail = 0.025;  // of the test that "visible" speaks of

/// What could have been seen, by the standard deviation and by the ranks. `visible` is a shift of logarithms,
/// `deviation` that of a pair's difference.
void see(Judgement& out, std::optional<double> visible, double deviation, const std::optional<ShiftInterval>& usual,
         const Limits& limits) {
    // Half of a 95 % interval times this is what a test of 5 % finds with 80 %, in normal samples; less in small ones.
    constexpr double kReach = 1.43;  // (1.96 + 0.84) / 1.96
    if (!visible) return;
    const double limit = std::log1p(limits.delta);
    out.pairs_for_delta = pairs_needed(deviation, limit);
    // A disturbed run has its full weight in a standard deviation, and hardly any among ranks.
    const double reach = usual ? kReach * (usual->upper - usual->lower) / 2.0 : *visible;
    if (reach < *visible && limit > 0.0)
        out.pairs_for_delta = static_cast<std::size_t>(
            std::max(2.0, std::ceil(static_cast<double>(out.n) * reach * reach / (limit * limit))));
    out.visible = std::expm1(std::min(reach, *visible));
}

Judgement judge(Shift& shift, const Limits& limits) {
    const auto interval = shift.interval(limits.alpha / 2.0);
    const auto within = shift.interval(limits.alpha_same);
    return {.decision = decide(interval, within, limits),
            .n = shift.n(),
            .factor = std::exp(shift.estimate()),
            .interval = as_factors(interval),
            .within = as_factors(within),
            .p = shift.p()};
}

std::vector<double> logarithms(std::vector<double> values) {
    for (double& value : values) value = std::log(value);
    return values;
}

}  // namespace

std::optional<Factors> as_factors(const std::optional<ShiftInterval>& interval) {
    if (!interval) return std::nullopt;
    return Factors{std::exp(interval->lower), std::exp(interval->upper), interval->level};
}

std::string_view decision_name(Decision decision) {
    switch (decision) {
        case Decision::kFaster: return "faster";
        case Decision::kSlower: return "slower";
        case Decision::kSmall: return "small_change";
        case Decision::kSame: return "same";
        case Decision::kUnclear: return "unclear";
    }
    return "";
}

Decision decide(const std::optional<ShiftInterval>& interval, const std::optional<ShiftInterval>& within,
                const Limits& limits) {
    const double limit = std::log1p(limits.delta);
    if (interval && (interval->lower > limit || interval->upper < -limit))
        return (interval->lower > limit) == limits.higher_is_better ? Decision::kFaster : Decision::kSlower;
    if (interval && (interval->lower > 0.0 || interval->upper < 0.0)) return Decision::kSmall;
    if (within && within->lower > -limit && within->upper < limit) return Decision::kSame;
    return Decision::kUnclear;
}

Judgement judge_pairs(const std::vector<double>& log_ratios, const Limits& limits) {
    Shift shift = Shift::of_pairs(log_ratios);
    Judgement out = judge(shift, limits);
    see(out, smallest_visible(log_ratios), deviation(log_ratios), shift.interval(kUsualTail), limits);
    return out;
}

Judgement judge_samples(const std::vector<double>& a, const std::vector<double>& b, const Limits& limits) {
    const std::vector<double> from = logarithms(a);
    const std::vector<double> to = logarithms(b);
    Shift shift = Shift::of_samples(from, to);
    Judgement out = judge(shift, limits);
    see(out, smallest_visible(from, to), std::hypot(deviation(from), deviation(to)), shift.interval(kUsualTail),
        limits);
    return out;
}

std::vector<double> holm_alphas(const std::vector<double>& p, double alpha) {
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return p[i] < p[j]; });
    std::vector<double> alphas(p.size());
    double level = 0.0;
    bool failed = false;
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
        if (!failed) level = alpha / static_cast<double>(order.size() - rank);
        failed = failed || p[order[rank]] > level;
        alphas[order[rank]] = level;
    }
    return alphas;
}

}  // namespace velollm::stats
