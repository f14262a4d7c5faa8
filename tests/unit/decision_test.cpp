// Decisions on pairs: exact cases by hand, and known truth on the simulated machine, in virtual time with fixed seeds.

#include "stats/decision.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "base/split_mix.h"
#include "benchmark/ab.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "metrics/table.h"
#include "mock/plant.h"
#include "stats/levels.h"
#include "stats/looks.h"

namespace velollm {
namespace decision_test {

using mock::Drift;
using stats::Decision;

std::vector<double> around(double centre, std::size_t n) {
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(centre + 0.001 * (static_cast<double>(i % 5) - 2.0));
    return values;
}

TEST(Decision, EachOfTheFiveByHand) {
    const stats::Limits limits;
    EXPECT_EQ(stats::judge_pairs(around(0.06, 10), limits).decision, Decision::kFaster);
    EXPECT_EQ(stats::judge_pairs(around(-0.06, 10), limits).decision, Decision::kSlower);
    EXPECT_EQ(stats::judge_pairs(around(0.01, 10), limits).decision, Decision::kSmall);
    EXPECT_EQ(stats::judge_pairs(around(0.0, 10), limits).decision, Decision::kSame);
    EXPECT_EQ(stats::judge_pairs({0.3, -0.3, 0.2, -0.25, 0.1, -0.1, 0.05, -0.07}, limits).decision, Decision::kUnclear);
    // Five pairs can't reach 5 %, whatever they say.
    EXPECT_EQ(stats::judge_pairs(around(0.5, 5), limits).decision, Decision::kUnclear);
    EXPECT_FALSE(stats::judge_pairs(around(0.5, 5), limits).interval);
}

TEST(Decision, LowerIsBetterTurnsTheWordsRound) {
    stats::Limits limits;
    limits.higher_is_better = false;
    EXPECT_EQ(stats::judge_pairs(around(0.06, 10), limits).decision, Decision::kSlower);
    EXPECT_EQ(stats::judge_pairs(around(-0.06, 10), limits).decision, Decision::kFaster);
}

TEST(Decision, TheLimitIsTheSameFromBothSides) {
    // 1 / 1.02 is as far from 1 as 1.02.
    const double edge = std::log(1.02);
    EXPECT_EQ(stats::decide(stats::ShiftInterval{edge + 1e-9, 1.0, 0.95}, {}, {}), Decision::kFaster);
    EXPECT_EQ(stats::decide(stats::ShiftInterval{-1.0, -edge - 1e-9, 0.95}, {}, {}), Decision::kSlower);
    EXPECT_EQ(stats::decide(stats::ShiftInterval{edge - 1e-9, 1.0, 0.95}, {}, {}), Decision::kSmall);
    EXPECT_EQ(stats::decide(stats::ShiftInterval{-0.01, 0.01, 0.95}, stats::ShiftInterval{-edge, 0.0, 0.9}, {}),
              Decision::kUnclear);
    EXPECT_EQ(stats::decide({}, {}, {}), Decision::kUnclear);
}

TEST(Decision, HolmsSteps) {
    // Of .01 .04 .03 .005 at 5 %: .005 <= .0125, .01 <= .0167, .03 > .025: the rest stays at .025.
    const std::vector<double> alphas = stats::holm_alphas({0.01, 0.04, 0.03, 0.005}, 0.05);
    ASSERT_EQ(alphas.size(), 4U);
    EXPECT_DOUBLE_EQ(alphas[3], 0.05 / 4);
    EXPECT_DOUBLE_EQ(alphas[0], 0.05 / 3);
    EXPECT_DOUBLE_EQ(alphas[2], 0.05 / 2);
    EXPECT_DOUBLE_EQ(alphas[1], 0.05 / 2);
    EXPECT_TRUE(stats::holm_alphas({}, 0.05).empty());
}

TEST(Looks, ArePlanned) {
    const std::vector<stats::Look> looks = stats::planned_looks(30);
    ASSERT_EQ(looks.size(), 5U);
    EXPECT_EQ(stats::look_at(looks, 7), nullptr);
    ASSERT_NE(stats::look_at(looks, 8), nullptr);
    EXPECT_EQ(stats::look_at(looks, 9), nullptr);
    double shares = 0.0;
    for (const stats::Look& look : looks) shares += look.alpha;
    EXPECT_LT(shares, 0.07);  // they overlap: together 5 %
}

// However many pairs there may be, the last look's share is spent once, and at the end.
TEST(Looks, EndWhereThePairsEnd) {
    for (const std::size_t most : {7U, 8U, 12U, 31U, 200U}) {
        const std::vector<stats::Look> looks = stats::planned_looks(most);
        EXPECT_EQ(looks.back().pairs, most);
        EXPECT_DOUBLE_EQ(looks.back().alpha, 0.028);
        double shares = 0.0;
        for (const stats::Look& look : looks) shares += look.alpha;
        EXPECT_LE(shares, 0.0651);
    }
    EXPECT_EQ(stats::planned_looks(12).size(), 3U);
    EXPECT_EQ(stats::planned_looks(200).size(), 5U);
    // Time was over after 12 of 30: what the last look was to have. A user's stop has what the look before had.
    const std::vector<stats::Look> looks = stats::planned_looks(30);
    EXPECT_DOUBLE_EQ(stats::look_at_end(looks, 12, true).alpha, 0.028);
    EXPECT_DOUBLE_EQ(stats::look_at_end(looks, 12, false).alpha, 0.007);
    EXPECT_DOUBLE_EQ(stats::look_at_end(looks, 3, false).alpha, 0.008);
}

// What could have been seen is that of the test which runs: 8 pairs must all agree, and where they are too few for a
// verdict there is none.
TEST(Looks, SayWhatTheyCouldHaveSeen) {
    const std::vector<double> pairs = {0.02, -0.02, 0.02, -0.02, 0.02, -0.02, 0.02, -0.02};
    const double spread = std::sqrt(8.0 * 0.0004 / 7.0);
    const stats::Judgement eight = stats::judge_look(pairs, {}, stats::kLooks[0]);
    ASSERT_TRUE(eight.visible);
    EXPECT_NEAR(*eight.visible, std::expm1(1.92 * spread), 1e-9);
    EXPECT_FALSE(stats::judge_look({0.5, 0.5, 0.51}, {}, stats::kLooks[0]).visible);
    // A verdict is what the test says: never at a p above the look's share.
    base::SplitMix random(17);
    for (int run = 0; run < 3000; ++run) {
        std::vector<double> logs;
        const double shift = 0.6 * random.uniform();
        const auto noise = [&] {
            return (random.uniform() + random.uniform() - 1.0) * (random.uniform() < 0.15 ? 20.0 : 1.0);
        };
        const stats::Look& look = stats::kLooks[run % 3];
        for (std::size_t i = 0; i < look.pairs; ++i) logs.push_back(shift + noise());
        const stats::Judgement judged = stats::judge_look(logs, {}, look);
        const bool told = judged.decision != stats::Decision::kUnclear && judged.decision != stats::Decision::kSame;
        EXPECT_TRUE(!told || judged.p <= look.alpha) << run;
    }
    // What the test leaves out doesn't make it blind.
    std::vector<double> disturbed = around(0.0, 9);
    const auto calm = stats::judge_look(around(0.0, 10), {}, stats::kLooks[1]).visible;
    disturbed.push_back(1.0);
    const auto visible = stats::judge_look(disturbed, {}, stats::kLooks[1]).visible;
    ASSERT_TRUE(calm && visible);
    EXPECT_LT(*visible, 1.5 * *calm);
    // Seven that agree would pass the last look's share: but what is printed is that eight are the least.
    const stats::Judgement seven = stats::judge_look(around(0.5, 7), {}, stats::planned_looks(7).back());
    EXPECT_EQ(seven.decision, stats::Decision::kUnclear);
    EXPECT_FALSE(seven.interval || seven.within);
    EXPECT_FALSE(stats::judge_look({0.5, 0.5, 0.51}, {}, stats::kLooks[0]).pairs_for_delta);
    EXPECT_EQ(stats::judge_look(pairs, {.delta = 0.05}, stats::kLooks[0]).pairs_for_delta, 8U);
    // ln 1.02 is 0.926 deviations of a pair: between the reach of 15 pairs and of 20.
    EXPECT_EQ(stats::judge_look(pairs, {.delta = 0.02}, stats::kLooks[0]).pairs_for_delta, 20U);
    // 0.4658 deviations: (0.62 / 0.4658)^2 of 30.
    EXPECT_EQ(stats::judge_look(pairs, {.delta = 0.01}, stats::kLooks[0]).pairs_for_delta, 54U);
}

TEST(Looks, AnytimeIntervalIsTheMixtureSolved) {
    const std::vector<double> pairs = {0.04, 0.05, 0.06, 0.05, 0.04, 0.06, 0.05, 0.05};
    const auto interval = stats::anytime_interval(pairs);
    ASSERT_TRUE(interval);
    // At the ends, L_n is 20.
    const double n = 8.0;
    const double centre = 0.05;
    double squares = 0.0;
    for (const double value : pairs) squares += (value - centre) * (value - centre);
    const double error = std::sqrt(squares / 7.0 / n);
    const double t = (centre - interval->lower) / error;
    const double u = t * t / (n - 1.0);
    const double weight = 1.0 + 0.25 * n;
    EXPECT_NEAR(std::pow(weight, -0.5) * std::pow((1.0 + u) / (1.0 + u / weight), n / 2.0), 20.0, 1e-6);
    EXPECT_FALSE(stats::anytime_interval({0.1}));
    // p is where the interval ends at 0.
    const stats::Judgement judged = stats::judge_anytime(pairs, {});
    const auto at_p = stats::anytime_interval(pairs, judged.p);
    ASSERT_TRUE(at_p);
    EXPECT_NEAR(at_p->lower, 0.0, 1e-9);
    EXPECT_DOUBLE_EQ(judged.factor, std::exp(0.05));
}

TEST(Levels, RequestsOfALoad) {
    // Loads that differ much: one request each. The variances within are 0.0002 and between 0.02 - 0.0001.
    const stats::LoadLevels wide = stats::load_levels({{0.0, 0.02}, {0.2, 0.22}}, 1.0, 1.0, 10);
    EXPECT_NEAR(wide.within, 0.0002, 1e-12);
    EXPECT_NEAR(wide.between, 0.0199, 1e-12);
    EXPECT_EQ(wide.requests, 1U);
    // A load that costs 400 times as much: sqrt(400 · 0.0002 / 0.0199) = 2.005.
    EXPECT_EQ(stats::load_levels({{0.0, 0.02}, {0.2, 0.22}}, 400.0, 1.0, 10).requests, 3U);
    // Loads that are alike: as many as may be.
    EXPECT_EQ(stats::load_levels({{0.0, 0.1}, {0.1, 0.0}}, 1.0, 1.0, 10).requests, 10U);
    EXPECT_EQ(stats::load_levels({{0.0}}, 1.0, 1.0, 10).requests, 1U);
}

// ---- On the simulated machine ----

benchmark::Block measure(mock::Plant& plant, mock::PlantEngine& engine, std::size_t requests, bool reload) {
    benchmark::Block block;
    if (reload) {
        const TimePoint begin = plant.clock().now();
        EXPECT_TRUE(engine.unload());
        EXPECT_TRUE(engine.load());
        block.load = plant.clock().now() - begin;
    }
    const std::vector<Prompt> prompts(requests, Prompt{.text = "four words of prompt", .max_tokens = 8});
    block.requests =
        load::run_load(load::closed_loop(requests, 1), prompts, engine, plant.clock(), std::chrono::hours(1), {})
            .requests;
    return block;
}

benchmark::AbResult try_ab(const mock::PlantSpec& spec, double gain, std::uint64_t seed, benchmark::AbPlan plan = {}) {
    mock::Plant plant(spec, seed);
    mock::PlantEngine a(plant, 1.0);
    mock::PlantEngine b(plant, gain);
    plan.seed = base::split_mix(seed);
    const auto result = benchmark::run_ab(plan,
                                          [&](std::size_t side, std::size_t requests) -> Result<benchmark::Block> {
                                              return measure(plant, side == 0 ? a : b, requests, plan.reload);
                                          },
                                          plant.clock(), {}, {});
    EXPECT_TRUE(result);
    return result ? *result : benchmark::AbResult{};
}

bool different(const benchmark::AbResult& result) {
    const Decision decision = result.judgement.decision;
    return decision == Decision::kFaster || decision == Decision::kSlower || decision == Decision::kSmall;
}

TEST(Plant, IsWhatItSays) {
    mock::PlantSpec spec;
    spec.noise = 0.0;
    mock::Plant plant(spec, 1);
    mock::PlantEngine engine(plant, 1.05);
    const benchmark::Block block = measure(plant, engine, 1, false);
    EXPECT_NEAR(*benchmark::block_value(block, "decode_tps"), 52.5, 1e-6);
    // Four words at 1000 · 1.05 a second.
    EXPECT_NEAR(*benchmark::block_value(block, "ttft_ms"), 4.0 / 1.05, 1e-4);
}

TEST(Plant, DriftsAsItSays) {
    mock::PlantSpec spec;
    spec.noise = 0.0;
    spec.drift = {Drift::Kind::kLinear, 0.05, 20};
    mock::Plant linear(spec, 1);
    EXPECT_DOUBLE_EQ(linear.next_factor(), 1.0);
    EXPECT_DOUBLE_EQ(linear.next_factor(), 1.0 / 1.0025);
    spec.drift = {Drift::Kind::kSawTooth, 0.03, 4};
    mock::Plant saw(spec, 1);
    for (const double slow : {0.0, 0.01, 0.02, 0.03, 0.0}) EXPECT_NEAR(saw.next_factor(), 1.0 / (1.0 + slow), 1e-12);
    spec.drift = {Drift::Kind::kWarmUp, 0.08, 5};
    mock::Plant warm(spec, 1);
    EXPECT_NEAR(warm.next_factor(), 1.0 / 1.08, 1e-12);
}

// M28, M31, C21: what drifts, and looking again and again, must not become a difference.
TEST(Ab, EqualSettingsOnADriftingMachineAreRarelyCalledDifferent) {
    for (const Drift& drift : {Drift{Drift::Kind::kLinear, 0.05, 20}, Drift{Drift::Kind::kWarmUp, 0.08, 5},
                               Drift{Drift::Kind::kSawTooth, 0.03, 4}}) {
        mock::PlantSpec spec;
        spec.drift = drift;
        int wrong = 0;
        for (std::uint64_t seed = 1; seed <= 100; ++seed) wrong += different(try_ab(spec, 1.0, seed)) ? 1 : 0;
        EXPECT_LE(wrong, 9);
    }
}

// C22
TEST(Ab, FivePerCentAreFound) {
    mock::PlantSpec spec;
    int found = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        const benchmark::AbResult result = try_ab(spec, 1.05, seed);
        found += different(result) && result.judgement.factor > 1.0 ? 1 : 0;
    }
    EXPECT_GE(found, 95);
}

TEST(Ab, QuietAndEqualIsTheSameWithinTenPairs) {
    mock::PlantSpec spec;
    spec.noise = 0.01;
    int same = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        const benchmark::AbResult result = try_ab(spec, 1.0, seed);
        same += result.judgement.decision == Decision::kSame && result.judgement.n <= 10 ? 1 : 0;
    }
    EXPECT_GE(same, 90);
}

TEST(Ab, LoadsThatDifferAreTheUnit) {
    mock::PlantSpec spec;
    spec.noise = 0.005;
    spec.load_noise = 0.05;
    spec.reload = std::chrono::seconds(2);
    benchmark::AbPlan plan;
    plan.reload = true;
    int wrong = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        const benchmark::AbResult result = try_ab(spec, 1.0, seed, plan);
        ASSERT_TRUE(result.levels);
        EXPECT_GT(result.levels->between, result.levels->within);
        EXPECT_EQ(result.pairs.back().sides[0].requests.size(), result.levels->requests);
        EXPECT_EQ(result.pairs.back().sides[0].load, std::chrono::seconds(2));
        wrong += different(result) ? 1 : 0;
    }
    EXPECT_LE(wrong, 10);
}

TEST(Ab, BothOrdersOccurAndAreDrawnFromTheSeed) {
    mock::PlantSpec spec;
    benchmark::AbPlan plan;
    const benchmark::AbResult one = try_ab(spec, 1.0, 5, plan);
    const benchmark::AbResult again = try_ab(spec, 1.0, 5, plan);
    ASSERT_EQ(one.pairs.size(), again.pairs.size());
    int b_first = 0;
    for (std::size_t i = 0; i < one.pairs.size(); ++i) {
        EXPECT_EQ(one.pairs[i].b_first, again.pairs[i].b_first);
        EXPECT_EQ(one.pairs[i].values[1], again.pairs[i].values[1]);
        b_first += one.pairs[i].b_first ? 1 : 0;
    }
    EXPECT_GT(b_first, 0);
    EXPECT_LT(b_first, static_cast<int>(one.pairs.size()));
}

TEST(Ab, EndsWhenItsTimeOrItsPairsAreOver) {
    mock::PlantSpec spec;
    spec.noise = 0.5;
    benchmark::AbPlan plan;
    plan.budget = std::chrono::seconds(2);
    const benchmark::AbResult timed = try_ab(spec, 1.0, 1, plan);
    EXPECT_EQ(timed.end, benchmark::AbEnd::kBudgetOver);
    plan.budget.reset();
    plan.most_pairs = 12;
    const benchmark::AbResult counted = try_ab(spec, 1.0, 1, plan);
    EXPECT_EQ(counted.end, benchmark::AbEnd::kPairsOver);
    EXPECT_EQ(counted.pairs.size(), 12U);
    EXPECT_EQ(counted.judgement.decision, Decision::kUnclear);
    EXPECT_TRUE(counted.judgement.visible);
}

TEST(Ab, FailuresAreCountedAndEndItWhenNothingElseComes) {
    mock::Plant plant({}, 1);
    mock::PlantEngine engine(plant, 1.0);
    std::size_t calls = 0;
    const auto measured = [&](std::size_t side, std::size_t requests) -> Result<benchmark::Block> {
        benchmark::Block block = measure(plant, engine, requests, false);
        if (side == 1 && ++calls % 4 == 0) block.requests.front().outcome = Outcome::kError;
        return block;
    };
    benchmark::AbPlan plan;
    plan.most_pairs = 6;
    const auto some = benchmark::run_ab(plan, measured, plant.clock(), {}, {});
    ASSERT_TRUE(some);
    EXPECT_EQ(some->failed_pairs, 1U);
    EXPECT_EQ(some->judgement.n, 6U);
    const auto none = benchmark::run_ab(
        plan, [&](std::size_t, std::size_t) -> Result<benchmark::Block> { return benchmark::Block{}; }, plant.clock(),
        {}, {});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->end, benchmark::AbEnd::kFailing);
    EXPECT_EQ(none->judgement.n, 0U);
}

TEST(Ab, AStopKeepsWhatIsMeasured) {
    mock::Plant plant({}, 1);
    mock::PlantEngine engine(plant, 1.0);
    std::size_t pairs = 0;
    const auto result = benchmark::run_ab(
        {},
        [&](std::size_t, std::size_t requests) -> Result<benchmark::Block> {
            return measure(plant, engine, requests, false);
        },
        plant.clock(), [&] { return pairs >= 3; }, [&](const benchmark::AbResult&) { ++pairs; });
    ASSERT_TRUE(result);
    EXPECT_EQ(result->end, benchmark::AbEnd::kStopped);
    EXPECT_EQ(result->pairs.size(), 3U);
}

// Pairs that are measured aren't lost with the engine.
TEST(Ab, AnEngineThatGoesAwayEndsItWithWhatThereIs) {
    mock::PlantSpec spec;
    spec.noise = 0.01;
    mock::Plant plant(spec, 1);
    mock::PlantEngine engine(plant, 1.0);
    const auto until = [&](std::size_t blocks) {
        return
            [&, blocks, made = std::size_t{0}](std::size_t, std::size_t requests) mutable -> Result<benchmark::Block> {
                if (made++ == blocks) return Error{ErrorCode::kUnreachable, "gone", ""};
                return measure(plant, engine, requests, false);
            };
    };
    const auto lost = benchmark::run_ab({}, until(7), plant.clock(), {}, {});
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->end, benchmark::AbEnd::kLost);
    ASSERT_TRUE(lost->error);
    EXPECT_EQ(lost->error->code, ErrorCode::kUnreachable);
    EXPECT_EQ(lost->judgement.n, 3U);
    EXPECT_FALSE(benchmark::run_ab({}, until(1), plant.clock(), {}, {}));
}

// The first pair holds what is done once; the time of the next ones is not judged by it.
TEST(Ab, ABudgetIsNotEndedByTheFirstPair) {
    mock::Plant plant({}, 1);
    mock::PlantEngine engine(plant, 1.0);
    bool first = true;
    benchmark::AbPlan plan;
    plan.budget = std::chrono::seconds(60);
    const auto result = benchmark::run_ab(plan,
                                          [&](std::size_t, std::size_t requests) -> Result<benchmark::Block> {
                                              if (std::exchange(first, false))
                                                  plant.clock().pass(std::chrono::seconds(40));
                                              return measure(plant, engine, requests, false);
                                          },
                                          plant.clock(), {}, {});
    ASSERT_TRUE(result);
    EXPECT_GE(result->pairs.size(), 8U);
}

TEST(Ab, AnUnknownMetricIsRefused) {
    mock::Plant plant({}, 1);
    benchmark::AbPlan plan;
    plan.metric = "speed";
    const auto result =
        benchmark::run_ab(plan, [](std::size_t, std::size_t) -> Result<benchmark::Block> { return benchmark::Block{}; },
                          plant.clock(), {}, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUsage);
}

}  // namespace decision_test
}  // namespace velollm
