#include "backend/http_backend.h"

#include <gtest/gtest.h>

#include "metrics/request.h"
#include "metrics/table.h"
#include "support/trace.h"

namespace velollm::backend {
namespace http_backend_test {

using test::Exchange;
using test::FakeClock;
using test::FakeTransport;
using test::replay;
using namespace std::chrono_literals;

std::string token(const char* text) {
    return fmt::format("{{\"response\":\"{}\",\"done\":false}}\n", text);
}

std::string final_record(int tokens, const char* reason = "length") {
    return fmt::format(
        "{{\"response\":\"\",\"done\":true,\"done_reason\":\"{}\",\"prompt_eval_count\":9,\"eval_count\":{},"
        "\"load_duration\":1000000,\"eval_duration\":1000000000}}\n",
        reason, tokens);
}

double metric(const RequestRecord& r, std::string_view key) {
    for (const metrics::Metric& m : metrics::metric_table())
        if (m.key == key) return m.of(r).value.value_or(-1.0);
    return -2.0;
}

TEST(OllamaStream, AnEmptyFirstEventIsNoToken) {
    const RequestRecord r =
        replay(ollama_dialect(),
               {.header = 5ms,
                .chunks = {{5ms, token("")}, {214ms, token("a")}, {224ms, token("b")}, {225ms, final_record(2)}}});
    EXPECT_EQ(metric(r, "ttft_ms"), 214.0);
    EXPECT_EQ(metric(r, "ttfb_ms"), 5.0);
    EXPECT_EQ(r.events.size(), 2u);
}

TEST(OllamaStream, ReasoningCountsForTheFirstTokenAndNotForTheFirstVisibleOne) {
    const RequestRecord r =
        replay(ollama_dialect(), {.header = 1ms,
                                  .chunks = {{100ms, "{\"response\":\"\",\"thinking\":\"hm\",\"done\":false}\n"},
                                             {900ms, token("a")},
                                             {910ms, final_record(2)}}});
    EXPECT_EQ(metric(r, "ttft_ms"), 100.0);
    EXPECT_EQ(metric(r, "ttfo_ms"), 900.0);
}

TEST(OllamaStream, DecodeSpeedIsTheClientsAndLeavesTheEndTokenOut) {
    // 65 texts 10 ms apart, then the end token, which the server counts: (66 - 1 - 1) / 0.64 s.
    Exchange e{.header = 80ms};
    for (int i = 0; i < 65; ++i) e.chunks.emplace_back(80ms + i * 10ms, token("x"));
    e.chunks.emplace_back(730ms, final_record(66, "stop"));
    const RequestRecord r = replay(ollama_dialect(), e, 100);
    EXPECT_DOUBLE_EQ(metric(r, "decode_tps"), 100.0);
    EXPECT_DOUBLE_EQ(metric(r, "tpot_ms"), 10.0);
    EXPECT_DOUBLE_EQ(metric(r, "server_decode_tps"), 65.0) << "n - 1 over the server's second, not n";
    EXPECT_EQ(metric(r, "e2e_ms"), 720.0);
    EXPECT_EQ(r.done, Ns(730ms));
}

TEST(OllamaStream, AStreamThatJustEndsIsTruncatedAndNoSuccess) {
    const RequestRecord r =
        replay(ollama_dialect(), {.header = 1ms, .chunks = {{10ms, token("a")}, {20ms, token("b")}}});
    EXPECT_EQ(r.outcome, Outcome::kTruncated);
    EXPECT_FALSE(r.error.hint.empty());
}

TEST(OllamaStream, AConnectionThatBreaksMidStreamIsTruncated) {
    Exchange e{.header = 1ms, .chunks = {{10ms, token("a")}}};
    e.how = {http::TransportFailure::kBroken, "transfer closed with outstanding read data remaining"};
    const RequestRecord r = replay(ollama_dialect(), e);
    EXPECT_EQ(r.outcome, Outcome::kTruncated);
    EXPECT_NE(r.error.message.find("ended before its answer did"), std::string::npos);
}

TEST(OllamaStream, AnErrorInsideASuccessfulStreamIsAnError) {
    const RequestRecord r =
        replay(ollama_dialect(),
               {.header = 1ms, .chunks = {{10ms, token("a")}, {20ms, "{\"error\":\"model runner has stopped\"}\n"}}});
    EXPECT_EQ(r.outcome, Outcome::kError);
    EXPECT_NE(r.error.message.find("model runner has stopped"), std::string::npos);
}

TEST(OllamaStream, WhatIsNoJsonIsAnErrorThatShowsIt) {
    const RequestRecord r = replay(ollama_dialect(), {.header = 1ms, .chunks = {{10ms, "<html>busy</html>\n"}}});
    EXPECT_EQ(r.outcome, Outcome::kError);
    EXPECT_NE(r.error.message.find("<html>"), std::string::npos);
}

TEST(OllamaStream, SuccessWithoutATokenIsEmpty) {
    EXPECT_EQ(replay(ollama_dialect(), {.header = 1ms, .chunks = {{10ms, final_record(1, "stop")}}}).outcome,
              Outcome::kEmpty);
}

TEST(OllamaStream, ALastLineWithoutItsLineFeedCounts) {
    std::string last = final_record(1);
    last.pop_back();
    EXPECT_EQ(replay(ollama_dialect(), {.header = 1ms, .chunks = {{10ms, token("a")}, {11ms, last}}}).outcome,
              Outcome::kOk);
}

TEST(OllamaStream, AFieldThatIsLeftOutIsUnknownAndNotZero) {
    const RequestRecord r =
        replay(ollama_dialect(),
               {.header = 1ms, .chunks = {{10ms, token("a")}, {11ms, "{\"done\":true,\"done_reason\":\"length\"}\n"}}});
    EXPECT_EQ(r.outcome, Outcome::kOk);
    EXPECT_EQ(r.server.prompt_tokens, std::nullopt);
    EXPECT_EQ(r.server.output_tokens, std::nullopt);
    EXPECT_EQ(metrics::token_source(r), TokenSource::kChunks);
}

TEST(OllamaStream, ToolCallsAreTokens) {
    const RequestRecord r = replay(
        ollama_dialect(),
        {.header = 1ms,
         .chunks = {
             {50ms,
              R"({"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f"}}]},"done":false})"
              "\n"},
             {60ms, final_record(9)}}});
    EXPECT_EQ(metric(r, "ttft_ms"), 50.0);
    EXPECT_EQ(metric(r, "ttfo_ms"), -1.0);
}

TEST(OllamaStream, PatienceCountsFromTheSendingAndNotFromTheWaitForAConnection) {
    // 40 s to connect and 40 s to the first token: each below the minute that replay() allows.
    const RequestRecord r = replay(
        ollama_dialect(), {.sending = 40s, .header = 80s, .chunks = {{80s, token("a")}, {81s, final_record(1)}}});
    EXPECT_EQ(r.outcome, Outcome::kOk);
    ASSERT_FALSE(r.events.empty());
    EXPECT_EQ(r.events.front().at, Ns(40s)) << "connecting is no part of the time to first token";
}

TEST(OllamaRequest, CarriesTheOptionsAndForbidsSilentTruncation) {
    Target target = test::target_of(ollama_dialect());
    target.spec.options = {.num_ctx = 4096, .num_thread = 2, .keep_alive = "5m"};
    const http::HttpRequest request = ollama_dialect().generate(target, {.text = "a\"b", .max_tokens = 7, .seed = 42});
    EXPECT_EQ(request.url, "http://localhost:11434/api/generate");
    EXPECT_EQ(request.body,
              R"({"model":"smollm2:135m","prompt":"a\"b","stream":true,"truncate":false,"keep_alive":"5m",)"
              R"("options":{"num_predict":7,"temperature":0,"seed":42,"num_ctx":4096,"num_thread":2}})");
    target.spec.endpoint = "chat";
    target.spec.options = {.keep_alive = "-1"};
    const http::HttpRequest chat = ollama_dialect().generate(target, {.text = "x", .max_tokens = 7, .seed = 42});
    EXPECT_EQ(chat.url, "http://localhost:11434/api/chat");
    EXPECT_EQ(chat.body,
              R"({"model":"smollm2:135m","messages":[{"role":"user","content":"x"}],"stream":true,"truncate":false,)"
              R"("keep_alive":-1,"options":{"num_predict":7,"temperature":0,"seed":42}})");
}

/// describe() against replies in order; the error, or an empty one.
Error describe_error(const Dialect& dialect, std::deque<Exchange> script) {
    FakeClock clock;
    auto transport = std::make_unique<FakeTransport>(clock);
    transport->script = std::move(script);
    const auto backend =
        make_http_backend(dialect, test::target_of(dialect, "smolm2:135m"), std::move(transport), clock);
    const auto info = backend->describe();
    return info ? Error{} : info.error();
}

Exchange reply(int status, std::string body) {
    return {.status = status, .header = 1ms, .chunks = {{1ms, std::move(body)}}};
}

TEST(OllamaDescribe, AMissingModelNamesTheNearestOnes) {
    const Error error = describe_error(
        ollama_dialect(),
        {reply(200, R"({"version":"0.32.15"})"), reply(404, R"({"error":"model 'smolm2:135m' not found"})"),
         reply(200, R"({"models":[{"name":"llama3.2:3b"},{"name":"smollm2:135m"}]})")});
    EXPECT_EQ(error.code, ErrorCode::kModelNotFound);
    EXPECT_EQ(error.message, "Model not found: smolm2:135m");
    EXPECT_NE(error.hint.find("ollama pull smolm2:135m"), std::string::npos);
    EXPECT_LT(error.hint.find("smollm2:135m"), error.hint.find("llama3.2:3b")) << error.hint;
}

TEST(OllamaDescribe, NobodyListening) {
    const Error error = describe_error(ollama_dialect(), {});
    EXPECT_EQ(error.code, ErrorCode::kUnreachable);
    EXPECT_EQ(error.message, "Ollama is not running at http://localhost:11434");
    for (const char* way : {"ollama serve", "systemctl status ollama", "velollm benchmark -b embedded"})
        EXPECT_NE(error.hint.find(way), std::string::npos) << way;
}

TEST(OllamaDescribe, ALlamaServerAtTheAddressIsRecognised) {
    const Error error = describe_error(
        ollama_dialect(), {reply(404, R"({"error":{"message":"File Not Found","type":"not_found_error","code":404}})"),
                           reply(200, R"({"status":"ok"})")});
    EXPECT_EQ(error.code, ErrorCode::kFailed);
    EXPECT_NE(error.message.find("Not an Ollama server"), std::string::npos);
    EXPECT_NE(error.hint.find("-b llamacpp"), std::string::npos);
}

TEST(OllamaDescribe, AServerThatNeverAnswersIsGivenUpWithinSeconds) {
    FakeClock clock;
    const TimePoint begin = clock.now();
    auto transport = std::make_unique<FakeTransport>(clock);
    transport->script.push_back({.status = 0, .never_ends = true});
    const auto backend =
        make_http_backend(ollama_dialect(), test::target_of(ollama_dialect()), std::move(transport), clock);
    const auto info = backend->describe();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code, ErrorCode::kUnreachable);
    EXPECT_LE(clock.now() - begin, Ns(10s));
}

TEST(LlamaServerDescribe, WaitsWhileTheModelLoadsAndLearnsTheTemplate) {
    FakeClock clock;
    auto owned = std::make_unique<FakeTransport>(clock);
    FakeTransport& transport = *owned;
    const char* loading = R"({"error":{"message":"Loading model","type":"unavailable_error","code":503}})";
    transport.script = {
        reply(503, loading), reply(503, loading),
        reply(200,
              R"({"default_generation_settings":{"n_ctx":2048},"total_slots":4,"model_alias":"m","build_info":"b1"})"),
        reply(200, R"({"data":[{"meta":{"n_params":134515008,"size":96576768,"ftype":"Q4_1"}}]})"),
        reply(200, R"({"prompt":"<user>VELOLLM-MARK<end>"})")};
    const auto backend =
        make_http_backend(llama_server_dialect(), test::target_of(llama_server_dialect(), ""), std::move(owned), clock);
    const auto info = backend->describe();
    ASSERT_TRUE(info);
    EXPECT_EQ(info->version, "b1");
    EXPECT_EQ(info->parameters, 134515008);
    transport.script = {reply(200, "data: {\"content\":\"\",\"stop\":true}\n\n")};
    load::run_load(load::closed_loop(1, 1), {{.text = "hello", .max_tokens = 4}}, *backend, clock, 1s, {});
    EXPECT_NE(transport.requests.back().body.find(R"("prompt":"<user>hello<end>")"), std::string::npos);
    EXPECT_NE(transport.requests.back().body.find(R"("cache_prompt":false)"), std::string::npos);
}

}  // namespace http_backend_test
}  // namespace velollm::backend
