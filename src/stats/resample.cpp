#include "stats/resample.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "base/split_mix.h"
#include "stats/dependence.h"
#include "stats/quantile.h"

namespace velollm::stats {
namespace {

constexpr std::size_t kLeastForJackknife = 6;
constexpr std::size_t kLeastForCorrelation = 20;  // below, what neighbours have in common is mostly noise
constexpr double kLeastWorth = 6.0;
constexpr std::size_t kLeastForBootstrap = 30;
constexpr std::size_t kManyForBootstrap = 1000;
constexpr std::uint64_t kSeed = 1;

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

std::optional<SumRatio> jackknife_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators,
                                        std::optional<double> worth) {
    const std::size_t n = std::min(numerators.size(), denominators.size());
    const double above = sum(numerators);
    const double below = sum(denominators);
    if (n < kLeastForJackknife || below <= 0.0 || worth.value_or(kLeastWorth) < kLeastWorth) return std::nullopt;
    std::vector<double> without;
    for (std::size_t i = 0; i < n; ++i) {
        if (below - denominators[i] <= 0.0) return std::nullopt;
        without.push_back((above - numerators[i]) / (below - denominators[i]));
    }
    const double centre = mean(without);
    double squares = 0.0;
    for (const double value : without) squares += (value - centre) * (value - centre);
    const auto count = static_cast<double>(n);
    const double independent = worth.value_or(count);
    const double error = std::sqrt((count - 1.0) / count * squares * count / independent);
    const double reach = boost::math::quantile(boost::math::students_t(independent - 1.0), 0.975) * error;
    return SumRatio{above / below, above / below - reach, above / below + reach};
}

std::optional<SumRatio> bootstrap_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators,
                                        std::size_t block, std::uint64_t seed, std::size_t draws) {
    const std::size_t n = std::min(numerators.size(), denominators.size());
    const double below = sum(denominators);
    if (n < kLeastForBootstrap || below <= 0.0 || draws == 0) return std::nullopt;
    block = std::clamp<std::size_t>(block, 1, n);
    base::SplitMix random(seed);
    std::vector<double> ratios;
    ratios.reserve(draws);
    for (std::size_t draw = 0; draw < draws; ++draw) {
        double top = 0.0;
        double bottom = 0.0;
        for (std::size_t taken = 0; taken < n;) {
            const std::size_t begin = random.below(n);
            for (std::size_t i = 0; i < block && taken < n; ++i, ++taken) {
                top += numerators[(begin + i) % n];
                bottom += denominators[(begin + i) % n];
            }
        }
        if (bottom > 0.0) ratios.push_back(top / bottom);
    }
    if (ratios.empty()) return std::nullopt;
    std::sort(ratios.begin(), ratios.end());
    return SumRatio{sum(numerators) / below, nearest_rank(ratios, 0.025), nearest_rank(ratios, 0.975)};
}

std::optional<SumRatio> sum_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators) {
    const std::size_t n = std::min(numerators.size(), denominators.size());
    if (n < kLeastForCorrelation) return jackknife_ratio(numerators, denominators);
    std::vector<double> each;
    for (std::size_t i = 0; i < n; ++i) each.push_back(denominators[i] > 0.0 ? numerators[i] / denominators[i] : 0.0);
    const double worth = effective_n(each);
    if (n < kManyForBootstrap) return jackknife_ratio(numerators, denominators, worth);
    const double count = static_cast<double>(n);
    const auto block = static_cast<std::size_t>(std::ceil(std::max(std::cbrt(count), 3.0 * count / worth)));
    return bootstrap_ratio(numerators, denominators, block, kSeed);
}

}  // namespace velollm::stats
