#include "serde/mock_script.h"

#include <gtest/gtest.h>

#include <string>

namespace velollm::serde {
namespace {

std::string error_of(const char* json) {
    const auto program = read_mock_script(json, "s.json");
    return program ? "" : program.error().message;
}

TEST(MockScript, ReadsEveryPart) {
    const auto program = read_mock_script(R"({
        "model": "m", "wire": "ollama_chat", "capacity": {"slots": 2, "queue": 3, "loading_until_ms": 4},
        "http": {"framing": "close", "header_delay_ms": "with_first_token", "status": 429, "keep_alive": false},
        "tcp": {"nodelay": false, "split_writes": [1, 5], "split_gap_ms": 0.5, "hold_ms": 40, "hold_every": 3},
        "prompt": {"n": 7, "reported": 5, "cached": 2, "cached_from": 1}, "load_ms": 9, "fixed_cost_ms": 0.25,
        "steps": [{"kind": "silent", "k": 3, "dt_ms": 1}, {"repeat": 64, "dt_ms": 20, "text": "x"},
                  {"kind": "empty", "bytes": "AP8="}],
        "finish": {"reason": "stop", "usage_at": "every", "done_marker": false, "hidden_tokens": 1, "rst_after": 4},
        "drift": {"per_request": 0.1, "slow_first": 2, "slow_factor": 3, "step_at": 5, "step_factor": 2},
        "quirks": {"prompt_count": false, "old_rate": true, "openai_timings": true}})",
                                          "s.json");
    ASSERT_TRUE(program) << program.error().message;
    EXPECT_EQ(program->capacity.queue, 3);
    ASSERT_EQ(program->requests.size(), 1U);
    const mock::Script& script = program->requests[0];
    EXPECT_EQ(script.wire, mock::Wire::kOllamaChat);
    EXPECT_TRUE(script.http.header_with_first);
    EXPECT_EQ(script.http.status, 429);
    EXPECT_EQ(script.tcp.split_at, (std::vector<std::int64_t>{1, 5}));
    ASSERT_EQ(script.steps.size(), 3U);
    EXPECT_EQ(script.steps[0].k, 3);
    EXPECT_EQ(script.steps[1].k, 1);
    EXPECT_EQ(script.steps[1].repeat, 64);
    EXPECT_EQ(script.steps[2].k, 0);
    EXPECT_EQ(script.steps[2].bytes, std::string("\0\xff", 2));
    EXPECT_EQ(script.finish.rst_after, 4);
    EXPECT_EQ(script.drift.step_at, 5);
    EXPECT_TRUE(script.quirks.old_rate);
}

TEST(MockScript, RequestsTakeWhatTheyDontSayFromTheRest) {
    const auto program = read_mock_script(
        R"({"rate_model": {"tg_tok_s": 10}, "load_ms": 5,
            "requests": [{}, {"load_ms": 0}, {"rate_model": null, "steps": [{}]}]})",
        "s.json");
    ASSERT_TRUE(program) << program.error().message;
    ASSERT_EQ(program->requests.size(), 3U);
    EXPECT_EQ(program->requests[0].load_ms, 5);
    EXPECT_EQ(program->requests[1].load_ms, 0);
    EXPECT_EQ(program->requests[1].rate_model->tg_tok_s, 10);
    EXPECT_FALSE(program->requests[2].rate_model);
}

TEST(MockScript, ErrorsNameTheKeyAndWhatIsAllowed) {
    EXPECT_EQ(error_of(R"({"steps": [], "load_ms": -1})"), "s.json: \"load_ms\" must be a number from 0 to 86400000");
    EXPECT_EQ(error_of(R"({"steps": [{}, {"k": 1.5}]})"),
              "s.json: \"steps[1].k\" must be a whole number from 0 to 10000000");
    EXPECT_EQ(error_of(R"({"steps": [{"repeat": 0}]})"),
              "s.json: \"steps[0].repeat\" must be a whole number from 1 to 20000000");
    EXPECT_EQ(error_of(R"({"steps": [], "wire": "x"})"),
              "s.json: \"wire\" must be one of any, openai_chat, openai_completions, llama_completion, "
              "ollama_generate, ollama_chat");
    EXPECT_EQ(error_of(R"({"steps": [], "capacity": {"slot": 1}})"),
              "s.json: \"capacity.slot\" is unknown; allowed: slots, queue, loading_until_ms");
    EXPECT_EQ(error_of(R"({"steps": [{"bytes": "a*"}]})"), "s.json: \"steps[0].bytes\" must be base64");
    EXPECT_EQ(error_of(R"({"requests": [{"steps": []}, {}]})"),
              "s.json: \"requests[1].steps\" or rate_model is needed");
    EXPECT_EQ(error_of(R"({"steps": [{}], "rate_model": {}})"), "s.json: \"rate_model\" and steps exclude each other");
    EXPECT_NE(error_of("[]"), "");
    EXPECT_NE(error_of("{").find("not valid JSON"), std::string::npos);
    EXPECT_NE(error_of(R"({"steps": 3, "http": [], "requests": [4]})"), "");
}

TEST(MockScript, TheDefaultIsRight) {
    EXPECT_TRUE(read_mock_script(default_mock_script(), "default"));
}

}  // namespace
}  // namespace velollm::serde
