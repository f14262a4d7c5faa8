// The search for settings on a simulated machine with known truth, in virtual time with fixed seeds.

#include "optimize/search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/split_mix.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "mock/plant.h"
#include "optimize/outputs.h"
#include "optimize/tune.h"

namespace velollm::optimize {
namespace search_test {

/// An engine whose speed hangs on its settings as the function says.
class World {
public:
    World(const mock::PlantSpec& spec, std::uint64_t seed, std::function<double(const Choice&)> gain)
        : plant_(spec, seed), gain_(std::move(gain)) {}

    Result<benchmark::Block> measure(const Choice& choice, std::size_t requests) {
        const double gain = gain_(choice);
        if (gain <= 0.0) return Error{ErrorCode::kFailed, "out of memory", ""};
        mock::PlantEngine engine(plant_, gain);
        benchmark::Block block;
        const TimePoint begin = plant_.clock().now();
        EXPECT_TRUE(engine.load());
        block.load = plant_.clock().now() - begin;
        const std::vector<Prompt> prompts(requests, Prompt{.text = "four words of prompt", .max_tokens = 8});
        Run run =
            load::run_load(load::closed_loop(requests, 1), prompts, engine, plant_.clock(), std::chrono::hours(1), {});
        block.requests = std::move(run.requests);
        block.wall = run.wall;
        if (bytes) block.model_bytes = bytes(choice);
        return block;
    }

    SearchResult search(SearchPlan plan, const std::function<bool()>& stop = {}) {
        plan.cost = cost_of(Profile::kChat);
        auto result = optimize::search(
            plan, [&](const Choice& choice, std::size_t requests) { return measure(choice, requests); }, plant_.clock(),
            stop, [&](const Notice& line) { (line.passing ? shown : said) += line.text + "\n"; });
        EXPECT_TRUE(result);
        return result ? std::move(*result) : SearchResult{};
    }

    TimePoint now() { return plant_.clock().now(); }

    std::function<std::int64_t(const Choice&)> bytes;  // what the model takes; empty: the engine doesn't tell
    std::string said;
    std::string shown;

private:
    mock::Plant plant_;
    std::function<double(const Choice&)> gain_;
};

mock::PlantSpec machine() {
    mock::PlantSpec spec;
    spec.noise = 0.02;
    spec.reload = std::chrono::seconds(1);
    return spec;
}

std::string value_of(const Choice& choice, const std::string& setting) {
    const auto it = choice.find(setting);
    return it == choice.end() ? "" : it->second;
}

const Stage kThreads{"S2", "threads", {"1", "2", "3"}};
const Stage kBatch{"S3", "num_batch", {"1024", "2048"}};

TEST(Search, FindsWhatHelpsAndConfirmsIt) {
    World world(machine(), 1, [](const Choice& choice) { return value_of(choice, "threads") == "1" ? 2.0 : 1.0; });
    const SearchResult result = world.search({.stages = {kThreads, kBatch}, .seed = 3});
    EXPECT_EQ(result.end, SearchEnd::kImproved);
    EXPECT_EQ(result.best, (Choice{{"threads", "1"}}));
    ASSERT_TRUE(result.confirmed);
    EXPECT_NEAR(result.confirmed->measured.judgement.factor, 0.5, 0.02);
    EXPECT_GE(result.confirmed->measured.pairs.size(), 8U);
}

TEST(Search, EqualSettingsEndInNoImprovement) {
    int unfounded = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        World world(machine(), seed, [](const Choice&) { return 1.0; });
        const SearchResult result = world.search({.stages = {kThreads, kBatch}, .seed = seed});
        unfounded += result.end == SearchEnd::kImproved ? 1 : 0;
        EXPECT_GT(result.noise, 0.0);
        EXPECT_GT(result.visible, 0.0);
    }
    EXPECT_LE(unfounded, 2);
}

TEST(Search, ASettingThatFailsIsOutAndTheRestGoesOn) {
    World world(machine(), 2, [](const Choice& choice) {
        if (value_of(choice, "num_batch") == "2048") return 0.0;
        return value_of(choice, "num_batch") == "1024" ? 1.2 : 1.0;
    });
    const SearchResult result = world.search({.stages = {kBatch}, .seed = 5});
    EXPECT_EQ(result.end, SearchEnd::kImproved);
    EXPECT_EQ(value_of(result.best, "num_batch"), "1024");
    EXPECT_NE(world.said.find("num_batch=2048: out, out of memory"), std::string::npos);
}

TEST(Search, MoreMemoryIsATradeoff) {
    const auto search_with = [](std::int64_t more) {
        World world(machine(), 1, [](const Choice& choice) { return choice.empty() ? 1.0 : 1.5; });
        world.bytes = [more](const Choice& choice) { return (std::int64_t{1} << 30U) + (choice.empty() ? 0 : more); };
        return world.search({.stages = {{"S6", "spec_type", {"draft 4"}}}, .seed = 3});
    };
    const SearchResult large = search_with(std::int64_t{512} << 20U);
    EXPECT_EQ(large.end, SearchEnd::kTradeoff);
    EXPECT_EQ(large.worse, "the model takes 1.50 GiB of memory in place of 1.00 GiB");
    const std::vector<Effect> effects =
        tuned_plan({.engine = "llama-server", .version = "0.5.0"}, large, true, true).findings.front().effects;
    const Plan refused = tuned_plan({}, large, true, false);
    EXPECT_EQ(refused.outcome.find("Not changed: spec_type=draft 4 brings +"), 0U) << refused.outcome;
    EXPECT_NE(refused.outcome.find("but the model takes 1.50 GiB"), std::string::npos);
    EXPECT_FALSE(refused.judged());
    EXPECT_EQ(effects.back().metric, "memory");
    EXPECT_DOUBLE_EQ(effects.back().high, 1.5);
    EXPECT_EQ(search_with(std::int64_t{51} << 20U).end, SearchEnd::kImproved);  // just below a twentieth
}

TEST(Search, SaysWhatAGainMustBeToBeFound) {
    // Without noise the limit itself; with it what half of the estimates of a true 2 % would fall below isn't promised.
    EXPECT_NEAR(visible_gain(0.0, 8, 0.02), 0.02, 1e-12);
    EXPECT_NEAR(visible_gain(0.01, 8, 0.02), 0.0230, 0.0002);
    EXPECT_NEAR(visible_gain(0.1, 30, 0.02), std::expm1(0.062), 1e-9);
    mock::PlantSpec spec = machine();
    spec.noise = 0.005;
    int found = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        World world(spec, seed, [](const Choice& choice) { return choice.empty() ? 1.0 : 1.026; });
        const SearchResult result = world.search({.stages = {}, .start = {{"threads", "1"}}, .seed = seed});
        found += result.end == SearchEnd::kImproved ? 1 : 0;
        EXPECT_LT(result.visible, 0.026);
    }
    EXPECT_GE(found, 32);
}

TEST(Search, ASmallGainIsNoChance) {
    mock::PlantSpec spec = machine();
    spec.noise = 0.001;
    World world(spec, 1, [](const Choice& choice) { return choice.empty() ? 1.0 : 1.015; });
    const Plan plan = tuned_plan({}, world.search({.stages = {}, .start = {{"threads", "1"}}, .seed = 3}), true, false);
    EXPECT_TRUE(plan.changes().empty());
    EXPECT_EQ(plan.outcome.find("Nothing to change: threads=1 is faster, by +1."), 0U) << plan.outcome;
    World worse(spec, 1, [](const Choice& choice) { return choice.empty() ? 1.0 : 0.9; });
    const Plan slower =
        tuned_plan({}, worse.search({.stages = {}, .start = {{"threads", "1"}}, .seed = 3}), true, false);
    EXPECT_NE(slower.outcome.find("threads=1, is slower: -10."), std::string::npos) << slower.outcome;
}

TEST(Search, AConfirmationThatEndsEarlyIsNoVerdict) {
    std::size_t blocks = 0;  // the noise takes eight
    World world(machine(), 1, [&](const Choice& choice) { return ++blocks > 16 ? 0.0 : choice.empty() ? 1.0 : 2.0; });
    const SearchResult result = world.search({.stages = {}, .start = {{"threads", "1"}}, .seed = 3});
    EXPECT_EQ(result.end, SearchEnd::kNoImprovement);
    const Plan plan = tuned_plan({}, result, true, false);
    EXPECT_EQ(plan.outcome, "Not changed: the confirmation of threads=1 ended early, out of memory.");
    EXPECT_FALSE(plan.judged());
}

TEST(Search, WhatNobodyMissesIsLeftOut) {
    // The second change helps only as long as the first isn't made.
    World world(machine(), 7, [](const Choice& choice) {
        if (value_of(choice, "num_batch") == "2048") return 1.5;
        return value_of(choice, "threads") == "1" ? 1.3 : 1.0;
    });
    const SearchResult result = world.search({.stages = {kThreads, kBatch}, .seed = 11});
    EXPECT_EQ(result.end, SearchEnd::kImproved);
    EXPECT_EQ(result.best, (Choice{{"num_batch", "2048"}}));
    EXPECT_TRUE(result.stages.front().dropped);
    EXPECT_FALSE(result.stages.back().dropped);
}

TEST(Search, AStopKeepsTheBestAndConfirmsNothing) {
    World world(machine(), 1, [](const Choice& choice) { return value_of(choice, "threads") == "1" ? 2.0 : 1.0; });
    const SearchResult result = world.search({.stages = {kThreads, kBatch}, .seed = 3}, [&] {
        return world.said.find("threads=1 is ahead") != std::string::npos;
    });
    EXPECT_EQ(result.end, SearchEnd::kStopped);
    EXPECT_EQ(result.best, (Choice{{"threads", "1"}}));
    EXPECT_FALSE(result.confirmed);
}

TEST(Search, AStageThatWouldTakeTooLongIsLeftOut) {
    mock::PlantSpec spec = machine();
    spec.reload = std::chrono::seconds(10);
    World world(spec, 1, [](const Choice& choice) { return value_of(choice, "threads") == "1" ? 2.0 : 1.0; });
    // Eight blocks of some 10 s for the noise, twelve for the threads: then the batch has no time left.
    const SearchResult result =
        world.search({.stages = {kThreads, kBatch}, .budget = std::chrono::seconds(360), .seed = 3});
    EXPECT_EQ(result.stages.size(), 1U);
    EXPECT_NE(world.said.find("S3 num_batch: not tried, the time for it is over"), std::string::npos);
    EXPECT_EQ(result.end, SearchEnd::kImproved);
}

TEST(Search, AKnownChoiceIsOnlyConfirmed) {
    World world(machine(), 4, [](const Choice& choice) { return value_of(choice, "threads") == "1" ? 1.3 : 1.0; });
    const SearchResult result = world.search({.stages = {}, .start = {{"threads", "1"}}, .seed = 6});
    EXPECT_EQ(result.end, SearchEnd::kImproved);
    EXPECT_TRUE(result.stages.empty());
}

// What an earlier search found is written and applied as what this one found, with all that was measured together.
TEST(Search, AKnownChoiceMakesThePlan) {
    World world(machine(), 4, [](const Choice& choice) { return value_of(choice, "num_batch") == "1024" ? 1.3 : 1.0; });
    const SearchResult result = world.search({.stages = {}, .start = {{"num_batch", "1024"}}, .seed = 6});
    ASSERT_EQ(result.end, SearchEnd::kImproved);
    Facts facts;
    facts.engine = "llama-server";
    facts.version = "0.5.0";
    const Plan plan = tuned_plan(facts, result, true, false);
    std::vector<std::string> knobs;
    for (const Change& change : plan.changes()) knobs.push_back(change.knob + "=" + change.value);
    EXPECT_EQ(knobs, (std::vector<std::string>{"--ubatch-size=1024", "--batch-size=1024"}));
    EXPECT_EQ(plan.findings.front().rule, "S3");
    // Two flags, one reason, said once.
    const std::string flags = *render(plan, Format::kLlamaServer);
    EXPECT_EQ(flags.find("# S3: "), flags.rfind("# S3: "));
    EXPECT_NE(flags.find("--ubatch-size 1024 --batch-size 1024"), std::string::npos);
    EXPECT_EQ(tuned_plan(facts, {}, true, false).nothing_to_change(),
              "Nothing was tried: there was no time for it. Take a larger --budget.");
}

TEST(Search, SettingsThatFailAsTheyAreMakeNoWinner) {
    // They run while the noise is measured, and fail in the race.
    std::size_t blocks = 0;
    World world(machine(), 2, [&](const Choice& choice) { return choice.empty() && ++blocks > 8 ? 0.0 : 1.0; });
    const SearchResult result = world.search({.stages = {kBatch}, .seed = 5});
    EXPECT_EQ(result.end, SearchEnd::kNoImprovement);
    EXPECT_TRUE(result.best.empty());
    EXPECT_NE(world.said.find("as it is it failed"), std::string::npos);
}

// A hot processor slows down whoever is on it: without the guard the setting that runs would be blamed.
TEST(Search, ABlockThatHeatSlowedDownIsMeasuredAgain) {
    std::int64_t events = 7;
    std::size_t rests = 0;
    bool hot = false;
    std::size_t blocks = 0;
    World world(machine(), 1, [&](const Choice&) {
        hot = ++blocks % 5 == 0;
        events += hot ? 1 : 0;
        return hot ? 0.5 : 1.0;
    });
    const SearchResult result = world.search({.stages = {{"S2", "threads", {"1"}}},
                                              .seed = 3,
                                              .heat_events = [&] { return std::optional(events); },
                                              .rest = [&] { ++rests; }});
    EXPECT_GT(rests, 0U);
    EXPECT_EQ(rests, static_cast<std::size_t>(events - 7));
    EXPECT_LT(result.noise, 0.06);  // of ln 2 with the slow blocks among them
    EXPECT_NE(world.said.find("slowed down for heat"), std::string::npos);
    // One that is always hot isn't waited for.
    World always(machine(), 1, [&](const Choice&) { return static_cast<double>(++events > 0); });
    EXPECT_EQ(always.search({.stages = {}, .heat_events = [&] { return std::optional(events); }}).end,
              SearchEnd::kNoImprovement);
}

TEST(Search, ABudgetThatTheNoiseAloneWouldTakeIsRefused) {
    mock::PlantSpec spec = machine();
    spec.reload = std::chrono::seconds(90);
    mock::Plant plant(spec, 1);
    SearchPlan plan{.stages = {kThreads}, .cost = cost_of(Profile::kChat), .budget = std::chrono::minutes(5)};
    const TimePoint begin = plant.clock().now();
    const auto result = search(plan,
                               [&](const Choice&, std::size_t) -> Result<benchmark::Block> {
                                   plant.clock().pass(spec.reload);
                                   return benchmark::Block{};
                               },
                               plant.clock(), {}, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "The settings as they are take 90 s for one block: too long for this budget");
    EXPECT_LE(plant.clock().now() - begin, std::chrono::minutes(6));
}

TEST(Search, SaysHowFarItIsAndWhatTimeIsLeft) {
    mock::PlantSpec spec = machine();
    spec.noise = 0.0;
    World world(spec, 1, [](const Choice& choice) { return value_of(choice, "threads") == "1" ? 2.0 : 1.0; });
    const TimePoint begin = world.now();
    world.search({.stages = {{"S2", "threads", {"1"}}}, .budget = std::chrono::minutes(2), .seed = 3});
    EXPECT_EQ(world.shown.find("Noise: pair 1 of 4"), 0U);
    const std::string first = world.shown.substr(world.shown.find("S2 threads: run 1 of at most "));
    const std::string second = world.shown.substr(world.shown.find("S2 threads: run 3 of at most "));
    EXPECT_NE(second.substr(0, second.find('\n')).find(", 1 ahead by "), std::string::npos) << second;
    const auto left = [](const std::string& line) { return std::stod(line.substr(line.find("; some ") + 7)); };
    EXPECT_LT(left(second), left(first));
    // Never more than there is time for; a race that one wins at once ends before that.
    EXPECT_GE(left(first), to_seconds(world.now() - begin)) << first;
    EXPECT_LE(left(first), 120.0) << first;
    EXPECT_NE(world.shown.find("    pair 2; some "), std::string::npos);
}

TEST(Search, NothingIsLeftOutWithoutTimeToSee) {
    mock::PlantSpec spec = machine();
    spec.reload = std::chrono::seconds(10);
    // Two changes that help together; in this time they can be found, and confirmed, and no more.
    World world(spec, 1, [](const Choice& choice) {
        return (value_of(choice, "threads") == "1" ? 1.5 : 1.0) * (value_of(choice, "num_batch") == "1024" ? 1.5 : 1.0);
    });
    const SearchResult result = world.search({.stages = {{"S2", "threads", {"1"}}, {"S3", "num_batch", {"1024"}}},
                                              .budget = std::chrono::seconds(560),
                                              .seed = 3});
    EXPECT_EQ(result.end, SearchEnd::kImproved);
    EXPECT_EQ(result.best.size(), 2U);
    EXPECT_NE(world.said.find("no time to see whether it is missed"), std::string::npos);
}

TEST(Race, FindsTheCheapestOfMany) {
    // C23: 24 settings, known best; within 1 % of it.
    int near = 0;
    std::size_t most = 0;
    constexpr int kSeeds = 60;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        base::SplitMix random(base::split_mix(seed + 7));
        std::vector<double> costs;
        for (int i = 0; i < 24; ++i) costs.push_back(1.0 + 0.15 * random.uniform());
        mock::PlantSpec spec;
        spec.drift = {mock::Drift::Kind::kSawTooth, 0.03, 40};
        mock::Plant plant(spec, seed);
        const RaceResult result = race(
            costs.size(), [&](std::size_t runner) -> Result<double> { return costs[runner] / plant.next_factor(); },
            {.most_runs = 130, .seed = seed});
        const double best = *std::min_element(costs.begin(), costs.end());
        near += costs[result.ranking.front()] <= best * 1.01 ? 1 : 0;
        most = std::max(most, result.runs);
        EXPECT_EQ(result.ranking.size(), 24U);
    }
    EXPECT_GE(near, 53);  // 90 % less two standard errors of it
    EXPECT_LE(most, 130U);
}

TEST(Race, AnInterruptionLeavesTheBlockOut) {
    std::size_t runs = 0;
    const RaceResult result = race(3,
                                   [&](std::size_t) -> Result<double> {
                                       if (++runs > 5) return Error{ErrorCode::kInterrupted, "", ""};
                                       return 1.0;
                                   },
                                   {.most_runs = 100, .seed = 1});
    EXPECT_TRUE(result.stopped);
    for (const Runner& runner : result.runners) EXPECT_EQ(runner.logs.size(), 1U);
}

TEST(Cost, ATurnIsPromptAndAnswer) {
    mock::PlantSpec spec;
    spec.noise = 0.0;
    World world(spec, 1, [](const Choice&) { return 1.0; });
    const auto block = world.measure({}, 1);
    ASSERT_TRUE(block);
    // 1000 prompt tokens a second and 50 of the answer: 1024 / 1000 + 256 / 50.
    EXPECT_NEAR(*turn_seconds(*block, turn_of(Profile::kChat)), 1.024 + 5.12, 1e-3);
    EXPECT_FALSE(turn_seconds({}, turn_of(Profile::kChat)));
    EXPECT_NEAR(*cost_of(Profile::kBatch)(*block), (0.004 + 7 * 0.02) / 8, 1e-6);
}

}  // namespace search_test
}  // namespace velollm::optimize
