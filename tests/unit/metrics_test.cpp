#include <gtest/gtest.h>

#include "metrics/request.h"
#include "metrics/summarize.h"
#include "metrics/table.h"
#include "support/records.h"

namespace velollm::metrics {
namespace metrics_test {

using test::good_request;
using test::run_of;
using namespace std::chrono_literals;

MetricValue value_of(const RequestRecord& r, std::string_view key) {
    for (const Metric& m : metric_table())
        if (m.key == key) return m.of(r);
    return {{}, "no such metric"};
}

double number(const RequestRecord& r, std::string_view key) {
    return value_of(r, key).value.value_or(-1.0);
}

const Finding* find(const Summary& summary, std::string_view code) {
    for (const Finding& f : summary.findings)
        if (f.code == code) return &f;
    return nullptr;
}

TEST(RequestMetrics, OurOwnCountStandsWhereTheServerHasNone) {
    RequestRecord r = good_request(4, 100ms, 10ms);
    r.server.output_tokens.reset();
    r.server.hidden_tokens.reset();
    EXPECT_EQ(token_source(r), TokenSource::kChunks);
    EXPECT_EQ(output_tokens(r), 4);
    r.retokenised = 10;
    EXPECT_EQ(token_source(r), TokenSource::kRetokenised);
    EXPECT_EQ(output_tokens(r), 10);
    EXPECT_EQ(decode_tokens(r), 9);
    r.server.output_tokens = 8;
    EXPECT_EQ(token_source(r), TokenSource::kServer);
    EXPECT_EQ(output_tokens(r), 8);
}

TEST(RequestMetrics, PlainStream) {
    const RequestRecord r = good_request(64, 80ms, 20ms);
    EXPECT_EQ(number(r, "ttft_ms"), 80.0);
    EXPECT_EQ(number(r, "tpot_ms"), 20.0);
    EXPECT_DOUBLE_EQ(number(r, "decode_tps"), 50.0);
    EXPECT_EQ(number(r, "e2e_ms"), 80.0 + 63 * 20.0);
    EXPECT_EQ(number(r, "stall_ms"), 20.0);
}

TEST(RequestMetrics, PrefillTimeIsInOverallSpeedAndNotInDecodeSpeed) {
    RequestRecord r = good_request(101, 2s, 20ms);
    EXPECT_DOUBLE_EQ(number(r, "decode_tps"), 50.0);
    EXPECT_DOUBLE_EQ(number(r, "e2e_tps"), 101.0 / 4.0);
}

TEST(RequestMetrics, AFirstEventOfSeveralTokensIsNotCountedAsOne) {
    RequestRecord r;
    r.events = {{100ms, 5, TokenKind::kContent}};
    for (int i = 1; i <= 60; ++i) r.events.push_back({100ms + i * 1000ms / 60, 1, TokenKind::kContent});
    r.events.back().at = 1100ms;
    r.server.output_tokens = 65;
    EXPECT_DOUBLE_EQ(number(r, "decode_tps"), 60.0);
}

TEST(RequestMetrics, HiddenTokensAtTheEndDoNotRaiseDecodeSpeed) {
    RequestRecord r = good_request(51, 100ms, 20ms);
    r.server.output_tokens = 54;
    r.server.hidden_tokens = 3;
    EXPECT_DOUBLE_EQ(number(r, "decode_tps"), 50.0);
    EXPECT_EQ(output_tokens(r), 54);
}

TEST(RequestMetrics, OneTokenHasAFirstTokenTimeAndNoSpeed) {
    const RequestRecord r = good_request(1, 80ms, 0ms);
    EXPECT_EQ(number(r, "ttft_ms"), 80.0);
    for (const char* key : {"decode_tps", "tpot_ms", "stall_ms", "server_decode_tps"}) {
        EXPECT_EQ(value_of(r, key).value, std::nullopt) << key;
        EXPECT_FALSE(value_of(r, key).absent.empty()) << key;
    }
}

TEST(RequestMetrics, NoTokenHasNothingAndSaysWhy) {
    const RequestRecord r;
    for (const Metric& m : metric_table()) {
        if (m.pooled != nullptr) continue;
        EXPECT_EQ(m.of(r).value, std::nullopt) << m.key;
        EXPECT_FALSE(m.of(r).absent.empty()) << m.key;
    }
}

TEST(RequestMetrics, TheServersSpeedIsOverOneTokenLessThanItCounts) {
    RequestRecord r = good_request(64, 80ms, 10ms);
    r.server.eval = 630ms;
    EXPECT_DOUBLE_EQ(*server_decode_speed(r), 100.0);
    r.server.output_tokens = 1;
    EXPECT_EQ(server_decode_speed(r), std::nullopt);
}

TEST(RequestMetrics, PrefillNeedsTheCachedPartAndALongPrompt) {
    RequestRecord r = good_request(10, 1250ms, 10ms);  // a quarter of a second is not the prompt's
    r.server.prompt_tokens = 808;
    r.server.prompt_eval = 1s;
    EXPECT_EQ(value_of(r, "prefill_tps").value, std::nullopt) << "the cached part is unknown";
    r.server.cached_tokens = 8;
    EXPECT_DOUBLE_EQ(number(r, "prefill_tps"), 800.0);
    EXPECT_DOUBLE_EQ(number(r, "prefill_bound_tps"), 640.0);
    r.server.cached_tokens = 804;
    EXPECT_EQ(value_of(r, "prefill_tps").value, std::nullopt) << "4 tokens say nothing";
}

std::vector<double> pooled(const Metric& metric, const RequestRecord& r) {
    std::vector<double> out;
    metric.pooled(r, out);
    return out;
}

TEST(RequestMetrics, GapsSumUpToTheDecodeTimeWithoutTheFirstTokenTime) {
    const RequestRecord r = good_request(20, 700ms, 7ms);
    for (const Metric& m : metric_table()) {
        if (m.key != "icl_ms") continue;
        double sum = 0.0;
        for (const double gap : pooled(m, r)) sum += gap;
        EXPECT_DOUBLE_EQ(sum, 19 * 7.0);
    }
}

TEST(RequestMetrics, FourTokensInAnEventAreFourShortGaps) {
    RequestRecord r;
    for (int i = 0; i < 3; ++i) r.events.push_back({i * 40ms, 4, TokenKind::kContent});
    for (const Metric& m : metric_table()) {
        if (m.key == "itl_ms") {
            EXPECT_EQ(pooled(m, r), std::vector<double>(8, 10.0));
        }
        if (m.key == "icl_ms") {
            EXPECT_EQ(pooled(m, r), std::vector<double>(2, 40.0));
        }
    }
    r.events[1].tokens.reset();
    EXPECT_EQ(value_of(r, "itl_ms").absent, "the engine doesn't count the tokens of each event");
}

TEST(Summary, MedianWithExactIntervalFromSixSamplesOn) {
    std::vector<RequestRecord> requests;
    for (int i = 1; i <= 6; ++i) requests.push_back(good_request(11, i * 10ms, 10ms));
    const Summary six = summarize(run_of(requests), {});
    ASSERT_NE(six.find("ttft_ms"), nullptr);
    EXPECT_EQ(six.find("ttft_ms")->median, 35.0);
    ASSERT_TRUE(six.find("ttft_ms")->interval);
    EXPECT_EQ(six.find("ttft_ms")->interval->lower, 10.0);
    EXPECT_EQ(six.find("ttft_ms")->interval->upper, 60.0);
    EXPECT_EQ(six.find("ttft_ms")->samples, (std::vector<double>{10, 20, 30, 40, 50, 60}));
    EXPECT_EQ(six.verdict, Verdict::kValid);
    EXPECT_EQ(find(six, "too_few"), nullptr);
    requests.pop_back();
    const Summary five = summarize(run_of(requests), {});
    EXPECT_FALSE(five.find("ttft_ms")->interval);
    EXPECT_NE(find(five, "too_few"), nullptr);
}

TEST(Summary, ARequestWithoutAValueIsNamed) {
    const Summary summary = summarize(
        run_of({good_request(9, 100ms, 10ms), good_request(1, 100ms, 10ms), good_request(9, 100ms, 10ms)}), {});
    EXPECT_EQ(summary.find("decode_tps")->samples.size(), 2U);
    EXPECT_EQ(summary.find("decode_tps")->missing, (std::vector<std::size_t>{1}));
    EXPECT_TRUE(summary.find("ttft_ms")->missing.empty());
}

TEST(Summary, AFailedRequestIsCountedAndNeverAveraged) {
    RequestRecord failed;
    failed.outcome = Outcome::kError;
    failed.error = {ErrorCode::kFailed, "boom", ""};
    std::vector<RequestRecord> requests(40, good_request(10, 100ms, 10ms));
    requests.push_back(failed);
    const Summary summary = summarize(run_of(requests), {});
    EXPECT_EQ(summary.attempted, 41u);
    EXPECT_EQ(summary.samples.size(), 40u);
    EXPECT_EQ(summary.find("ttft_ms")->min, 100.0) << "no 0 of the failed one";
    ASSERT_NE(find(summary, "errors"), nullptr);
    EXPECT_EQ(find(summary, "errors")->level, Level::kSuspect);
    EXPECT_EQ(summary.verdict, Verdict::kSuspect);
    const Summary worse = summarize(run_of({requests[0], requests[1], failed}), {});
    EXPECT_EQ(worse.verdict, Verdict::kInvalid) << "a third failed";
}

TEST(Summary, NothingValidIsInvalidWithReasons) {
    RequestRecord failed;
    failed.outcome = Outcome::kTimeout;
    const Summary summary = summarize(run_of({failed}), {});
    EXPECT_EQ(summary.verdict, Verdict::kInvalid);
    EXPECT_EQ(summary.find("decode_tps"), nullptr);
    EXPECT_EQ(summary.why_absent("decode_tps"), "no valid request");
}

TEST(Summary, ARequestThatLoadedTheModelIsNoSample) {
    std::vector<RequestRecord> requests(12, good_request(10, 100ms, 10ms));
    requests[3].server.load = 500ms;
    requests[3].events.front().at = 1ms;
    const Summary summary = summarize(run_of(requests), {});
    ASSERT_NE(find(summary, "reloaded"), nullptr);
    EXPECT_EQ(find(summary, "reloaded")->request, 3u);
    EXPECT_EQ(summary.samples.size(), 11u);
    EXPECT_EQ(summary.find("ttft_ms")->min, 100.0);
    for (RequestRecord& r : requests) r.server.load = 40ms;  // Ollama 0.24 says so of a warm model
    requests[3].server.load = 43ms;
    EXPECT_EQ(find(summarize(run_of(requests), {}), "reloaded"), nullptr);
}

TEST(Summary, ACachedPromptIsNoSample) {
    std::vector<RequestRecord> requests(12, good_request(10, 100ms, 10ms));
    for (RequestRecord& r : requests) r.server.cached_tokens = 0;
    requests[1].server.cached_tokens = 6;
    const Summary summary = summarize(run_of(requests), {});
    EXPECT_NE(find(summary, "cached_prompt"), nullptr);
    EXPECT_EQ(summary.samples.size(), 11u);
}

TEST(Summary, APromptThatWasTooFastIsSuspectedOfTheCache) {
    std::vector<RequestRecord> requests(6, good_request(10, 100ms, 10ms));
    for (RequestRecord& r : requests) r.server.prompt_eval = 80ms;
    EXPECT_EQ(find(summarize(run_of(requests), {}), "cached_prompt_suspected"), nullptr);
    requests[2].server.prompt_eval = 11ms;
    const Summary summary = summarize(run_of(requests), {});
    ASSERT_NE(find(summary, "cached_prompt_suspected"), nullptr);
    EXPECT_EQ(find(summary, "cached_prompt_suspected")->request, 2u);
    EXPECT_EQ(summary.verdict, Verdict::kSuspect);
}

TEST(Summary, APromptWithMoreWordsThanTokensWasCut) {
    const std::string prompt =
        "a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd ee ff gg hh ii jj kk ll mm nn oo";
    const Summary cut = summarize(run_of({good_request(10, 100ms, 10ms)}), {.prompt = prompt});
    ASSERT_NE(find(cut, "prompt_truncated"), nullptr);
    EXPECT_EQ(cut.verdict, Verdict::kInvalid);
    const Summary whole = summarize(run_of({good_request(10, 100ms, 10ms)}), {.prompt = "a short one"});
    EXPECT_EQ(find(whole, "prompt_truncated"), nullptr);
}

TEST(Summary, AnAnswerThatEndsEarlyIsMarked) {
    RequestRecord r = good_request(40, 100ms, 10ms);
    r.max_tokens = 128;
    EXPECT_NE(find(summarize(run_of({r}), {}), "early_eos"), nullptr);
    r.max_tokens = 41;
    EXPECT_EQ(find(summarize(run_of({r}), {}), "early_eos"), nullptr) << "one token less is no news";
    r.max_tokens = 30;
    EXPECT_NE(find(summarize(run_of({r}), {}), "over_length"), nullptr);
}

TEST(Summary, FewEventsForManyTokensGiveBoundsOfTheSpeed) {
    RequestRecord r = good_request(24, 100ms, 10ms);
    r.server.output_tokens = r.max_tokens = 64;
    r.server.eval = 230ms;
    const Summary summary = summarize(run_of({r}), {});
    ASSERT_NE(find(summary, "first_chunk_unknown"), nullptr);
    // (64 - ceil(64/24)) / 0.23 s .. (64 - 1) / 0.23 s
    EXPECT_NE(find(summary, "first_chunk_unknown")->message.find("265.2 .. 273.9"), std::string::npos)
        << find(summary, "first_chunk_unknown")->message;
}

TEST(Summary, AClientThatDisagreesWithTheServerSaysSo) {
    RequestRecord r = good_request(64, 100ms, 10ms);
    EXPECT_EQ(find(summarize(run_of({r}), {}), "client_server_mismatch"), nullptr);
    r.server.eval = 600ms;  // 5 % faster than the client saw
    const Summary summary = summarize(run_of({r}), {});
    ASSERT_NE(find(summary, "client_server_mismatch"), nullptr);
    EXPECT_NE(find(summary, "client_server_mismatch")->message.find("-4.8 %"), std::string::npos)
        << find(summary, "client_server_mismatch")->message;
}

TEST(Summary, AServerThatLeavesPartOfItsTimeOutIsNoReasonForDoubt) {
    // Ollama 0.24: eval_duration without sampling, total_duration with it.
    RequestRecord r = good_request(64, 100ms, 10ms);
    r.server.eval = 610ms;
    r.server.prompt_eval = 70ms;
    r.server.load = 30ms;
    r.server.total = 70ms + 30ms + 632ms;
    const Summary explained = summarize(run_of({r}), {.prompt = {}, .gpu_share = {}, .engine = "Ollama"});
    ASSERT_NE(find(explained, "client_server_mismatch"), nullptr);
    EXPECT_EQ(find(explained, "client_server_mismatch")->level, Level::kNote);
    EXPECT_NE(find(explained, "client_server_mismatch")->message.find("Ollama's own decode speed reads 3.3 % higher"),
              std::string::npos)
        << find(explained, "client_server_mismatch")->message;
    r.server.total = 70ms + 30ms + 610ms;  // then it is the client that lost time
    EXPECT_EQ(find(summarize(run_of({r}), {}), "client_server_mismatch")->level, Level::kSuspect);
}

TEST(Summary, PartOnTheGpuIsMarked) {
    const auto run = run_of({good_request(10, 100ms, 10ms)});
    EXPECT_NE(find(summarize(run, {.prompt = {}, .gpu_share = 0.5}), "partial_offload"), nullptr);
    for (const double share : {0.0, 1.0})
        EXPECT_EQ(find(summarize(run, {.prompt = {}, .gpu_share = share}), "partial_offload"), nullptr);
}

TEST(Summary, OtherWorkOnTheMachineIsMarked) {
    auto run = run_of({good_request(10, 100ms, 10ms)});
    run.host = HostReport{.others_share = 0.09};
    EXPECT_EQ(find(summarize(run, {}), "background_load"), nullptr);
    run.host->others_share = 0.5;
    EXPECT_NE(find(summarize(run, {}), "background_load"), nullptr);
}

TEST(Summary, TheWorstTokenSourceSpeaksForTheRun) {
    RequestRecord counted = good_request(10, 100ms, 10ms);
    RequestRecord guessed = counted;
    guessed.server.output_tokens.reset();
    const Summary summary = summarize(run_of({counted, guessed}), {});
    EXPECT_EQ(summary.token_source, TokenSource::kChunks);
    EXPECT_NE(find(summary, "tokens_estimated"), nullptr);
}

TEST(Codes, EveryFindingHasItsRowInTheTable) {
    for (const char* code : {"errors", "reloaded", "too_few", "early_eos", "client_server_mismatch"}) {
        bool known = false;
        for (const Code& row : code_table()) known = known || row.code == code;
        EXPECT_TRUE(known) << code;
    }
}

}  // namespace metrics_test
}  // namespace velollm::metrics
