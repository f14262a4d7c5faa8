// Mistakes that programs of this kind are known for, where no other test would notice them (docs/conformance.md).

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/text.h"
#include "benchmark/session.h"
#include "load/filler.h"
#include "metrics/summarize.h"
#include "metrics/table.h"
#include "support/records.h"
#include "support/trace.h"
#include "system/system.h"

namespace velollm {
namespace known_mistakes_test {

using namespace std::chrono_literals;
using test::good_request;
using test::run_of;

const metrics::Metric& metric(std::string_view key) {
    for (const metrics::Metric& m : metrics::metric_table())
        if (m.key == key) return m;
    throw std::runtime_error("no such metric");
}

double figure(const Summary& summary, std::string_view key) {
    for (const RunFigure& f : summary.figures)
        if (f.key == key) return f.value;
    return -1.0;
}

TEST(KnownMistakes, TheServersCountWinsOverTheNumberOfEvents) {
    RequestRecord r = good_request(24, 100ms, 10ms);
    r.server.output_tokens = 64;
    EXPECT_DOUBLE_EQ(metric("decode_tps").of(r).value.value(), 63.0 / 0.23);
    const Summary counted = metrics::summarize(run_of({r}), {});
    EXPECT_EQ(counted.token_source, TokenSource::kServer);
    r.server.output_tokens.reset();
    EXPECT_DOUBLE_EQ(metric("decode_tps").of(r).value.value(), 23.0 / 0.23);
    EXPECT_EQ(metrics::summarize(run_of({r}), {}).token_source, TokenSource::kChunks) << "and the guess is called one";
}

TEST(KnownMistakes, ThroughputCountsTokensAndNotEvents) {
    // 20 events of three tokens, the last one second after the sending.
    RequestRecord r = good_request(20, 50ms, 50ms);
    for (TokenStamp& event : r.events) event.tokens = 3;
    r.server.output_tokens = r.max_tokens = 60;
    EXPECT_NEAR(figure(metrics::summarize(run_of({r}), {}), "output_tps"), 60.0, 1e-9);
}

TEST(KnownMistakes, DurationsComeFromTheSteadyClock) {
    system::SteadyClock clock;
    const TimePoint before = std::chrono::steady_clock::now();
    const TimePoint now = clock.now();
    const TimePoint after = std::chrono::steady_clock::now();
    EXPECT_LE(before, now) << "a clock that is set would be far away from it";
    EXPECT_LE(now, after);
}

TEST(KnownMistakes, TheFirstTokenTimeIsSeenAndNotReckoned) {
    RequestRecord r = good_request(10, 100ms, 10ms);
    r.server.prompt_eval = 60ms;
    r.connect = 5ms;
    EXPECT_EQ(metric("ttft_ms").of(r).value, 100.0) << "neither from the engine's prompt time nor less a way there";
    EXPECT_EQ(metric("connect_ms").of(r).value, 5.0) << "which is a line of its own";
}

TEST(KnownMistakes, GapsAreThoseThatWereSeen) {
    RequestRecord r = good_request(5, 100ms, 10ms);
    for (std::size_t i = 3; i < 5; ++i) r.events[i].at += 200ms;
    const Summary summary = metrics::summarize(run_of({r}), {});
    EXPECT_EQ(summary.find("icl_ms")->median, 10.0) << "and not even shares of the whole";
    EXPECT_EQ(summary.find("icl_ms")->max, 210.0);
}

TEST(KnownMistakes, LongPromptsAreSentencesAndNotRandomWords) {
    const std::string text = load::filler_text(5000, 1);
    std::size_t articles = 0;
    std::size_t ends = 0;
    for (const std::string_view word : base::split(text, ' ')) {
        articles += word == "the" ? 1U : 0U;
        ends += word.ends_with('.') ? 1U : 0U;
    }
    EXPECT_GT(articles, 400u) << "every tenth word or so, as in any English";
    EXPECT_GT(ends, 5000u / 30) << "a sentence ends within thirty words";
}

TEST(KnownMistakes, ConnectingIsNotInTheFirstTokenTime) {
    const RequestRecord r = test::replay(
        backend::ollama_dialect(),
        {.sending = 50ms,
         .header = 60ms,
         .chunks = {{100ms, "{\"response\":\"a\",\"done\":false}\n"},
                    {110ms, "{\"response\":\"b\",\"done\":false}\n"},
                    {111ms, "{\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"eval_count\":2}\n"}}});
    EXPECT_EQ(metric("ttft_ms").of(r).value, 50.0);
    EXPECT_EQ(metric("ttfb_ms").of(r).value, 10.0);
}

TEST(KnownMistakes, StoppingWhenTheIntervalIsNarrowKeepsItsCoverage) {
    // Speeds with a median of 100 tok/s and a spread of 3 %, one in twenty slower by a third.
    constexpr int kRuns = 400;
    constexpr double kUntil = 0.02;
    std::mt19937_64 random(20);
    std::normal_distribution<double> spread(0.0, 0.03);
    std::uniform_real_distribution<double> share(0.0, 1.0);
    int covered = 0;
    int stopped = 0;
    for (int run = 0; run < kRuns; ++run) {
        std::vector<RequestRecord> done;
        while (static_cast<std::int64_t>(done.size()) < benchmark::kMaxRuns && !benchmark::narrow(done, kUntil)) {
            const double slow = share(random) < 0.05 ? 1.33 : 1.0;
            const Ns gap(static_cast<std::int64_t>(1e9 * slow * std::exp(spread(random))));
            done.push_back(good_request(2, 1ms, gap));
            done.back().server.output_tokens = 101;  // a hundred behind the first event
        }
        const Summary summary = metrics::summarize(run_of(done), {});
        const Distribution& decode = *summary.find("decode_tps");
        ASSERT_TRUE(decode.interval);
        covered += decode.interval->lower <= 100.0 && 100.0 <= decode.interval->upper ? 1 : 0;
        if (done.size() == static_cast<std::size_t>(benchmark::kMaxRuns)) continue;
        ++stopped;
        EXPECT_LE((decode.interval->upper - decode.interval->lower) / 2.0, kUntil * decode.median);
    }
    EXPECT_GE(covered, kRuns * 93 / 100);
    EXPECT_GE(stopped, kRuns / 2) << "most runs of such a machine need no 30 requests";
}

}  // namespace known_mistakes_test
}  // namespace velollm
