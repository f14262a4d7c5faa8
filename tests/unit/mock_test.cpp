#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mock/discovery.h"
#include "mock/http_request.h"
#include "mock/plan.h"
#include "mock/truth.h"
#include "serde/mock_script.h"
#include "support/trace.h"

namespace velollm::mock {
namespace {

constexpr std::int64_t kWall = 1'790'000'000'123'456'789;
constexpr std::int64_t kMs = 1'000'000;

Plan plan_of(const std::string& script, Wire wire, std::int64_t index = 0, const char* body = R"({"prompt":"a b c"})") {
    const auto program = serde::read_mock_script(script, "test");
    EXPECT_TRUE(program) << program.error().message;
    return make_plan(program->requests.at(0), wire, *read_asked(wire, body),
                     {.model = "m", .index = index, .wall_ns = kWall});
}

std::vector<std::string> pieces(const Plan& plan) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (const PlannedWrite& write : plan.writes) {
        out.push_back(plan.bytes.substr(begin, write.end - begin));
        begin = write.end;
    }
    return out;
}

std::vector<std::int64_t> token_times(const Plan& plan) {
    std::vector<std::int64_t> out;
    for (const PlannedWrite& write : plan.writes)
        if (write.tokens > 0) out.push_back(write.due_ns);
    return out;
}

/// Everything behind the header, without the coding of chunks.
std::string stream_of(const Plan& plan) {
    std::string body = plan.bytes.substr(plan.bytes.find("\r\n\r\n") + 4);
    std::string out;
    while (!body.empty()) {
        const std::size_t size = std::stoul(body, nullptr, 16);
        const std::size_t begin = body.find("\r\n") + 2;
        out += body.substr(begin, size);
        body = body.substr(begin + size + 2);
    }
    return out;
}

TEST(MockPlan, OneLineOfScriptIsSixtyFourTokens) {
    const Plan plan = plan_of(R"({"steps": [{"dt_ms": 100}, {"dt_ms": 20, "repeat": 63}], "load_ms": 7,
                                  "fixed_cost_ms": 3})",
                              Wire::kOllamaGenerate);
    const auto times = token_times(plan);
    ASSERT_EQ(times.size(), 64U);
    for (std::size_t i = 0; i < times.size(); ++i) EXPECT_EQ(times[i], (110 + 20 * static_cast<std::int64_t>(i)) * kMs);
    EXPECT_EQ(plan.writes.back().end, plan.bytes.size());
}

TEST(MockPlan, OllamaBytes) {
    const Plan plan = plan_of(R"({"steps": [{"dt_ms": 10, "text": "A\""}, {"dt_ms": 5, "k": 2}], "load_ms": 1,
                                  "finish": {"reason": "stop", "hidden_tokens": 1}})",
                              Wire::kOllamaGenerate);
    const auto parts = pieces(plan);
    ASSERT_EQ(parts.size(), 4U);
    EXPECT_EQ(parts[0],
              "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
              "5a\r\n{\"model\":\"m\",\"created_at\":\"2026-09-21T14:13:20.134456789Z\",\"response\":\"A\\\"\","
              "\"done\":false}\n\r\n");
    EXPECT_NE(parts[1].find("\"response\":\" word word\""), std::string::npos);
    EXPECT_NE(parts[2].find("\"done\":true,\"done_reason\":\"stop\",\"context\":[1,2],\"total_duration\":16000000,"
                            "\"load_duration\":1000000,\"prompt_eval_count\":3,\"prompt_eval_duration\":10000000,"
                            "\"eval_count\":4,\"eval_duration\":5000000}\n"),
              std::string::npos)
        << parts[2];
    EXPECT_EQ(parts[3], "0\r\n\r\n");
    EXPECT_EQ(plan.writes[1].tokens, 2U);
    EXPECT_EQ(plan.writes[1].events, 1U);
}

TEST(MockPlan, OpenaiBytes) {
    const Plan plan = plan_of(R"({"steps": [{"dt_ms": 1, "kind": "role"}, {"join": true, "text": "x"}, {"kind": "ping"},
                                  {"kind": "reasoning", "text": "r"}], "http": {"framing": "close"}})",
                              Wire::kOpenaiChat, 0, R"({"messages":[{"content":"hi you"}],"stream":true})");
    const auto parts = pieces(plan);
    const std::string tail = R"(],"created":1790000000,"id":"chatcmpl-mock0000000000000000000000000000","model":"m",)"
                             "\"system_fingerprint\":\"b1-mock\",\"object\":\"chat.completion.chunk\"}\n\n";
    ASSERT_EQ(parts.size(), 6U);
    EXPECT_EQ(parts[1],
              R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}})" +
                  tail + R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"x"}})" + tail);
    EXPECT_EQ(parts[2], ": ping\n\n");
    EXPECT_EQ(parts[3],
              R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"r"}})" + tail);
    EXPECT_EQ(parts[4], R"(data: {"choices":[{"finish_reason":"length","index":0,"delta":{}})" + tail);
    EXPECT_EQ(parts[5], "data: [DONE]\n\n");
    EXPECT_EQ(plan.end, PlanEnd::kClose);
}

TEST(MockPlan, UsageStandsWhereTheScriptPutsIt) {
    const char* asks = R"({"messages":[{"content":"a b"}],"stream":true,"stream_options":{"include_usage":true}})";
    const auto usages = [&](const std::string& at) {
        const std::string text = stream_of(plan_of(
            R"({"steps": [{"repeat": 2}], "finish": {"usage_at": ")" + at + "\"}}", Wire::kOpenaiChat, 0, asks));
        std::size_t n = 0;
        for (std::size_t i = text.find("\"usage\""); i != std::string::npos; i = text.find("\"usage\"", i + 1)) ++n;
        return std::pair(n, text.find("\"choices\":[],") != std::string::npos);
    };
    EXPECT_EQ(usages("none"), std::pair(std::size_t{0}, false));
    EXPECT_EQ(usages("last_choice"), std::pair(std::size_t{1}, false));
    EXPECT_EQ(usages("own"), std::pair(std::size_t{1}, true));
    EXPECT_EQ(usages("every"), std::pair(std::size_t{3}, false));
}

TEST(MockPlan, LlamaTimingsOldAndNew) {
    const auto timings = [](const char* quirk) {
        const std::string text = stream_of(plan_of(
            std::string(
                R"({"steps": [{"dt_ms": 30}, {"dt_ms": 10, "repeat": 4}], "prompt": {"cached": 1}, "quirks": {)") +
                quirk + "}}",
            Wire::kLlamaCompletion));
        return nlohmann::json::parse(text.substr(text.rfind("data: ") + 6)).at("timings");
    };
    EXPECT_EQ(timings("").at("predicted_per_second"), 100.0);
    EXPECT_EQ(timings("\"old_rate\": true").at("predicted_per_second"), 125.0);
    EXPECT_EQ(timings("").at("prompt_n"), 2);
    EXPECT_EQ(timings("").at("cache_n"), 1);
    EXPECT_EQ(timings("").at("prompt_ms"), 30.0);
}

TEST(MockPlan, SilentTokensRideOnTheNextEvent) {
    const Plan plan =
        plan_of(R"({"steps": [{"dt_ms": 1}, {"kind": "silent", "dt_ms": 1, "repeat": 2}, {"dt_ms": 1, "text": "u"}]})",
                Wire::kOllamaGenerate);
    ASSERT_EQ(token_times(plan), (std::vector<std::int64_t>{1 * kMs, 4 * kMs}));
    EXPECT_EQ(plan.writes[1].tokens, 3U);
    EXPECT_NE(plan.bytes.find("\"eval_count\":4"), std::string::npos);
}

TEST(MockPlan, CutsHoldsAndBreaks) {
    const Plan cut = plan_of(R"({"steps": [{"dt_ms": 1}], "tcp": {"split_writes": [3, 8], "split_gap_ms": 2}})",
                             Wire::kLlamaCompletion);
    ASSERT_GE(cut.writes.size(), 4U);
    EXPECT_EQ(cut.writes[1].end - cut.writes[0].end, 3U);
    EXPECT_EQ(cut.writes[2].end - cut.writes[1].end, 5U);
    EXPECT_EQ(cut.writes[3].due_ns - cut.writes[1].due_ns, 4 * kMs);
    EXPECT_EQ(cut.writes[1].tokens, 0U);
    EXPECT_EQ(cut.writes[3].tokens, 1U);

    const Plan held = plan_of(R"({"steps": [{"dt_ms": 1, "repeat": 4}], "tcp": {"hold_ms": 40, "hold_every": 2}})",
                              Wire::kOllamaGenerate);
    EXPECT_EQ(token_times(held), (std::vector<std::int64_t>{1 * kMs, 42 * kMs, 42 * kMs, 44 * kMs}));

    const Plan reset =
        plan_of(R"({"steps": [{"dt_ms": 1, "repeat": 4}], "finish": {"rst_after": 2}})", Wire::kOllamaGenerate);
    EXPECT_EQ(reset.end, PlanEnd::kReset);
    EXPECT_EQ(token_times(reset).size(), 2U);
    EXPECT_EQ(reset.bytes.find("\"done\":true"), std::string::npos);
    const Plan stalled = plan_of(R"({"steps": [{}], "finish": {"stall_after": 1}})", Wire::kOllamaGenerate);
    EXPECT_EQ(stalled.end, PlanEnd::kStall);
    const Plan failed = plan_of(R"({"steps": [{"repeat": 2}], "finish": {"error_after": 1}})", Wire::kOllamaGenerate);
    EXPECT_TRUE(stream_of(failed).ends_with("{\"error\":\"the mock was told to fail here\"}\n"));
    EXPECT_EQ(failed.end, PlanEnd::kKeep);
}

TEST(MockPlan, RatesGiveTheSteps) {
    const char* body = R"({"prompt":"a b c d","options":{"num_predict":5}})";
    const Plan plan = plan_of(R"({"rate_model": {"pp_tok_s": 100, "tg_tok_s": 50}})", Wire::kOllamaGenerate, 0, body);
    EXPECT_EQ(token_times(plan), (std::vector<std::int64_t>{40 * kMs, 60 * kMs, 80 * kMs, 100 * kMs, 120 * kMs}));
    const Plan drafted = plan_of(R"({"rate_model": {"tg_tok_s": 50, "draft": {"k": 3, "p_accept": 1}}})",
                                 Wire::kOllamaGenerate, 0, R"({"prompt":"a","options":{"num_predict":9}})");
    std::vector<std::uint32_t> tokens;
    for (const PlannedWrite& write : drafted.writes)
        if (write.tokens > 0) tokens.push_back(write.tokens);
    EXPECT_EQ(tokens, (std::vector<std::uint32_t>{1, 4, 4}));
}

TEST(MockPlan, DriftAndCacheFollowTheIndex) {
    const std::string script = R"({"steps": [{"dt_ms": 10}], "prompt": {"n": 9, "cached": 4, "cached_from": 1},
        "drift": {"per_request": 0.5, "slow_first": 1, "slow_factor": 3, "step_at": 2, "step_factor": 10}})";
    EXPECT_EQ(token_times(plan_of(script, Wire::kLlamaCompletion, 0)).at(0), 30 * kMs);
    EXPECT_EQ(token_times(plan_of(script, Wire::kLlamaCompletion, 1)).at(0), 15 * kMs);
    EXPECT_EQ(token_times(plan_of(script, Wire::kLlamaCompletion, 2)).at(0), 200 * kMs);
    EXPECT_NE(plan_of(script, Wire::kLlamaCompletion, 0).bytes.find("\"cache_n\":0"), std::string::npos);
    EXPECT_NE(plan_of(script, Wire::kLlamaCompletion, 1).bytes.find("\"cache_n\":4"), std::string::npos);
}

/// The keys of every event in their order, repeated ones once.
std::vector<std::string> shapes(const std::string& stream, bool sse) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < stream.size();) {
        const std::size_t end = stream.find('\n', at);
        std::string line = stream.substr(at, end - at);
        at = end + 1;
        if (sse && line.starts_with("data: ")) line = line.substr(6);
        if (line.empty()) continue;
        std::string shape = line;
        if (const auto json = nlohmann::ordered_json::parse(line, nullptr, false); json.is_object()) {
            shape.clear();
            for (const auto& [key, value] : json.items()) shape += key + " ";
        }
        if (out.empty() || out.back() != shape) out.push_back(shape);
    }
    return out;
}

TEST(MockPlan, StreamsLookLikeRecordedOnes) {
    struct Row {
        const char* trace;
        Wire wire;
        const char* script;
    };
    const Row rows[] = {
        {"ollama-0.32.15/generate_stream_length.jsonl", Wire::kOllamaGenerate, R"({"steps": [{"dt_ms": 1, "repeat": 9}],
                                                                               "load_ms": 1})"},
        {"ollama-0.32.15/chat_stream_length.jsonl", Wire::kOllamaChat, R"({"steps": [{"dt_ms": 1, "repeat": 9}],
                                                                       "load_ms": 1})"},
        {"llama-server-0.5.0/completion_sse_length.jsonl", Wire::kLlamaCompletion, R"({"steps": [{"repeat": 9}]})"},
        {"llama-server-0.5.0/chat_sse_usage_natural_stop.jsonl", Wire::kOpenaiChat,
         R"({"steps": [{"kind": "role"}, {"repeat": 9}], "quirks": {"openai_timings": true}})"},
        {"llama-server-0.5.0/v1_completions_sse_usage.jsonl", Wire::kOpenaiCompletions,
         R"({"steps": [{"repeat": 9}], "quirks": {"openai_timings": true}})"},
    };
    for (const Row& row : rows) {
        std::string recorded;
        for (const auto& [at, data] : test::read_trace(row.trace).chunks) recorded += data;
        const Plan plan =
            plan_of(row.script, row.wire, 0,
                    R"({"prompt":"a","messages":[],"stream":true,"stream_options":{"include_usage":true}})");
        const bool sse = row.wire != Wire::kOllamaGenerate && row.wire != Wire::kOllamaChat;
        EXPECT_EQ(shapes(stream_of(plan), sse), shapes(recorded, sse)) << row.trace;
    }
}

TEST(MockHttpRequest, ReadsWhatIsCompleteAndRefusesWhatIsNone) {
    const std::string text =
        "POST /a?clear=1 HTTP/1.1\r\nContent-Length: 3\r\nX-Y:  z \r\nConnection: close\r\n\r\nabcGET / HTTP/1.1\r\n";
    for (std::size_t n = 0; n < text.find("abc") + 3; ++n)
        EXPECT_EQ(parse_request(std::string_view(text).substr(0, n)).state, ParseState::kIncomplete) << n;
    const ParsedRequest parsed = parse_request(text);
    ASSERT_EQ(parsed.state, ParseState::kComplete);
    EXPECT_EQ(parsed.used, text.find("abc") + 3);
    EXPECT_EQ(parsed.request.path, "/a");
    EXPECT_EQ(parsed.request.query, "clear=1");
    EXPECT_EQ(parsed.request.body, "abc");
    EXPECT_EQ(parsed.request.header("x-y"), "z");
    EXPECT_FALSE(parsed.request.keep_alive);
    for (const char* garbage :
         {"\r\n\r\n", "GET /\r\n\r\n", "get / HTTP/1.1\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "GET / HTTP/2\r\n\r\n",
          "GET / HTTP/1.1\r\nnothing\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
          "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"})
        EXPECT_EQ(parse_request(garbage).state, ParseState::kBad) << garbage;
    EXPECT_EQ(parse_request(std::string(kMaxHeaderBytes + 1, 'x')).state, ParseState::kBad);
}

TEST(MockDiscovery, AnswersWhatClientsAskFirst) {
    const auto ask = [](const char* method, const char* path, const char* body = "") {
        const Plan plan = discover({.method = method, .path = path, .body = body}, {.model = "m", .wall_ns = kWall});
        return plan.bytes.substr(plan.bytes.find("\r\n\r\n") + 4);
    };
    EXPECT_EQ(ask("GET", "/api/version"), R"({"version":"0.32.15"})");
    EXPECT_EQ(ask("GET", "/api/ps"), R"({"models":[]})");
    EXPECT_EQ(ask("GET", "/health"), R"({"status":"ok"})");
    EXPECT_EQ(ask("POST", "/tokenize", R"({"content":"a b"})"), R"({"tokens":[1,2]})");
    EXPECT_EQ(ask("GET", "/x"), R"({"error":{"message":"File Not Found","type":"not_found_error","code":404}})");
    EXPECT_EQ(ask("GET", "/api/x"), "404 page not found");
}

TEST(MockTruth, LatenessIsRightWithinAFewPercent) {
    Lateness late;
    for (std::int64_t i = 1; i <= 1000; ++i) late.add(i * 1000);
    EXPECT_NEAR(static_cast<double>(late.quantile(0.5)), 500'000, 32'000);
    EXPECT_NEAR(static_cast<double>(late.quantile(0.99)), 990'000, 62'000);
    EXPECT_EQ(late.quantile(1), 1'000'000);
    EXPECT_EQ(Lateness().quantile(0.5), 0);
    late.add(std::int64_t{1} << 62);
    EXPECT_EQ(late.max_ns, std::int64_t{1} << 62);
}

TEST(MockTruth, KeepsTheNewest) {
    Truth truth;
    truth.keep = 2;
    for (std::int64_t i = 0; i < 5; ++i) truth.add({.index = i});
    EXPECT_EQ(truth.requests.front().index, 3);
    EXPECT_EQ(truth.dropped, 3U);
    EXPECT_EQ(truth.total_requests, 5U);
}

}  // namespace
}  // namespace velollm::mock
