#include <fmt/core.h>
#include <gtest/gtest.h>

#include "metrics/request.h"
#include "support/trace.h"

namespace velollm::backend {
namespace openai_test {

using test::Exchange;
using test::FakeClock;
using test::FakeTransport;
using test::read_trace;
using namespace std::chrono_literals;

constexpr const char* kKey = "sk-secret-123456";

std::string event(const std::string& json) {
    return "data: " + json + "\n\n";
}

std::string delta(const std::string& fields, const std::string& more = "") {
    return event(fmt::format(R"({{"choices":[{{"index":0,"delta":{{{}}},"finish_reason":null}}]{}}})", fields, more));
}

std::string content(const std::string& text, const std::string& more = "") {
    return delta(fmt::format(R"("content":"{}")", text), more);
}

std::string finish(const std::string& reason, const std::string& more = "") {
    return event(fmt::format(R"({{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{}"}}]{}}})", reason, more));
}

std::string usage(int prompt, int completion) {
    return fmt::format(R"(,"usage":{{"prompt_tokens":{},"completion_tokens":{}}})", prompt, completion);
}

std::string usage_only(int prompt, int completion) {
    return event(R"({"choices":[])" + usage(prompt, completion) + "}");
}

const std::string kDone = event("[DONE]");

Exchange stream(const std::vector<std::string>& events) {
    Exchange exchange{.header = 1ms};
    Ns at = 10ms;
    for (const std::string& bytes : events) exchange.chunks.emplace_back(at += 10ms, bytes);
    return exchange;
}

RequestRecord replay(const std::vector<std::string>& events) {
    return test::replay(openai_dialect(), stream(events));
}

TEST(OpenAiStream, CountsAndTimesThatCannotBeAreAbsent) {
    const RequestRecord r = replay({content("a", R"(,"usage":{"completion_tokens":5})"),
                                    finish("length", R"(,"usage":{"completion_tokens":-9223372036854775808})"), kDone});
    EXPECT_EQ(r.server.output_tokens, 5);
    EXPECT_EQ(r.server.hidden_tokens, 0);
    const RequestRecord timed = replay(
        {content("a"), finish("length", R"(,"timings":{"prompt_n":7,"cache_n":9223372036854775807,"prompt_ms":1e300})"),
         kDone});
    EXPECT_EQ(timed.server.prompt_tokens, 7);
    EXPECT_EQ(timed.server.cached_tokens, std::nullopt);
    EXPECT_EQ(timed.server.prompt_eval, std::nullopt);
    const RequestRecord fewer =
        replay({content("a", R"(,"usage":{"completion_tokens":5})"), finish("length", usage(1, 3)), kDone});
    EXPECT_EQ(fewer.server.hidden_tokens, std::nullopt) << "fewer in all than in the events: none is hidden";
}

TEST(OpenAiStream, ARoleAndAnEmptyDeltaAreNoTokens) {
    const RequestRecord r =
        replay({delta(R"("role":"assistant","content":null)"), delta(R"("role":"assistant","content":"")"), delta(""),
                content("a"), content("b"), finish("length"), usage_only(9, 2), kDone});
    EXPECT_EQ(r.outcome, Outcome::kOk);
    ASSERT_EQ(r.events.size(), 2u);
    EXPECT_EQ(r.events.front().at, Ns(50ms));
    EXPECT_EQ(r.server.prompt_tokens, 9);
    EXPECT_EQ(r.server.output_tokens, 2);
    EXPECT_EQ(r.server.hidden_tokens, std::nullopt);
    EXPECT_EQ(r.server.finish, FinishReason::kLength);
    EXPECT_EQ(r.done, Ns(80ms)) << "the counts are the end of the answer";
    EXPECT_EQ(metrics::token_source(r), TokenSource::kServer);
}

TEST(OpenAiStream, CountsMayStandOnTheLastChoice) {
    const RequestRecord r = replay({content("a"), content("b"), finish("stop", usage(9, 3)), kDone});
    EXPECT_EQ(r.server.output_tokens, 3);
    EXPECT_EQ(r.server.hidden_tokens, 1) << "the end token";
    EXPECT_EQ(r.server.finish, FinishReason::kStop);
    EXPECT_EQ(metrics::token_source(r), TokenSource::kServer);
}

TEST(OpenAiStream, CountsBesideTheLastTextAreNotThatTextsOwn) {
    const RequestRecord r = replay({content("a"), content("b"), content("c", usage(9, 7)), finish("length"), kDone});
    EXPECT_EQ(r.server.output_tokens, 7);
    EXPECT_EQ(r.events.back().tokens, std::nullopt);
    EXPECT_EQ(r.server.hidden_tokens, std::nullopt);
}

TEST(OpenAiStream, CountsInEveryChunkAreARunningCount) {
    const RequestRecord r = replay({delta(R"("role":"assistant","content":"")", usage(9, 0)), content("a", usage(9, 1)),
                                    content("bcd", usage(9, 4)), finish("stop", usage(9, 5)), usage_only(9, 5), kDone});
    ASSERT_EQ(r.events.size(), 2u);
    EXPECT_EQ(r.events[0].tokens, 1);
    EXPECT_EQ(r.events[1].tokens, 3);
    EXPECT_EQ(r.server.hidden_tokens, 1) << "the end token";
    EXPECT_EQ(metrics::token_source(r), TokenSource::kRunningCount);
}

TEST(OpenAiStream, NullCountsInTheChunksAreNone) {
    const RequestRecord r =
        replay({content("a", R"(,"usage":null)"), finish("length", R"(,"usage":null)"), usage_only(9, 1), kDone});
    EXPECT_EQ(r.events.front().tokens, std::nullopt);
    EXPECT_EQ(r.server.output_tokens, 1);
}

TEST(OpenAiStream, ZeroesBesideTextAreNoCounts) {
    const RequestRecord r = replay({content("a", usage(0, 0)), content("b", usage(0, 0)), finish("length"), kDone});
    EXPECT_EQ(r.events.front().tokens, std::nullopt);
    EXPECT_EQ(r.server.output_tokens, std::nullopt);
    EXPECT_EQ(r.server.prompt_tokens, std::nullopt);
}

TEST(OpenAiStream, WithoutCountsTheyAreUnknownAndNotZero) {
    const RequestRecord r = replay({content("a"), finish("length"), kDone});
    EXPECT_EQ(r.outcome, Outcome::kOk);
    EXPECT_EQ(r.server.output_tokens, std::nullopt);
    EXPECT_EQ(r.server.prompt_tokens, std::nullopt);
    EXPECT_EQ(r.server.cached_tokens, std::nullopt);
    EXPECT_EQ(r.server.reasoning_tokens, std::nullopt);
    EXPECT_EQ(metrics::token_source(r), TokenSource::kChunks);
}

TEST(OpenAiStream, ReasoningAndToolCallsAreTokensOfTheirOwnKind) {
    const RequestRecord r =
        replay({delta(R"("content":null,"reasoning_content":"hm")"), delta(R"("reasoning":"hm","content":"")"),
                delta(R"("tool_calls":[{"index":0,"function":{"name":"look","arguments":""}}])"),
                delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{}"}}])"), content("x"),
                finish("tool_calls"), kDone});
    ASSERT_EQ(r.events.size(), 5u);
    const TokenKind kinds[] = {TokenKind::kReasoning, TokenKind::kReasoning, TokenKind::kToolCall, TokenKind::kToolCall,
                               TokenKind::kContent};
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(r.events[i].kind, kinds[i]) << i;
    EXPECT_EQ(r.server.finish, FinishReason::kOther);
}

TEST(OpenAiStream, DetailsOfTheCounts) {
    const RequestRecord r = replay(
        {content("a"), finish("length"),
         event(R"({"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":12,)"
               R"("prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":5}}})"),
         kDone});
    EXPECT_EQ(r.server.cached_tokens, 64);
    EXPECT_EQ(r.server.reasoning_tokens, 5);
    const RequestRecord deepseek =
        replay({content("a"),
                finish("stop", R"(,"usage":{"prompt_tokens":90,"completion_tokens":12,"prompt_cache_hit_tokens":32})"),
                kDone});
    EXPECT_EQ(deepseek.server.cached_tokens, 32);
    const RequestRecord groq = replay(
        {content("a"), finish("stop", R"(,"x_groq":{"usage":{"prompt_tokens":90,"completion_tokens":12}})"), kDone});
    EXPECT_EQ(groq.server.output_tokens, 12);
    EXPECT_EQ(groq.server.prompt_tokens, 90);
}

TEST(OpenAiStream, PlainCompletionsHaveTheirTextElsewhere) {
    const RequestRecord r = replay({event(R"({"choices":[{"text":"a","index":0,"finish_reason":null}]})"),
                                    event(R"({"choices":[{"text":"","index":0,"finish_reason":"length"}]})"), kDone});
    EXPECT_EQ(r.events.size(), 1u);
    EXPECT_EQ(r.outcome, Outcome::kOk);
}

TEST(OpenAiStream, MayLackItsMarkAtTheEndOnceTheTextIsOver) {
    EXPECT_EQ(replay({content("a"), finish("length")}).outcome, Outcome::kOk);
    EXPECT_EQ(replay({content("a")}).outcome, Outcome::kTruncated);
    EXPECT_EQ(replay({delta(R"("role":"assistant")")}).outcome, Outcome::kTruncated);
    EXPECT_EQ(replay({finish("stop"), kDone}).outcome, Outcome::kEmpty);
}

TEST(OpenAiStream, AnErrorInsideIsAnErrorWithoutTheKey) {
    FakeClock clock;
    auto transport = std::make_unique<FakeTransport>(clock);
    transport->script.push_back(
        stream({content("a"), event(fmt::format(R"({{"error":{{"message":"overloaded, {}"}}}})", kKey)), kDone}));
    Target target = test::target_of(openai_dialect());
    target.api_key = kKey;
    const auto backend = make_http_backend(openai_dialect(), target, std::move(transport), clock);
    const velollm::Run run =
        load::run_load(load::closed_loop(1, 1), {{.text = "hi", .max_tokens = 5}}, *backend, clock, 60s, {});
    EXPECT_EQ(run.requests[0].outcome, Outcome::kError);
    EXPECT_NE(run.requests[0].error.message.find("overloaded, [key]"), std::string::npos)
        << run.requests[0].error.message;
    EXPECT_EQ(replay({event(R"({"error":null,"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]})")}).outcome,
              Outcome::kOk);
}

TEST(OpenAiStream, RecordedRepliesOfLlamaServerAndOllama) {
    const auto give = [](const char* file) { return test::replay(openai_dialect(), read_trace(file)); };
    const RequestRecord chat = give("llama-server-0.5.0/chat_sse_usage_natural_stop.jsonl");
    EXPECT_EQ(chat.outcome, Outcome::kOk);
    EXPECT_EQ(chat.server.output_tokens, 8);
    EXPECT_EQ(chat.server.prompt_tokens, 43);
    EXPECT_EQ(chat.server.cached_tokens, 0);
    EXPECT_EQ(chat.server.eval, Ns(56595us));
    const RequestRecord counted = give("llama-server-0.5.0/chat_sse_timings_per_token.jsonl");
    EXPECT_EQ(metrics::token_source(counted), TokenSource::kRunningCount);
    EXPECT_EQ(counted.server.output_tokens, 12);
    EXPECT_EQ(counted.server.hidden_tokens, 0);
    EXPECT_EQ(counted.server.prompt_tokens, 34);
    EXPECT_EQ(counted.server.cached_tokens, 33);
    const RequestRecord plain = give("llama-server-0.5.0/v1_completions_sse_usage.jsonl");
    EXPECT_EQ(plain.server.output_tokens, 8);
    EXPECT_EQ(plain.events.size(), 8u);
    const RequestRecord drafted = give("llama-server-0.5.0/spec_draft_simple_chat_sse.jsonl");
    EXPECT_EQ(drafted.server.draft_tokens, 6);
    EXPECT_EQ(drafted.server.accepted_tokens, 6);
    EXPECT_EQ(give("ollama-0.32.15/openai_chat_stream_usage.jsonl").server.output_tokens, 16);
    EXPECT_EQ(give("ollama-0.24.0/openai_chat_stream_usage.jsonl").outcome, Outcome::kOk);
}

TEST(LlamaServerChat, AsksForCountsAndAFixedAmountOfWork) {
    Target target{.spec = {.backend = "llamacpp", .endpoint = "chat"}};
    target.base = wire::parse_url("http://localhost:8080", 0).value();
    const http::HttpRequest request =
        llama_server_dialect(target.spec).generate(target, {.text = "Hi", .max_tokens = 7, .seed = 3});
    EXPECT_EQ(request.url, "http://localhost:8080/v1/chat/completions");
    EXPECT_TRUE(request.fresh);
    EXPECT_EQ(request.body, R"({"messages":[{"role":"user","content":"Hi"}],"max_tokens":7,"temperature":0,"seed":3,)"
                            R"("ignore_eos":true,"cache_prompt":false,"stream":true,"timings_per_token":true})");
    const RequestRecord r = test::replay(llama_server_dialect(target.spec),
                                         read_trace("llama-server-0.5.0/chat_sse_timings_per_token.jsonl"));
    EXPECT_EQ(metrics::token_source(r), TokenSource::kRunningCount);
}

TEST(OpenAiBase, IsTheSameWithAndWithoutItsV1) {
    const auto base = [](const char* url) { return openai_base(wire::parse_url(url, 8000).value()).text(); };
    for (const char* url : {"http://host", "http://host/", "http://host/v1", "http://host/v1/",
                            "http://host/v1/chat/completions", "http://host/v1/completions"})
        EXPECT_EQ(base(url), "http://host:80/v1") << url;
    EXPECT_EQ(base("host"), "http://host:8000/v1");
    EXPECT_EQ(base("https://openrouter.ai/api/v1"), "https://openrouter.ai:443/api/v1");
}

/// A server whose answers are a script, and what it was asked.
struct Described {
    Result<TargetInfo> info;
    std::vector<http::HttpRequest> requests;
};

Described describe(std::vector<std::pair<int, std::string>> answers, TargetSpec spec = {},
                   const std::string& host = "localhost") {
    FakeClock clock;
    auto transport = std::make_unique<FakeTransport>(clock);
    FakeTransport& asked = *transport;
    for (auto& [status, body] : answers)
        transport->script.push_back({.status = status, .chunks = {{1ms, std::move(body)}}});
    spec.backend = "openai";
    Target target{.spec = std::move(spec)};
    target.base = openai_base(wire::parse_url("http://" + host + ":8000", 0).value());
    target.api_key = kKey;
    const auto backend = make_http_backend(openai_dialect(), target, std::move(transport), clock);
    auto info = backend->describe();
    return {std::move(info), asked.requests};
}

const char* kOneModel = R"({"data":[{"id":"m","owned_by":"vllm","max_model_len":4096}]})";

bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

TEST(OpenAiDescribe, TakesTheOnlyModelAndAllFieldsThatAreAccepted) {
    const Described d = describe({{200, kOneModel}, {200, "data: [DONE]\n\n"}});
    ASSERT_TRUE(d.info) << d.info.error().message;
    EXPECT_EQ(d.info->model, "m");
    EXPECT_EQ(d.info->settings.at("owned_by"), "vllm");
    EXPECT_EQ(d.info->settings.at("num_ctx"), "4096");
    EXPECT_EQ(d.info->settings.at("ignore_eos"), "accepted");
    ASSERT_EQ(d.requests.size(), 2u);
    EXPECT_EQ(d.requests[0].url, "http://localhost:8000/v1/models");
    EXPECT_EQ(d.requests[1].url, "http://localhost:8000/v1/chat/completions");
    EXPECT_TRUE(has(d.requests[1].body, R"("continuous_usage_stats":true)")) << d.requests[1].body;
    for (const http::HttpRequest& request : d.requests)
        EXPECT_EQ(request.headers, std::vector<std::string>{"Authorization: Bearer " + std::string(kKey)});
    EXPECT_TRUE(d.info->notes.empty());
}

TEST(OpenAiDescribe, AsksForLessUntilTheServerAgrees) {
    const Described d =
        describe({{200, kOneModel},
                  {400, R"({"error":{"message":"Unrecognized request argument: ignore_eos"}})"},
                  {400, R"({"error":{"message":"'max_tokens' is not supported. Use 'max_completion_tokens'"}})"},
                  {400, R"({"error":{"message":"Unsupported value: 'temperature'"}})"},
                  {422, R"({"detail":"stream_options"})"},
                  {200, "data: [DONE]\n\n"}});
    ASSERT_TRUE(d.info) << d.info.error().message;
    const std::string& last = d.requests.back().body;
    EXPECT_FALSE(has(last, "ignore_eos") || has(last, "min_tokens") || has(last, "temperature") ||
                 has(last, "stream_options") || has(last, "max_tokens"))
        << last;
    EXPECT_TRUE(has(last, R"("max_completion_tokens":1)")) << last;
    EXPECT_EQ(d.info->settings.at("length_field"), "max_completion_tokens");
    EXPECT_EQ(d.info->settings.at("ignore_eos"), "refused");
    EXPECT_EQ(d.info->settings.at("include_usage"), "refused");
    EXPECT_EQ(d.info->notes.size(), 3u);
}

TEST(OpenAiDescribe, ARefusalThatStaysIsToldWithoutTheKey) {
    const std::string echo = fmt::format(R"({{"error":{{"message":"no, {}"}}}})", kKey);
    const Described d = describe({{200, kOneModel}, {500, echo}});
    ASSERT_FALSE(d.info);
    EXPECT_TRUE(has(d.info.error().message, "refused (500): no, [key]")) << d.info.error().message;
    const Described key = describe({{401, echo}});
    ASSERT_FALSE(key.info);
    EXPECT_TRUE(has(key.info.error().message, "(401): no, [key]"));
    EXPECT_TRUE(has(key.info.error().hint, "--api-key-env"));
}

TEST(OpenAiDescribe, AKeyAcrossTheCutOfALongTextIsBlottedOutToo) {
    const std::string echo = fmt::format(R"({{"error":{{"message":"{}{}"}}}})", std::string(190, 'x'), kKey);
    const Described d = describe({{403, echo}});
    EXPECT_FALSE(has(d.info.error().message, "sk-")) << d.info.error().message;
    const Described page = describe({{200, std::string(50, 'x') + kKey}});
    EXPECT_FALSE(has(page.info.error().message, "sk-")) << page.info.error().message;
    EXPECT_TRUE(has(page.info.error().message, "No OpenAI-compatible server"));
}

TEST(OpenAiDescribe, AListIsNotNeededWhereTheModelIsNamed) {
    EXPECT_TRUE(describe({{404, "no"}, {200, "data: [DONE]\n\n"}}, {.model = "x"}).info);
    EXPECT_EQ(describe({{405, "no"}}).info.error().code, ErrorCode::kUsage);
}

TEST(OpenAiDescribe, AWrongNameIsAnswered) {
    const char* two = R"({"data":[{"id":"llama-8b"},{"id":"qwen-7b"}]})";
    const Described d = describe({{200, two}}, {.model = "llama-9b"});
    EXPECT_EQ(d.info.error().code, ErrorCode::kModelNotFound);
    EXPECT_EQ(d.info.error().message, "Model not found: llama-9b");
    EXPECT_TRUE(has(d.info.error().hint, "llama-8b"));
    EXPECT_EQ(describe({{200, two}}).info.error().code, ErrorCode::kUsage) << "which of the two?";
}

TEST(OpenAiDescribe, ANewAddressAndADistantServerAreTold) {
    EXPECT_TRUE(has(describe({{301, "moved"}}).info.error().hint, "--url"));
    const Described d = describe({{200, kOneModel}, {200, "data: [DONE]\n\n"}}, {}, "example.org");
    ASSERT_EQ(d.info->notes.size(), 2u);
    EXPECT_TRUE(has(d.info->notes[0], "network"));
    EXPECT_TRUE(has(d.info->notes[1], "unencrypted"));
}

TEST(OpenAiDescribe, PlainCompletionsAreAskedForWithAPrompt) {
    const Described d = describe({{200, kOneModel}, {200, "data: [DONE]\n\n"}}, {.endpoint = "completions"});
    EXPECT_EQ(d.requests[1].url, "http://localhost:8000/v1/completions");
    EXPECT_TRUE(has(d.requests[1].body, R"("prompt":"Hi")")) << d.requests[1].body;
}

}  // namespace openai_test
}  // namespace velollm::backend
