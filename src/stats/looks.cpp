#include "stats/looks.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <iterator>
#include <limits>

#include "stats/power.h"
#include "stats/quantile.h"
#include "stats/trimmed.h"

namespace velollm::stats {

namespace {

constexpr double kMixture = 0.25;  // g of the anytime mixture
constexpr double kPower = 0.8;
constexpr double kPowerErrors = 0.84;  // standard errors: the normal quantile of kPower
constexpr double kMostTimes = 100.0;
constexpr std::size_t kMostPairs = 100'000;

/// Half of the anytime interval in standard deviations: L_n = 1 / alpha, solved for u. Nothing where n is too small.
std::optional<double> anytime_half(std::size_t pairs, double alpha) {
    const auto n = static_cast<double>(pairs);
    const double weight = 1.0 + n * kMixture;
    const double root = std::pow(std::sqrt(weight) / alpha, 2.0 / n);
    if (root >= weight) return std::nullopt;
    const double u = (root - 1.0) / (1.0 - root / weight);
    return std::sqrt(u * (n - 1.0) / n);
}

/// 1 / L_n of "the mean is 0".
double anytime_p(const std::vector<double>& differences) {
    const auto n = static_cast<double>(differences.size());
    const double spread = deviation(differences);
    if (differences.size() < 2 || spread <= 0.0) return differences.size() > 1 && mean(differences) != 0.0 ? 0.0 : 1.0;
    const double t = mean(differences) * std::sqrt(n) / spread;
    const double u = t * t / (n - 1.0);
    const double weight = 1.0 + n * kMixture;
    const double ratio = std::pow((1.0 + u) / (1.0 + u / weight), n / 2.0) / std::sqrt(weight);
    return std::min(1.0, 1.0 / ratio);
}

/// As Look::reach, of a look that isn't in the table. The exact test of the pairs that count needs some 7 % more than
/// Student's t.
double usual_reach(std::size_t pairs, double alpha) {
    constexpr double kMore = 1.07;
    if (pairs < 2) return std::numeric_limits<double>::infinity();
    const boost::math::students_t t(static_cast<double>(pairs - 1));
    return kMore * (boost::math::quantile(t, 1.0 - alpha / 2.0) + boost::math::quantile(t, kPower)) /
           std::sqrt(static_cast<double>(pairs));
}

/// The standard deviation of a pair, as judge_pairs() has put it into what it calls visible; less where the test leaves
/// out what makes it large.
std::optional<double> seen_deviation(const Judgement& judged, const std::vector<double>& log_ratios) {
    if (!judged.visible || judged.n < 2) return std::nullopt;
    constexpr double kCut = 0.91;  // of a normal spread, what is left within 2.5 deviations
    const double all = std::log1p(*judged.visible) / smallest_visible_per_deviation(judged.n);
    const std::vector<double> calm = undisturbed(log_ratios);
    return calm.size() < log_ratios.size() && calm.size() > 1 ? std::min(all, deviation(calm) / kCut) : all;
}

}  // namespace

std::vector<Look> planned_looks(std::size_t most) {
    std::vector<Look> looks;
    const Look& last = *std::rbegin(kLooks);
    for (const Look& look : kLooks)
        if (look.pairs < most && look.pairs < last.pairs) looks.push_back(look);
    looks.push_back(most == last.pairs ? last : Look{most, last.alpha, last.alpha_same, usual_reach(most, last.alpha)});
    return looks;
}

const Look* look_at(const std::vector<Look>& looks, std::size_t pairs) {
    const auto found = std::find_if(looks.begin(), looks.end(), [&](const Look& look) { return look.pairs == pairs; });
    return found == looks.end() ? nullptr : &*found;
}

Look look_at_end(const std::vector<Look>& looks, std::size_t pairs, bool planned) {
    Look now = planned ? looks.back() : looks.front();
    if (!planned)
        for (const Look& look : looks)
            if (look.pairs <= pairs) now = look;
    return {pairs, now.alpha, now.alpha_same, usual_reach(pairs, now.alpha)};
}

Judgement judge_look(const std::vector<double>& log_ratios, const Limits& limits, const Look& look) {
    Judgement out = judge_pairs(log_ratios, limits);
    const std::optional<double> spread = seen_deviation(out, log_ratios);
    const bool enough = log_ratios.size() >= kLeastPairs;
    auto interval = enough ? trimmed_interval(log_ratios, look.alpha / 2.0) : std::nullopt;
    const auto within = enough ? trimmed_interval(log_ratios, look.alpha_same) : std::nullopt;
    out.p = trimmed_p(log_ratios);
    // The shifts that such a test accepts need not hang together: further out it may accept again. 0 is what is tested.
    if (interval && out.p > look.alpha)
        interval = {std::min(interval->lower, 0.0), std::max(interval->upper, 0.0), interval->level};
    out.decision = decide(interval, within, limits);
    out.interval = as_factors(interval);
    out.within = as_factors(within);
    out.visible.reset();
    out.pairs_for_delta.reset();
    if (!interval || !spread) return out;
    out.visible = std::expm1(look.reach * *spread);
    const double limit = std::log1p(limits.delta);
    for (const Look& one : kLooks)
        if (!out.pairs_for_delta && one.reach * *spread <= limit) out.pairs_for_delta = one.pairs;
    const Look& last = *std::rbegin(kLooks);
    const double times = limit > 0.0 ? last.reach * *spread / limit : 0.0;
    if (!out.pairs_for_delta && times > 0.0 && times < kMostTimes)
        out.pairs_for_delta = static_cast<std::size_t>(std::ceil(static_cast<double>(last.pairs) * times * times));
    return out;
}

std::optional<ShiftInterval> anytime_interval(const std::vector<double>& differences, double alpha) {
    if (differences.size() < 2) return std::nullopt;
    const auto width = anytime_half(differences.size(), alpha);
    if (!width) return std::nullopt;
    const double reach = *width * deviation(differences);
    const double centre = mean(differences);
    return ShiftInterval{centre - reach, centre + reach, 1.0 - alpha};
}

Judgement judge_anytime(const std::vector<double>& log_ratios, const Limits& limits) {
    Judgement out = judge_pairs(log_ratios, limits);
    const double spread = deviation(log_ratios);
    const auto interval = anytime_interval(log_ratios, limits.alpha);
    out.factor = std::exp(mean(log_ratios));
    out.decision = decide(interval, interval, limits);
    out.interval = as_factors(interval);
    out.within = out.interval;
    out.p = anytime_p(log_ratios);
    out.visible.reset();
    out.pairs_for_delta.reset();
    if (!interval) return out;
    const auto seen = [&](std::size_t n) {
        const auto half = anytime_half(n, limits.alpha);
        return half ? (*half + kPowerErrors / std::sqrt(static_cast<double>(n))) * spread
                    : std::numeric_limits<double>::infinity();
    };
    out.visible = std::expm1(seen(log_ratios.size()));
    std::size_t pairs = log_ratios.size();
    while (pairs < kMostPairs && seen(pairs) > std::log1p(limits.delta)) pairs += 1 + pairs / 20;
    if (pairs < kMostPairs) out.pairs_for_delta = pairs;
    return out;
}

}  // namespace velollm::stats
