#include "metrics/waterfall.h"

#include <gtest/gtest.h>

#include "metrics/summarize.h"
#include "report/engines_text.h"
#include "support/approve.h"
#include "support/records.h"

namespace velollm {
namespace waterfall_test {

using metrics::decode_ratio;
using metrics::waterfall;
using test::good_request;
using test::run_of;
using namespace std::chrono_literals;

/// 11 tokens: TTFT 100 ms, gaps of 10 ms, 5 ms after the last; the server says 80 ms, 98 ms, and 190 ms in all.
RequestRecord served() {
    RequestRecord r = good_request(11, 100ms, 10ms);
    r.done = 205ms;
    r.server.prompt_eval = 80ms;
    r.server.eval = 98ms;
    r.server.total = 190ms;
    r.server.load = 1ms;
    return r;
}

TEST(Waterfall, PartsAddUpToTheWhole) {
    const auto w = waterfall(run_of({served(), served()}), {0, 1});
    ASSERT_TRUE(w);
    EXPECT_EQ(w->n, 2U);
    EXPECT_EQ(w->before, 20ms);
    EXPECT_EQ(w->load, 1ms);
    EXPECT_EQ(w->prompt, 80ms);
    EXPECT_EQ(w->decode, 98ms);
    EXPECT_EQ(w->stream, 2ms);
    EXPECT_EQ(w->after, 5ms);
    EXPECT_EQ(w->whole, 205ms);
    EXPECT_EQ(w->inside, 11ms);
    EXPECT_DOUBLE_EQ(w->decode_tokens, 10.0);
    EXPECT_EQ(w->before + *w->prompt + *w->decode + w->stream + w->after, w->whole);
}

TEST(Waterfall, IsAMeanOfTheSamplesAlone) {
    RequestRecord slow = served();
    slow.done = 405ms;
    const auto w = waterfall(run_of({served(), slow, served()}), {0, 1});
    ASSERT_TRUE(w);
    EXPECT_EQ(w->whole, 305ms);
    EXPECT_EQ(w->after, 105ms);
}

TEST(Waterfall, WhatAServerDoesNotTellStaysInThePartThatWeSee) {
    RequestRecord bare = served();
    bare.server = {};
    const auto w = waterfall(run_of({served(), bare}), {0, 1});
    ASSERT_TRUE(w);
    EXPECT_FALSE(w->prompt);
    EXPECT_FALSE(w->decode);
    EXPECT_FALSE(w->inside);
    EXPECT_EQ(w->before, 100ms);
    EXPECT_EQ(w->stream, 100ms);
    EXPECT_FALSE(waterfall(run_of({served()}), {}));
}

TEST(DecodeRatio, PairsRequestsOfTheSameRound) {
    std::vector<RequestRecord> fast;
    std::vector<RequestRecord> base;
    for (int round = 0; round < 6; ++round) {
        // The machine gets slower from round to round; within a round one engine takes 4 ms where the other takes 5.
        fast.push_back(good_request(11, 50ms, (round + 1) * 4ms));
        base.push_back(good_request(11, 50ms, (round + 1) * 5ms));
    }
    const auto ratio = decode_ratio(run_of(fast), {0, 1, 2, 3, 4, 5}, run_of(base), {0, 1, 2, 3, 4, 5});
    ASSERT_TRUE(ratio);
    EXPECT_EQ(ratio->n, 6U);
    EXPECT_DOUBLE_EQ(ratio->median, 1.25);
    EXPECT_DOUBLE_EQ(ratio->lower.value(), 1.25);
    EXPECT_DOUBLE_EQ(ratio->upper.value(), 1.25);
}

TEST(DecodeRatio, ARoundThatOneMissedDoesNotCount) {
    const auto run = run_of({good_request(11, 50ms, 4ms), good_request(11, 50ms, 4ms)});
    const auto ratio = decode_ratio(run, {0, 1}, run, {1});
    ASSERT_TRUE(ratio);
    EXPECT_EQ(ratio->n, 1U);
    EXPECT_FALSE(ratio->lower);
    EXPECT_FALSE(decode_ratio(run, {0}, run, {1}));
}

TEST(EnginesText, IsAsApproved) {
    const auto result_of = [](RequestRecord one, RequestRecord two) {
        BenchmarkResult result;
        result.run = run_of({std::move(one), std::move(two)});
        result.summary = metrics::summarize(result.run, {});
        result.prompt_eval_count = 40;
        result.eval_count = 11;
        return result;
    };
    RequestRecord alone = good_request(11, 80200us, 9500us);
    alone.server.prompt_eval = 80ms;
    RequestRecord bare = good_request(11, 90ms, 10ms);
    bare.server = {};
    const std::vector<BenchmarkResult> results{result_of(alone, alone), result_of(served(), served()),
                                               result_of(bare, bare)};
    std::vector<report::Context> contexts(3);
    contexts[0].target.kind = "embedded";
    contexts[1].target.kind = "ollama";
    contexts[1].path.round_trip = 150us;
    contexts[2].target.kind = "openai";
    test::approve(report::engines_text(
                      {{&contexts[0], &results[0]}, {&contexts[1], &results[1]}, {&contexts[2], &results[2]}}, false),
                  "engines.txt");
}

TEST(EnginesText, GivesNoNumberOfAnInvalidRunUnlessForced) {
    BenchmarkResult result;
    result.run = run_of({served()});
    result.summary = metrics::summarize(result.run, {});
    BenchmarkResult invalid = result;
    invalid.summary.verdict = Verdict::kInvalid;
    report::Context context;
    context.target.kind = "ollama";
    const std::string text = report::engines_text({{&context, &result}, {&context, &invalid}}, false);
    EXPECT_NE(text.find("  Decode, tok/s                                  100.0          none\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("  Whole request                                 205.00             -\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("    compared with the first                          -          none\n"), std::string::npos)
        << text;
    const std::string forced = report::engines_text({{&context, &result}, {&context, &invalid}}, true);
    EXPECT_NE(forced.find("  Decode, tok/s                                  100.0         100.0\n"), std::string::npos)
        << forced;
}

}  // namespace waterfall_test
}  // namespace velollm
