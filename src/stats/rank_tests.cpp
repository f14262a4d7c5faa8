#include "stats/rank_tests.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace velollm::stats {
namespace {

double normal_at_most(double z) {
    return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

/// Twice the ranks of `values`, so that shared ranks are whole numbers too.
std::vector<std::size_t> doubled_ranks(const std::vector<double>& values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return values[i] < values[j]; });
    std::vector<std::size_t> ranks(values.size());
    for (std::size_t begin = 0; begin < order.size();) {
        std::size_t end = begin + 1;
        while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
        for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = begin + 1 + end;  // mean of begin + 1 .. end, twice
        begin = end;
    }
    return ranks;
}

/// Probabilities of each sum, where each of `weights` is in it or not by the toss of a coin.
std::vector<double> coin_sums(const std::vector<std::size_t>& weights) {
    std::vector<double> chances(std::accumulate(weights.begin(), weights.end(), std::size_t{0}) + 1, 0.0);
    chances[0] = 1.0;
    std::size_t reached = 0;
    for (const std::size_t weight : weights) {
        reached += weight;
        for (std::size_t sum = reached + 1; sum-- > 0;)
            chances[sum] = 0.5 * (chances[sum] + (sum >= weight ? chances[sum - weight] : 0.0));
    }
    return chances;
}

/// Probabilities of each sum of `chosen` of the weights, every choice being as likely.
std::vector<double> choice_sums(const std::vector<std::size_t>& weights, std::size_t chosen) {
    const std::size_t most = std::accumulate(weights.begin(), weights.end(), std::size_t{0});
    std::vector<std::vector<double>> counts(chosen + 1, std::vector<double>(most + 1, 0.0));
    counts[0][0] = 1.0;
    for (const std::size_t weight : weights)
        for (std::size_t k = chosen; k > 0; --k)
            for (std::size_t sum = most; sum + 1 > weight; --sum) counts[k][sum] += counts[k - 1][sum - weight];
    std::vector<double>& result = counts[chosen];
    const double all = std::accumulate(result.begin(), result.end(), 0.0);
    for (double& count : result) count /= all;
    return std::move(result);
}

double sum_up_to(const std::vector<double>& chances, double limit) {
    if (limit < 0.0) return 0.0;
    const auto end = std::min(chances.size(), static_cast<std::size_t>(std::floor(limit)) + 1);
    return std::min(1.0, std::accumulate(chances.begin(), chances.begin() + static_cast<std::ptrdiff_t>(end), 0.0));
}

double sum_from(const std::vector<double>& chances, std::size_t begin) {
    return std::accumulate(chances.begin() + static_cast<std::ptrdiff_t>(std::min(begin, chances.size())),
                           chances.end(), 0.0);
}

std::vector<std::size_t> plain_ranks(std::size_t n) {
    std::vector<std::size_t> ranks(n);
    std::iota(ranks.begin(), ranks.end(), 1U);
    return ranks;
}

double two_sided(const std::vector<double>& chances, std::size_t seen) {
    return std::min(1.0, 2.0 * std::min(sum_up_to(chances, static_cast<double>(seen)), sum_from(chances, seen)));
}

/// Half a step towards the middle, since the statistic takes steps.
double two_sided_normal(double distance, double variance, double step) {
    if (variance <= 0.0) return 1.0;
    return std::min(1.0, 2.0 * normal_at_most(-std::max(0.0, std::abs(distance) - step / 2.0) / std::sqrt(variance)));
}

template <typename AtMost>
long last_below(long most, double tail, AtMost at_most) {
    long good = -1;
    long bad = most + 1;
    while (bad - good > 1) {
        const long middle = good + (bad - good) / 2;
        (at_most(static_cast<double>(middle)) <= tail ? good : bad) = middle;
    }
    return good;
}

}  // namespace

double signed_rank_at_most(std::size_t n, double w) {
    if (n <= kExactPairs) return sum_up_to(coin_sums(plain_ranks(n)), w);
    const auto m = static_cast<double>(n);
    const double mean = m * (m + 1.0) / 4.0;
    return normal_at_most((std::floor(w) + 0.5 - mean) / std::sqrt(m * (m + 1.0) * (2.0 * m + 1.0) / 24.0));
}

double rank_sum_at_most(std::size_t n1, std::size_t n2, double u) {
    if (n1 <= kExactSide && n2 <= kExactSide) {
        const auto least = static_cast<double>(n1 * (n1 + 1) / 2);
        return sum_up_to(choice_sums(plain_ranks(n1 + n2), n1), std::floor(u) + least);
    }
    const auto a = static_cast<double>(n1);
    const auto b = static_cast<double>(n2);
    return normal_at_most((std::floor(u) + 0.5 - a * b / 2.0) / std::sqrt(a * b * (a + b + 1.0) / 12.0));
}

double signed_rank_tail(const std::vector<double>& differences, bool below) {
    std::vector<double> sizes;
    std::vector<bool> positive;
    for (const double difference : differences) {
        if (difference == 0.0) continue;
        sizes.push_back(std::abs(difference));
        positive.push_back(difference > 0.0);
    }
    if (sizes.empty()) return 1.0;
    const std::vector<std::size_t> ranks = doubled_ranks(sizes);
    std::size_t seen = 0;
    double squares = 0.0;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        seen += positive[i] ? ranks[i] : 0;
        squares += static_cast<double>(ranks[i] * ranks[i]);
    }
    if (ranks.size() <= kExactPairs) {
        const std::vector<double> chances = coin_sums(ranks);
        return std::min(1.0, below ? sum_up_to(chances, static_cast<double>(seen)) : sum_from(chances, seen));
    }
    const auto all = static_cast<double>(std::accumulate(ranks.begin(), ranks.end(), std::size_t{0}));
    const double distance = (static_cast<double>(seen) - all / 2.0) * (below ? 1.0 : -1.0);
    return std::min(1.0, normal_at_most((distance + 1.0) / std::sqrt(squares / 4.0)));
}

double signed_rank_p(const std::vector<double>& differences) {
    return std::min(1.0, 2.0 * std::min(signed_rank_tail(differences, true), signed_rank_tail(differences, false)));
}

double rank_sum_p(const std::vector<double>& a, const std::vector<double>& b) {
    if (a.empty() || b.empty()) return 1.0;
    std::vector<double> both = a;
    both.insert(both.end(), b.begin(), b.end());
    const std::vector<std::size_t> ranks = doubled_ranks(both);
    const auto middle = ranks.begin() + static_cast<std::ptrdiff_t>(a.size());
    const std::size_t seen = std::accumulate(ranks.begin(), middle, std::size_t{0});
    if (a.size() <= kExactSide && b.size() <= kExactSide) return two_sided(choice_sums(ranks, a.size()), seen);
    const auto n = static_cast<double>(both.size());
    const auto share = static_cast<double>(a.size()) / n;
    const double mean = static_cast<double>(std::accumulate(ranks.begin(), ranks.end(), std::size_t{0})) / n;
    double squares = 0.0;
    for (const std::size_t rank : ranks)
        squares += (static_cast<double>(rank) - mean) * (static_cast<double>(rank) - mean);
    // Variance of a sum of a.size() ranks drawn without putting back.
    const double variance = share * static_cast<double>(b.size()) * squares / (n - 1.0);
    return two_sided_normal(static_cast<double>(seen) - mean * static_cast<double>(a.size()), variance, 2.0);
}

long signed_rank_cut(std::size_t n, double tail) {
    const auto most = static_cast<long>(n * (n + 1) / 2);
    if (n > kExactPairs) return last_below(most, tail, [&](double w) { return signed_rank_at_most(n, w); });
    const std::vector<double> chances = coin_sums(plain_ranks(n));
    return last_below(most, tail, [&](double w) { return sum_up_to(chances, w); });
}

long rank_sum_cut(std::size_t n1, std::size_t n2, double tail) {
    const auto most = static_cast<long>(n1 * n2);
    if (n1 > kExactSide || n2 > kExactSide)
        return last_below(most, tail, [&](double u) { return rank_sum_at_most(n1, n2, u); });
    const std::vector<double> chances = choice_sums(plain_ranks(n1 + n2), n1);
    const auto least = static_cast<double>(n1 * (n1 + 1) / 2);
    return last_below(most, tail, [&](double u) { return sum_up_to(chances, u + least); });
}

}  // namespace velollm::stats
