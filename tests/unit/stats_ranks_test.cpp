#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/split_mix.h"
#include "stats/power.h"
#include "stats/rank_tests.h"
#include "stats/resample.h"
#include "stats/shift.h"
#include "stats/trimmed.h"

namespace velollm::stats {
namespace stats_ranks_test {

// Hollander, Wolfe, Nonparametric Statistical Methods (1973), pages 29 and 69: data that R's wilcox.test shows too.
const std::vector<double> kDepression = {-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010};
const std::vector<double> kTermChorion = {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
const std::vector<double> kEarlyChorion = {1.15, 0.88, 0.90, 0.74, 1.21};

TEST(SignedRank, CriticalValuesAreThoseOfPublishedTables) {
    // Two-sided 5 % (Wilcoxon, Wilcox 1964): the largest W that is significant.
    const std::vector<std::pair<std::size_t, long>> table = {{6, 0},   {7, 2},   {8, 3},   {9, 5},    {10, 8},
                                                             {15, 25}, {20, 52}, {25, 89}, {30, 137}, {50, 434}};
    for (const auto& [n, value] : table) EXPECT_EQ(signed_rank_cut(n, 0.025), value) << n;
    EXPECT_EQ(signed_rank_cut(5, 0.025), -1);
    // Two-sided 1 %.
    EXPECT_EQ(signed_rank_cut(8, 0.005), 0);
    EXPECT_EQ(signed_rank_cut(20, 0.005), 37);
}

TEST(SignedRank, DistributionOfFourByCounting) {
    // Of the 16 subsets of {1, 2, 3, 4} the sums 0 to 10 occur 1 1 1 2 2 2 2 2 1 1 1 times.
    const double counts[] = {1, 2, 3, 5, 7, 9, 11, 13, 14, 15, 16};
    for (int w = 0; w <= 10; ++w) EXPECT_DOUBLE_EQ(signed_rank_at_most(4, w), counts[w] / 16.0) << w;
    EXPECT_DOUBLE_EQ(signed_rank_at_most(4, -1), 0.0);
}

TEST(SignedRank, PValueOfPublishedData) {
    EXPECT_NEAR(signed_rank_p(kDepression), 0.0390625, 1e-9);  // V = 5, n = 9
    EXPECT_NEAR(signed_rank_p({1, 2, 3, 4, 5, 6}), 0.03125, 1e-12);
    EXPECT_NEAR(signed_rank_p({1, 2, 3, 4, 5}), 0.0625, 1e-12);
    EXPECT_DOUBLE_EQ(signed_rank_p({0, 0, 0}), 1.0);
}

TEST(SignedRank, TiesShareRanksExactly) {
    // Sizes 1 1 2: ranks 1.5 1.5 3. Sums of the 8 subsets: 0 1.5 1.5 3 3 4.5 4.5 6; W = 6 for all positive.
    EXPECT_DOUBLE_EQ(signed_rank_tail({1, 1, 2}, false), 1.0 / 8.0);
    EXPECT_DOUBLE_EQ(signed_rank_tail({1, -1, 2}, false), 3.0 / 8.0);
    EXPECT_DOUBLE_EQ(signed_rank_tail({1, -1, 2, 0}, false), 3.0 / 8.0);
}

TEST(SignedRank, NormalApproximationMeetsTheExactOneAtTheEdge) {
    const double mean = 51.0 * 52.0 / 4.0;
    const double deviation = std::sqrt(51.0 * 52.0 * 103.0 / 24.0);
    for (const double z : {-2.0, -1.0, 0.0}) {
        const double beyond = signed_rank_at_most(51, mean + z * deviation);
        const double exact = signed_rank_at_most(50, 637.5 + z * std::sqrt(50.0 * 51.0 * 101.0 / 24.0));
        EXPECT_NEAR(beyond / exact, 1.0, 0.06) << z;
    }
    const double far = signed_rank_at_most(51, mean - 3.0 * deviation);
    const double exact = signed_rank_at_most(50, 637.5 - 3.0 * std::sqrt(50.0 * 51.0 * 101.0 / 24.0));
    EXPECT_GT(far, exact);
    EXPECT_LT(far, 1.25 * exact);
}

TEST(RankSum, CriticalValuesAreThoseOfPublishedTables) {
    // Two-sided 5 % (Mann, Whitney; Milton 1964).
    EXPECT_EQ(rank_sum_cut(4, 4, 0.025), 0);
    EXPECT_EQ(rank_sum_cut(5, 5, 0.025), 2);
    EXPECT_EQ(rank_sum_cut(10, 10, 0.025), 23);
    EXPECT_EQ(rank_sum_cut(8, 12, 0.025), 22);
    EXPECT_EQ(rank_sum_cut(20, 20, 0.025), 127);
    EXPECT_EQ(rank_sum_cut(3, 3, 0.025), -1);
}

TEST(RankSum, PValueOfPublishedData) {
    EXPECT_NEAR(rank_sum_p(kTermChorion, kEarlyChorion), 0.2544, 5e-5);  // W = 35
    EXPECT_NEAR(rank_sum_p(kEarlyChorion, kTermChorion), 0.2544, 5e-5);
    EXPECT_DOUBLE_EQ(rank_sum_p({}, {1.0}), 1.0);
}

TEST(HodgesLehmann, EstimateAndIntervalOfPublishedData) {
    Shift shift = Shift::of_pairs(kDepression);
    EXPECT_NEAR(shift.estimate(), -0.46, 1e-9);
    const auto interval = shift.interval(0.025);
    ASSERT_TRUE(interval);
    EXPECT_NEAR(interval->lower, -0.786, 1e-9);
    EXPECT_NEAR(interval->upper, -0.010, 1e-9);
    EXPECT_NEAR(interval->level, 0.9609375, 1e-9);
    Shift apart = Shift::of_samples(kEarlyChorion, kTermChorion);
    EXPECT_NEAR(apart.estimate(), 0.305, 1e-9);
    const auto between = apart.interval(0.025);
    ASSERT_TRUE(between);
    EXPECT_NEAR(between->lower, -0.15, 1e-9);
    EXPECT_NEAR(between->upper, 0.76, 1e-9);
}

TEST(HodgesLehmann, RefusesWhatTooFewValuesCannotCarry) {
    EXPECT_FALSE(Shift::of_pairs({1, 2, 3, 4, 5}).interval(0.025));
    EXPECT_TRUE(Shift::of_pairs({1, 2, 3, 4, 5, 6}).interval(0.025));
    EXPECT_FALSE(Shift::of_samples({1, 2, 3}, {4, 5, 6}).interval(0.025));
    EXPECT_TRUE(Shift::of_samples({1, 2, 3, 4}, {5, 6, 7, 8}).interval(0.025));
}

/// By distances from the middle, a pair far off is no evidence either way.
TEST(Trimmed, ADisturbedPairIsBlind) {
    std::vector<double> pairs = {0.03, 0.05, 0.04, 0.02, 0.06, 0.03, 0.05, 0.04, 0.03, 0.05};
    EXPECT_NEAR(trimmed_p(pairs), 2.0 / 1024.0, 1e-12);
    pairs.push_back(-0.60);
    EXPECT_NEAR(trimmed_p(pairs), 2.0 / 1024.0, 1e-12);
    EXPECT_GT(signed_rank_p(pairs), 0.01);
    const auto interval = trimmed_interval(pairs, 0.007);
    ASSERT_TRUE(interval);
    EXPECT_GT(interval->lower, 0.0);
    EXPECT_LE(interval->upper, 0.06);
}

// Where even the outermost average isn't refused the end lies beyond it.
TEST(Trimmed, AnEndMayLieBeyondAllAverages) {
    const std::vector<double> one_far = {.0500, .0505, .0510, .0515, .0520, .0525, .0530, .4};
    EXPECT_NEAR(trimmed_p(one_far), 2.0 / 128.0, 1e-12);
    const auto interval = trimmed_interval(one_far, 0.004);
    ASSERT_TRUE(interval);
    EXPECT_LT(interval->lower, 0.0);
    EXPECT_LE(trimmed_tail(one_far, interval->lower - 0.01, false), 0.004);
    EXPECT_GT(trimmed_tail(one_far, interval->lower + 0.001, false), 0.004);
}

TEST(Trimmed, WithoutDisturbedPairsItIsNearThePlainInterval) {
    std::vector<double> pairs;
    base::SplitMix random(3);
    for (int i = 0; i < 12; ++i) pairs.push_back(random.uniform() - 0.3);
    const auto plain = Shift::of_pairs(pairs).interval(0.025);
    const auto trimmed = trimmed_interval(pairs, 0.025);
    ASSERT_TRUE(plain && trimmed);
    EXPECT_NEAR(trimmed->lower, plain->lower, 0.1);
    EXPECT_NEAR(trimmed->upper, plain->upper, 0.1);
    EXPECT_FALSE(trimmed_interval({1, 2, 3, 4, 5}, 0.025));
}

TEST(Trimmed, MirrorsWhenSidesAreSwapped) {
    const std::vector<double> pairs = {0.01, -0.02, 0.05, 0.03, 0.04, -0.01, 0.02, 0.06};
    std::vector<double> mirrored;
    for (const double value : pairs) mirrored.push_back(-value);
    const auto one = trimmed_interval(pairs, 0.02);
    const auto other = trimmed_interval(mirrored, 0.02);
    ASSERT_TRUE(one && other);
    EXPECT_DOUBLE_EQ(one->lower, -other->upper);
    EXPECT_DOUBLE_EQ(one->upper, -other->lower);
}

TEST(Power, PairsNeededAreThoseOfTheTable) {
    // method 3.4: CV of a run, share to be found, pairs; the deviation of a pair is CV · sqrt 2.
    const double root2 = std::sqrt(2.0);
    EXPECT_EQ(pairs_needed(0.01 * root2, 0.01), 18U);
    EXPECT_EQ(pairs_needed(0.03 * root2, 0.03), 18U);
    EXPECT_EQ(pairs_needed(0.03 * root2, 0.05), 8U);
    EXPECT_EQ(pairs_needed(0.10 * root2, 0.05), 65U);
    EXPECT_FALSE(pairs_needed(0.1, 0.0));
    EXPECT_FALSE(pairs_needed(1.0, 1e-6));
}

TEST(Power, SmallestVisibleShift) {
    // s = 1, n = 4: (3.18245 + 0.97847) / 2.
    const std::vector<double> values = {-1.161895, -0.387298, 0.387298, 1.161895};
    EXPECT_NEAR(deviation(values), 1.0, 1e-5);
    EXPECT_NEAR(*smallest_visible(values), 2.08046, 1e-4);
    EXPECT_FALSE(smallest_visible({1.0}));
}

TEST(SumRatio, JackknifeOfEqualRatiosHasNoSpread) {
    const auto ratio = jackknife_ratio({10, 20, 30, 40, 50, 60}, {1, 2, 3, 4, 5, 6});
    ASSERT_TRUE(ratio);
    EXPECT_DOUBLE_EQ(ratio->value, 10.0);
    EXPECT_NEAR(ratio->upper - ratio->lower, 0.0, 1e-9);
    EXPECT_FALSE(jackknife_ratio({1, 2, 3, 4, 5}, {1, 1, 1, 1, 1}));
    EXPECT_FALSE(jackknife_ratio({1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 0, 0}));
}

TEST(SumRatio, IsTheRatioOfSumsAndNotTheMeanOfRatios) {
    // 100 tokens in 1 s and 100 in 4 s are 40 a second, not 62.5.
    const auto ratio = jackknife_ratio({100, 100, 100, 100, 100, 100}, {1, 4, 1, 4, 1, 4});
    ASSERT_TRUE(ratio);
    EXPECT_DOUBLE_EQ(ratio->value, 40.0);
    EXPECT_LT(ratio->lower, 40.0);
    EXPECT_GT(ratio->upper, 40.0);
}

TEST(SumRatio, BootstrapCoversTheTruth) {
    constexpr int kTrials = 200;
    int covered = 0;
    for (std::uint64_t trial = 1; trial <= kTrials; ++trial) {
        base::SplitMix random(trial);
        std::vector<double> tokens;
        std::vector<double> seconds;
        for (int i = 0; i < 60; ++i) {
            seconds.push_back(1.0 + random.uniform());
            tokens.push_back(seconds.back() * 50.0 * (0.8 + 0.4 * random.uniform()));
        }
        const auto ratio = bootstrap_ratio(tokens, seconds, 1, trial, 1000);
        ASSERT_TRUE(ratio);
        covered += ratio->lower <= 50.0 && 50.0 <= ratio->upper ? 1 : 0;
    }
    EXPECT_GE(covered, 180);
    EXPECT_LE(covered, 199);
}

// M33: an interval of correlated requests that takes them for independent covers 67 % at 0.6.
TEST(SumRatio, CorrelatedRequestsAreWorthFewer) {
    constexpr int kTrials = 400;
    for (const double rho : {0.0, 0.6}) {
        int covered = 0;
        for (std::uint64_t trial = 1; trial <= kTrials; ++trial) {
            base::SplitMix random(trial);
            const auto noise = [&] { return std::sqrt(12.0) * (random.uniform() - 0.5); };
            std::vector<double> seconds;
            double state = noise();
            for (int i = 0; i < 100; ++i) {
                seconds.push_back(1.0 + 0.03 * state);
                state = rho * state + std::sqrt(1.0 - rho * rho) * noise();
            }
            const auto ratio = sum_ratio(std::vector<double>(seconds.size(), 50.0), seconds);
            ASSERT_TRUE(ratio);
            covered += ratio->lower <= 50.0 && 50.0 <= ratio->upper ? 1 : 0;
        }
        EXPECT_GE(covered, kTrials * 91 / 100) << rho;
        EXPECT_LE(covered, kTrials * 98 / 100) << rho;
    }
    // Requests that are worth fewer than 6 have no interval.
    std::vector<double> rising;
    for (int i = 0; i < 30; ++i) rising.push_back(1.0 + 0.01 * i);
    EXPECT_FALSE(sum_ratio(std::vector<double>(rising.size(), 50.0), rising));
}

TEST(SumRatio, TheSameSeedGivesTheSameInterval) {
    std::vector<double> tokens;
    std::vector<double> seconds;
    for (int i = 0; i < 40; ++i) {
        tokens.push_back(50.0 + i % 7);
        seconds.push_back(1.0 + 0.01 * (i % 5));
    }
    const auto one = bootstrap_ratio(tokens, seconds, 3, 9);
    const auto other = bootstrap_ratio(tokens, seconds, 3, 9);
    ASSERT_TRUE(one && other);
    EXPECT_EQ(one->lower, other->lower);
    EXPECT_EQ(one->upper, other->upper);
    EXPECT_FALSE(bootstrap_ratio({1, 2}, {1, 2}, 1, 1));
}

}  // namespace stats_ranks_test
}  // namespace velollm::stats
