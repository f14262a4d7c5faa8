#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/split_mix.h"
#include "compare/compare.h"
#include "support/compare_sides.h"

namespace velollm::compare {
namespace compare_test {

using stats::Decision;
using test::Identity;
using test::measured;
using test::metric;
using test::side;

MetricComparison primary_of(const std::vector<double>& a, const std::vector<double>& b, bool paired,
                            double delta = 0.02, const std::string& key = "decode_tps", bool higher = true) {
    const Side baseline = side("a", {measured("w", {metric(key, a, higher, paired)})});
    const Side other = side("b", {measured("w", {metric(key, b, higher, paired)})});
    const auto comparison = compare(baseline, {other}, {.rule = {.delta = delta}});
    EXPECT_TRUE(comparison) << (comparison ? "" : comparison.error().message + comparison.error().hint);
    if (!comparison) return {};
    return comparison->candidates.at(0).benchmarks.at(0).metrics.at(0);
}

const std::vector<double> kHundred(8, 100.0);
const std::vector<double> kRising = {101, 102, 103, 104, 105, 106};

TEST(CompareVerdict, EightPairsThatAllGainSixPerCentAreFaster) {
    const MetricComparison one = primary_of(kHundred, std::vector<double>(8, 106.0), true);
    EXPECT_EQ(one.judgement.decision, Decision::kFaster);
    EXPECT_TRUE(one.primary);
    EXPECT_TRUE(one.paired);
    EXPECT_EQ(one.baseline.n, 8U);
    EXPECT_DOUBLE_EQ(one.baseline.centre, 100.0);
    EXPECT_NEAR(one.judgement.factor, 1.06, 1e-12);
    ASSERT_TRUE(one.judgement.interval);
    EXPECT_NEAR(one.judgement.interval->low, 1.06, 1e-12);
    EXPECT_NEAR(one.judgement.interval->level, 1.0 - 10.0 / 256.0, 1e-12);  // W+ <= 3 at each end: 5 of 256
    EXPECT_NEAR(one.judgement.p, 2.0 / 256.0, 1e-12);
    EXPECT_EQ(one.because, "");
}

TEST(CompareVerdict, SixPairsHaveTheirExtremesForAnInterval) {
    const MetricComparison small = primary_of({100, 100, 100, 100, 100, 100}, kRising, true);
    EXPECT_EQ(small.judgement.decision, Decision::kSmall);
    ASSERT_TRUE(small.judgement.interval);
    EXPECT_NEAR(small.judgement.interval->low, 1.01, 1e-12);
    EXPECT_NEAR(small.judgement.interval->high, 1.06, 1e-12);
    EXPECT_NEAR(small.judgement.interval->level, 0.96875, 1e-12);
    EXPECT_NEAR(small.judgement.p, 0.03125, 1e-12);
    EXPECT_NEAR(small.judgement.factor, 1.035, 0.0005);
    EXPECT_FALSE(may_be_worse(small, 0.02));
    // With a limit below the whole interval the same numbers are a verdict.
    EXPECT_EQ(primary_of({100, 100, 100, 100, 100, 100}, kRising, true, 0.005).judgement.decision, Decision::kFaster);
}

TEST(CompareVerdict, LessTimeIsFaster) {
    EXPECT_EQ(primary_of(kHundred, std::vector<double>(8, 94.0), true, 0.02, "ttft_ms", false).judgement.decision,
              Decision::kFaster);
    EXPECT_EQ(primary_of(kHundred, std::vector<double>(8, 106.0), true, 0.02, "ttft_ms", false).judgement.decision,
              Decision::kSlower);
    EXPECT_EQ(primary_of(kHundred, std::vector<double>(8, 94.0), true).judgement.decision, Decision::kSlower);
}

TEST(CompareVerdict, EqualOnesAreTheSameAndNoisyOnesUnclear) {
    const MetricComparison same = primary_of(kHundred, {100.1, 99.9, 100.1, 99.9, 100.1, 99.9, 100.1, 99.9}, true);
    EXPECT_EQ(same.judgement.decision, Decision::kSame);
    ASSERT_TRUE(same.judgement.visible);
    EXPECT_LT(*same.judgement.visible, 0.002);
    const MetricComparison noisy = primary_of(kHundred, {110, 90, 110, 90, 110, 90, 110, 90}, true);
    EXPECT_EQ(noisy.judgement.decision, Decision::kUnclear);
    EXPECT_EQ(noisy.because, "");
    ASSERT_TRUE(noisy.judgement.visible);
    EXPECT_GT(*noisy.judgement.visible, 0.1);
    ASSERT_TRUE(noisy.judgement.pairs_for_delta);
    EXPECT_GT(*noisy.judgement.pairs_for_delta, 100U);
}

TEST(CompareVerdict, OneDisturbedRequestHidesNothingFromRanks) {
    std::vector<double> disturbed;
    for (int i = 0; i < 30; ++i) disturbed.push_back(100.0 + 0.1 * (i % 7));
    disturbed[12] = 10.0;
    const MetricComparison one = primary_of(disturbed, std::vector<double>(30, 100.3), false);
    EXPECT_EQ(one.judgement.decision, Decision::kSame);
    ASSERT_TRUE(one.judgement.visible);
    EXPECT_LT(*one.judgement.visible, 0.005);
    ASSERT_TRUE(one.judgement.pairs_for_delta);
    EXPECT_EQ(*one.judgement.pairs_for_delta, 4U);  // fewer have no interval
}

TEST(CompareVerdict, SamplesTakenApartGoByRanks) {
    const MetricComparison one = primary_of({100, 101, 102, 103, 104, 105}, {110, 111, 112, 113, 114, 115}, false);
    EXPECT_FALSE(one.paired);
    EXPECT_EQ(one.judgement.decision, Decision::kFaster);
    ASSERT_TRUE(one.judgement.interval);
    // U <= 5 at each end: 1 + 1 + 2 + 3 + 5 + 7 = 19 of 924 orders; the 6th of the 36 ratios is the bound.
    EXPECT_NEAR(one.judgement.interval->low, 110.0 / 103.0, 1e-12);
    EXPECT_NEAR(one.judgement.interval->high, 115.0 / 102.0, 1e-12);
    EXPECT_NEAR(one.judgement.interval->level, 1.0 - 2.0 * 19.0 / 924.0, 1e-12);
    EXPECT_NEAR(one.judgement.p, 2.0 / 924.0, 1e-12);
}

TEST(CompareVerdict, TooFewHaveNoIntervalAndNoVerdict) {
    for (const auto& [a, b] : std::vector<std::pair<std::vector<double>, std::vector<double>>>{
             {{100, 101, 102}, {110, 111, 112}},
             {{100, 100, 100}, {100, 100, 100}},  // three and three would pass for "same" by their ranks
             {{100, 101, 102}, std::vector<double>(30, 150.0)}}) {  // and these for "faster"
        const MetricComparison one = primary_of(a, b, false);
        EXPECT_EQ(one.judgement.decision, Decision::kUnclear);
        EXPECT_FALSE(one.judgement.interval);
        EXPECT_EQ(one.baseline.few, a);
        EXPECT_EQ(one.because, "too few values: an interval takes 4 on each side (velollm benchmark --runs 6)");
        EXPECT_FALSE(one.judgement.pairs_for_delta);
    }
    // As benchstat has it: four on each side are enough for 5 %, and so are the five of a benchmark of the suite.
    EXPECT_EQ(primary_of({100, 101, 102, 103, 104}, {110, 111, 112, 113, 114}, false).judgement.decision,
              Decision::kFaster);
    EXPECT_EQ(primary_of({100, 101, 102, 103}, {110, 111, 112, 113}, false).judgement.decision, Decision::kFaster);
    const MetricComparison one = primary_of({100}, {150}, false);
    EXPECT_EQ(one.because, "one value each: nothing is known of the spread");
    EXPECT_NEAR(one.judgement.factor, 1.5, 1e-12);
}

TEST(CompareVerdict, FivePairsStayPairsWithoutAnInterval) {
    // As samples their drift would hide that each has gained 5 %.
    const MetricComparison one = primary_of({100, 90, 80, 70, 60}, {105, 94.5, 84, 73.5, 63}, true);
    EXPECT_TRUE(one.paired);
    EXPECT_EQ(one.baseline.n, 5U);
    EXPECT_NEAR(one.judgement.factor, 1.05, 1e-12);
    EXPECT_FALSE(one.judgement.interval);
    EXPECT_FALSE(one.judgement.visible);
    EXPECT_EQ(one.judgement.decision, Decision::kUnclear);
    EXPECT_EQ(one.because, "5 pairs; an interval takes 6");
    EXPECT_EQ(primary_of({100}, {110}, true).because, "1 pair; an interval takes 6");
}

TEST(CompareVerdict, OneNumberAFileIsNoVerdict) {
    serde::MeasuredMetric mean = metric("tokens_per_second", {}, true, false);
    mean.centre = 80.0;
    mean.centre_is = "mean";
    mean.n = 5;
    serde::MeasuredMetric faster = mean;
    faster.centre = 100.0;
    const Side a = side("a", {measured("w", {mean})});
    const auto both = compare(a, {side("b", {measured("w", {faster})})}, {});
    ASSERT_TRUE(both);
    const MetricComparison one = both->candidates[0].benchmarks[0].metrics.at(0);
    EXPECT_NEAR(one.judgement.factor, 1.25, 1e-12);
    EXPECT_EQ(one.judgement.decision, Decision::kUnclear);
    EXPECT_EQ(one.because, "one value each: nothing is known of the spread");
    EXPECT_EQ(both->outcome, Outcome::kUnclear);

    // Against a file with samples, their mean: the samples of the overall speed are there under another key.
    const auto mixed =
        compare(a, {side("b", {measured("w", {faster, metric("e2e_tps", {60, 100, 110}, true, false)})})}, {});
    ASSERT_TRUE(mixed);
    const MetricComparison other = mixed->candidates[0].benchmarks[0].metrics.at(0);
    EXPECT_EQ(other.key, "tokens_per_second");
    EXPECT_NEAR(other.judgement.factor, 90.0 / 80.0, 1e-12);
    EXPECT_EQ(other.because, "one value on one side: nothing is known of its spread");
}

TEST(CompareVerdict, ZerosAndNegativesAreLeftOutAndCounted) {
    const MetricComparison pairs =
        primary_of({100, 0, 100, 100, 100, 100, 100, 100}, {106, 106, -1, 106, 106, 106, 106, 106}, true);
    EXPECT_EQ(pairs.baseline.n, 6U);
    EXPECT_EQ(pairs.left_out, 2U);
    EXPECT_NEAR(pairs.judgement.factor, 1.06, 1e-12);
    const MetricComparison apart = primary_of({100, 0, 101, 102, 103, NAN, 104, 105, 1e308, 1.1e15},
                                              {110, 111, 112, 113, INFINITY, 114, 115, 1e-308, 0.9e-15}, false);
    EXPECT_EQ(apart.left_out, 7U);
    EXPECT_EQ(apart.baseline.n, 6U);
    EXPECT_EQ(apart.judgement.decision, Decision::kFaster);
    const Side nothing = side("b", {measured("w", {metric("decode_tps", {0, 0, 0}, true, false)})});
    const auto none =
        compare(side("a", {measured("w", {metric("decode_tps", {1, 2, 3}, true, false)})}), {nothing}, {});
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message.find("no measure in common"), std::string::npos);
}

TEST(CompareVerdict, ManyValuesAreThinnedNotRefused) {
    std::vector<double> a;
    std::vector<double> b;
    for (int i = 0; i < 20'000; ++i) {
        a.push_back(100.0 + i % 7);
        b.push_back(106.0 + i % 7);
    }
    const MetricComparison one = primary_of(a, b, false);
    EXPECT_EQ(one.baseline.n, 1'000U);
    EXPECT_EQ(one.baseline.drawn_from, 20'000U);
    EXPECT_EQ(one.judgement.n, 1'000U);
    EXPECT_EQ(one.judgement.decision, Decision::kFaster);
    // Pairs stay pairs.
    const MetricComparison pairs = primary_of(a, b, true);
    EXPECT_EQ(pairs.judgement.n, 1'000U);
    EXPECT_EQ(pairs.other.drawn_from, 20'000U);
    EXPECT_NEAR(pairs.judgement.interval->low, 109.0 / 103.0, 0.001);
    EXPECT_NEAR(pairs.judgement.interval->high, 109.0 / 103.0, 0.001);
}

TEST(CompareVerdict, WhatRepeatsIsNoDifference) {
    std::vector<double> a;
    for (int i = 0; i < 1'200; ++i) a.push_back(i % 2 == 0 ? 100.0 : 120.0);
    std::vector<double> b(a.begin() + 1, a.end());
    b.push_back(a.front());
    // Every second value of a is 100, and of b 120.
    EXPECT_EQ(primary_of(a, b, false).judgement.decision, Decision::kSame);
    const MetricComparison one =
        primary_of(std::vector<double>(1'001, 100.0), std::vector<double>(1'000, 100.0), false);
    EXPECT_EQ(one.baseline.n, 1'000U);
    EXPECT_EQ(one.baseline.drawn_from, 1'001U);
    EXPECT_EQ(one.other.drawn_from, 0U);
}

TEST(ComparePairs, AreFoundByTheirKeysWhateverTheOrder) {
    const std::vector<double> drifting = {100, 110, 120, 130, 140, 150, 160, 170};
    serde::MeasuredMetric a = metric("decode_tps", drifting, true, true);
    std::vector<double> gained;
    for (const double value : drifting) gained.push_back(value * 1.05);
    serde::MeasuredMetric b = metric("decode_tps", gained, true, true);
    std::reverse(b.samples.begin(), b.samples.end());
    std::reverse(b.pair_keys.begin(), b.pair_keys.end());
    // One of each side has no partner.
    a.samples.push_back(500);
    a.pair_keys.emplace_back("only in a");
    b.samples.insert(b.samples.begin(), 1);
    b.pair_keys.insert(b.pair_keys.begin(), "only in b");
    const auto comparison = compare(side("a", {measured("w", {a})}), {side("b", {measured("w", {b})})}, {});
    ASSERT_TRUE(comparison);
    const MetricComparison& one = comparison->candidates[0].benchmarks[0].metrics[0];
    EXPECT_TRUE(one.paired);
    EXPECT_EQ(one.baseline.n, 8U);
    EXPECT_NEAR(one.judgement.interval->low, 1.05, 1e-12);
    EXPECT_NEAR(one.judgement.interval->high, 1.05, 1e-12);
}

TEST(ComparePairs, AFewBesideManyOtherSamplesAreNotAllThatCounts) {
    const auto with_three_pairs = [](std::size_t others) {
        serde::MeasuredMetric one = metric("decode_tps", std::vector<double>(3 + others, 100.0), true, true);
        const bool first = others % 2 == 0;
        for (std::size_t i = 3; i < one.pair_keys.size(); ++i) one.pair_keys[i] += first ? " of a" : " of b";
        return one;
    };
    const auto compared = [&](std::size_t a, std::size_t b) {
        const auto both = compare(side("a", {measured("w", {with_three_pairs(a)})}),
                                  {side("b", {measured("w", {with_three_pairs(b)})})}, {});
        return both->candidates[0].benchmarks[0].metrics.at(0);
    };
    EXPECT_FALSE(compared(20, 21).paired);
    EXPECT_EQ(compared(20, 21).judgement.decision, Decision::kSame);
    EXPECT_TRUE(compared(2, 3).paired);
    EXPECT_EQ(compared(2, 3).because, "3 pairs; an interval takes 6");
}

TEST(ComparePairs, KeysOfOtherRunsAreNone) {
    serde::MeasuredWorkload a = measured("w", {metric("decode_tps", kHundred, true, true)});
    serde::MeasuredWorkload b = a;
    a.run_id = "run 1";
    b.run_id = "run 2";
    const auto comparison = compare(side("a", {a}), {side("b", {b})}, {});
    ASSERT_TRUE(comparison);
    EXPECT_FALSE(comparison->candidates[0].benchmarks[0].paired);
}

/// How often of 200 seeds a difference is found, where B gains `gain` on a machine that loses a third of its speed
/// while both are measured in turn.
int found_under_drift(double gain) {
    int found = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        base::SplitMix random(seed);
        std::vector<double> a;
        std::vector<double> b;
        for (int i = 0; i < 12; ++i) {
            const double drift = 100.0 * (1.0 - 0.03 * i);
            a.push_back(drift * (0.97 + 0.06 * random.uniform()));
            b.push_back(drift * gain * (0.97 + 0.06 * random.uniform()));
        }
        const Decision decision = primary_of(a, b, true).judgement.decision;
        found += decision == Decision::kFaster || decision == Decision::kSlower || decision == Decision::kSmall ? 1 : 0;
    }
    return found;
}

TEST(ComparePairs, ADriftOfTheMachineNeitherMakesNorHidesADifference) {
    EXPECT_LE(found_under_drift(1.0), 200 * 7 / 100);
    EXPECT_GE(found_under_drift(1.05), 190);
}

TEST(CompareMetrics, OthersThanThePrimaryShareTheirFivePerCent) {
    // p of eight pairs that all gain: 2/256 = 0.0078 < 0.05 / 2. The other gains in six of eight.
    const Side a =
        side("a", {measured("w", {metric("decode_tps", kHundred, true, true), metric("ttft_ms", kHundred, false, true),
                                  metric("e2e_ms", kHundred, false, true)})});
    const std::vector<double> mixed = {110, 109, 108, 107, 106, 105, 97, 99};
    const Side b = side("b", {measured("w", {metric("decode_tps", mixed, true, true),
                                             metric("ttft_ms", std::vector<double>(8, 94.0), false, true),
                                             metric("e2e_ms", mixed, false, true)})});
    const auto comparison = compare(a, {b}, {});
    ASSERT_TRUE(comparison);
    const auto& metrics = comparison->candidates[0].benchmarks[0].metrics;
    ASSERT_EQ(metrics.size(), 3U);
    EXPECT_EQ(metrics[0].key, "decode_tps");
    EXPECT_DOUBLE_EQ(metrics[0].alpha, 0.05);
    EXPECT_EQ(metrics[1].key, "ttft_ms");
    EXPECT_DOUBLE_EQ(metrics[1].alpha, 0.025);
    EXPECT_EQ(metrics[1].judgement.decision, Decision::kFaster);
    EXPECT_EQ(metrics[2].key, "e2e_ms");
    EXPECT_DOUBLE_EQ(metrics[2].alpha, 0.05);  // the first step passed
}

TEST(CompareMetrics, WhatSaysTheSameIsJudgedOnce) {
    std::vector<serde::MeasuredMetric> all;
    for (const char* key : {"decode_tps", "ttft_ms", "tpot_ms", "e2e_ms", "e2e_tps", "server_decode_tps", "ttfb_ms",
                            "stall_ms", "tokens_per_second"})
        all.push_back(metric(key, kHundred, std::string(key).ends_with("tps"), true));
    const auto comparison = compare(side("a", {measured("w", all)}), {side("b", {measured("w", all)})}, {});
    ASSERT_TRUE(comparison);
    std::vector<std::string> keys;
    for (const MetricComparison& one : comparison->candidates[0].benchmarks[0].metrics) keys.push_back(one.key);
    EXPECT_EQ(keys, (std::vector<std::string>{"decode_tps", "ttft_ms", "e2e_ms"}));

    const auto chosen =
        compare(side("a", {measured("w", all)}), {side("b", {measured("w", all)})}, {.rule = {.metric = "stall_ms"}});
    ASSERT_TRUE(chosen);
    EXPECT_EQ(chosen->candidates[0].benchmarks[0].metrics[0].key, "stall_ms");
    const auto unknown =
        compare(side("a", {measured("w", all)}), {side("b", {measured("w", all)})}, {.rule = {.metric = "joy"}});
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().message.find("no values of joy on both sides"), std::string::npos);
}

TEST(CompareMetrics, OfUnknownOnesSamplesDecideBeforeMeansAndMeansBeforePercentiles) {
    const auto summary = [](const char* key, const char* what) {
        serde::MeasuredMetric out = metric(key, {}, false, false);
        out.centre = 5.0;
        out.centre_is = what;
        return out;
    };
    const auto primary = [](const std::vector<serde::MeasuredMetric>& metrics) {
        const auto comparison = compare(side("a", {measured("w", metrics)}), {side("b", {measured("w", metrics)})}, {});
        return comparison ? comparison->candidates[0].benchmarks[0].metrics.at(0).key : "";
    };
    const serde::MeasuredMetric percentile = summary("tool.p99_ms", "p99");
    const serde::MeasuredMetric mean = summary("tool.mean_ms", "mean");
    EXPECT_EQ(primary({percentile, mean, metric("tool.values", {1, 2, 3}, true, false)}), "tool.values");
    EXPECT_EQ(primary({percentile, mean}), "tool.mean_ms");
    EXPECT_EQ(primary({percentile}), "tool.p99_ms");
}

TEST(CompareMetrics, AnswersOfOtherLengthsAreComparedByTheirTokens) {
    const auto answers = [](double tokens) {
        std::vector<double> tps(8, tokens);  // of one second each
        return measured("w", {metric("decode_tps", kHundred, true, true), metric("e2e_tps", tps, true, true),
                              metric("e2e_ms", std::vector<double>(8, 1000.0), false, true)});
    };
    const auto unlike = compare(side("a", {answers(100)}), {side("b", {answers(98.5)})}, {});
    ASSERT_TRUE(unlike);
    const BenchmarkComparison& one = unlike->candidates[0].benchmarks[0];
    ASSERT_EQ(one.metrics.size(), 1U);
    EXPECT_EQ(one.metrics[0].key, "decode_tps");
    ASSERT_EQ(one.not_compared.size(), 2U);
    EXPECT_EQ(one.not_compared[1].because, "answers differ in length by more than 1 %");
    const auto alike = compare(side("a", {answers(100)}), {side("b", {answers(99.5)})}, {});
    ASSERT_TRUE(alike);
    EXPECT_EQ(alike->candidates[0].benchmarks[0].metrics.size(), 2U);
}

/// A run with a summary only, whose total time is over so many requests.
serde::MeasuredWorkload summed(double total, std::size_t requests) {
    serde::MeasuredMetric speed = metric("tokens_per_second", {}, true, false);
    speed.centre = total / 30.0;
    serde::MeasuredMetric sum = metric("total_time_ms", {}, false, false);
    sum.centre = total;
    sum.centre_is = "sum";
    sum.n = requests;
    return measured("w", {speed, sum});
}

TEST(CompareMetrics, SumsOverOtherNumbersOfRequestsAreNotComparedAlsoWhenPooled) {
    const auto pooled = [](const char* name, std::vector<std::size_t> requests) {
        std::vector<serde::MeasuredWorkload> runs;
        for (std::size_t i = 0; i < requests.size(); ++i)
            runs.push_back(summed(600.0 * static_cast<double>(requests[i]) + static_cast<double>(i), requests[i]));
        return side(name, runs);
    };
    const Side five = pooled("a", {5, 5, 5, 5, 5, 5});
    for (const Side& other : {pooled("b", {3, 3, 3, 3, 3, 3}), pooled("b", {5, 5, 5, 5, 5, 3}), pooled("b", {3})}) {
        const auto unlike = compare(five, {other}, {});
        ASSERT_TRUE(unlike);
        const BenchmarkComparison& one = unlike->candidates[0].benchmarks[0];
        ASSERT_EQ(one.not_compared.size(), 1U);
        EXPECT_EQ(one.not_compared[0].key, "total_time_ms");
        EXPECT_EQ(one.not_compared[0].because, "it is a sum, and not known to be over as many requests");
        EXPECT_EQ(one.metrics.size(), 1U);
    }
    const auto alike = compare(five, {pooled("b", {5, 5, 5, 5, 5, 5})}, {});
    ASSERT_TRUE(alike);
    EXPECT_EQ(alike->candidates[0].benchmarks[0].metrics.size(), 2U);
}

serde::MeasuredWorkload speed(const std::string& name, double value) {
    return measured(name, {metric("decode_tps", std::vector<double>(8, value), true, false)});
}

TEST(CompareSides, TheSameMeasurementOnBothIsSaid) {
    const Side a = side("a", {measured("w", {metric("decode_tps", kRising, true, false)})});
    const auto itself = compare(a, {a}, {});
    ASSERT_TRUE(itself);
    EXPECT_EQ(itself->candidates[0].notes, std::vector<std::string>{"a and a hold the same measurement"});
    std::vector<double> other = kRising;
    other[2] += 0.001;
    const auto two = compare(a, {side("b", {measured("w", {metric("decode_tps", other, true, false)})})}, {});
    ASSERT_TRUE(two);
    EXPECT_TRUE(two->candidates[0].notes.empty());
}

TEST(CompareMean, CountsOnlyWhatBothSidesHave) {
    const Side a = side("a", {speed("one", 100), speed("two", 100), speed("only a", 100)});
    const Side b = side("b", {speed("two", 100), speed("one", 400), speed("only b", 1)});
    const auto comparison = compare(a, {b}, {});
    ASSERT_TRUE(comparison);
    const Candidate& candidate = comparison->candidates[0];
    ASSERT_EQ(candidate.means.size(), 1U);
    EXPECT_NEAR(candidate.means[0].factor, 2.0, 1e-12);
    EXPECT_EQ(candidate.means[0].benchmarks, 2U);
    EXPECT_EQ(candidate.only_in_baseline, std::vector<std::string>{"only a"});
    EXPECT_EQ(candidate.only_here, std::vector<std::string>{"only b"});
    EXPECT_EQ(candidate.benchmarks[0].name, "one");
    const auto single = compare(side("a", {speed("one", 1)}), {side("b", {speed("one", 1)})}, {});
    ASSERT_TRUE(single);
    EXPECT_TRUE(single->candidates[0].means.empty());
}

TEST(CompareOutcome, TheWorstOfAllSidesAndBenchmarksCounts) {
    const Side a = side("a", {speed("one", 100), speed("two", 100)});
    const Side better = side("better", {speed("one", 110), speed("two", 100)});
    const Side slower = side("slower", {speed("one", 100), speed("two", 90)});
    const Side few = side("few", {speed("one", 100), measured("two", {metric("decode_tps", {100, 100}, true, false)})});
    const auto outcome = [&](const std::vector<Side>& others) { return compare(a, others, {})->outcome; };
    EXPECT_EQ(outcome({better}), Outcome::kSameOrBetter);
    EXPECT_EQ(outcome({slower}), Outcome::kSlower);
    EXPECT_EQ(outcome({few}), Outcome::kUnclear);
    EXPECT_EQ(outcome({few, slower}), Outcome::kSlower);
    EXPECT_EQ(outcome({slower, few}), Outcome::kSlower);
    EXPECT_EQ(outcome({few, better}), Outcome::kUnclear);
}

TEST(CompareOutcome, ASmallChangeForTheWorseIsUnclearWhereItMayPassTheLimit) {
    const std::vector<double> within = {99, 99, 99, 99, 99, 99, 99, 99};
    const MetricComparison small = primary_of(kHundred, within, true);
    EXPECT_EQ(small.judgement.decision, Decision::kSmall);
    EXPECT_FALSE(may_be_worse(small, 0.02));
    const std::vector<double> beyond = {99, 99, 98, 98, 97, 97, 96, 96};
    const MetricComparison open = primary_of(kHundred, beyond, true);
    EXPECT_EQ(open.judgement.decision, Decision::kSmall);
    EXPECT_TRUE(may_be_worse(open, 0.02));
    const MetricComparison longer = primary_of(beyond, kHundred, true, 0.02, "ttft_ms", false);
    EXPECT_TRUE(may_be_worse(longer, 0.02));
    EXPECT_FALSE(may_be_worse(primary_of(beyond, kHundred, true), 0.02));
}

}  // namespace compare_test
}  // namespace velollm::compare
