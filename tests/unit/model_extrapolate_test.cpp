#include "model/extrapolate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace velollm::model::extrapolate_test {

TEST(Extrapolate, FollowsTheLineThroughBothFiles) {
    // 1 ms of head and 2 ms a block: 4 blocks take 9 ms, 8 take 17, 32 take 65.
    const PaceEstimate at = estimate_at(32, {4, {0.009, 0.009, 0.009}}, {8, {0.017, 0.017, 0.017}});
    EXPECT_DOUBLE_EQ(at.leverage, 6);
    EXPECT_NEAR(at.tps.likely, 1 / 0.065, 1e-9);
    EXPECT_LT(at.tps.low, at.tps.likely);
    EXPECT_GT(at.tps.high, at.tps.likely);
}

TEST(Extrapolate, APrefillLineMayBeginBelowZero) {
    // The last block of a prefill isn't a full one: 250 ms a block, less 190.
    const PaceEstimate at = estimate_at(16, {2, {0.310}}, {4, {0.810}});
    EXPECT_NEAR(1 / at.tps.likely, 3.810, 1e-9);
}

TEST(Extrapolate, TakesTheMedianOfTheRounds) {
    const PaceEstimate calm = estimate_at(16, {4, {0.1, 0.1, 0.1}}, {8, {0.2, 0.2, 0.2}});
    const PaceEstimate jolted = estimate_at(16, {4, {0.1, 0.1, 9.0}}, {8, {0.2, 7.0, 0.2}});
    EXPECT_DOUBLE_EQ(calm.tps.likely, jolted.tps.likely);
}

TEST(Extrapolate, LeverageMagnifiesTheNoise) {
    const std::vector<double> small{0.09, 0.1, 0.11, 0.095, 0.105};
    std::vector<double> large = small;
    for (double& seconds : large) seconds *= 2;
    const double near = estimate_at(24, {8, small}, {16, large}).half_width();
    const double far = estimate_at(128, {8, small}, {16, large}).half_width();
    EXPECT_GT(far, 1.25 * near);
    // The formula by hand: the median deviation of the rounds is 5 %; at size 24 one more step of 0.1 s.
    const double error = 1.2533 * 1.4826 * 0.05 / std::sqrt(5.0);
    const double noise = std::hypot(2 * error * 0.2, error * 0.1) / 0.3;
    const double share = 1.2816 * std::hypot(noise, 0.03, 0.03);
    EXPECT_NEAR(estimate_at(24, {8, small}, {16, large}).tps.low, 1 / (0.3 * (1 + share)), 1e-9);
}

TEST(Extrapolate, NoiseStrongerThanTheSlopeGivesNoSpeed) {
    const PaceEstimate at = estimate_at(100, {4, {0.5}}, {8, {0.4}});
    EXPECT_EQ(at.tps.likely, 0);
    EXPECT_EQ(at.tps.high, 0);
}

TEST(Extrapolate, AWholeFileNeedsNoLine) {
    const PaceEstimate whole = estimate_of({32, {0.05, 0.04, 0.05, 0.06, 0.05}});
    EXPECT_DOUBLE_EQ(whole.tps.likely, 20);
    EXPECT_EQ(whole.leverage, 0);
    EXPECT_LT(whole.half_width(), 0.2);
}

/// Rounds with noise of 3 %, one in ten disturbed by a fifth; each file's pages lie well or badly by 3 %.
TEST(Extrapolate, TheRangeHoldsTheTruthInFourCasesOfFive) {
    std::mt19937_64 random(7);
    std::normal_distribution<double> unit;
    const auto rounds = [&](double seconds) {
        std::vector<double> all;
        const double file = seconds * (1 + 0.02 * unit(random));
        for (int i = 0; i < 5; ++i) all.push_back(file * (1 + 0.03 * unit(random)) * (random() % 10 == 0 ? 1.2 : 1.0));
        return all;
    };
    int inside = 0;
    constexpr int kTrials = 2000;
    for (int i = 0; i < kTrials; ++i) {
        const PaceEstimate at = estimate_at(30, {3, rounds(0.008)}, {10, rounds(0.022)});  // 2 ms + 2 ms a block
        inside += at.tps.low <= 1 / 0.062 && 1 / 0.062 <= at.tps.high ? 1 : 0;
    }
    EXPECT_GE(inside, kTrials * 80 / 100);
    EXPECT_LE(inside, kTrials * 97 / 100);
}

}  // namespace velollm::model::extrapolate_test
