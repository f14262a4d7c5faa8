// What comes in from the user: suites, settings, environment; and what goes out in front of a prompt.

#include <gtest/gtest.h>

#include <set>

#include "backend/options.h"
#include "benchmark/suite.h"
#include "load/nonce.h"
#include "serde/files.h"

namespace velollm {
namespace inputs_test {

TEST(Suite, TheStandardOneIsTheGuides) {
    const auto suite = benchmark::standard_suite();
    ASSERT_EQ(suite.size(), 3u);
    EXPECT_EQ(suite[0].name, "short_completion");
    EXPECT_EQ(suite[0].prompt, "Write a hello world program in Python");
    EXPECT_EQ(suite[0].max_tokens, 50);
    EXPECT_EQ(suite[0].iterations, 5);
    EXPECT_EQ(suite[1].prompt, "Explain how neural networks learn through backpropagation in detail");
    EXPECT_EQ(suite[1].max_tokens, 150);
    EXPECT_EQ(suite[1].iterations, 3);
    EXPECT_EQ(suite[2].prompt, "Write a Rust function to compute the Fibonacci sequence using dynamic programming");
    EXPECT_EQ(suite[2].max_tokens, 200);
    EXPECT_EQ(suite[2].iterations, 3);
}

TEST(Suite, IsReadFromJsonWithDefaultsAndAResultFileIsOneToo) {
    const auto suite =
        serde::read_suite(R"([{"prompt":"a"},{"config":{"name":"x","model":"m","prompt":"b","max_tokens":7,
                                         "iterations":1},"tokens_per_second":1}])",
                          "s.json");
    ASSERT_TRUE(suite) << suite.error().message;
    EXPECT_EQ(suite->at(0).name, "benchmark_1");
    EXPECT_EQ(suite->at(0).max_tokens, 50);
    EXPECT_EQ(suite->at(0).iterations, 3);
    EXPECT_EQ(suite->at(1).model, "m");
    EXPECT_EQ(suite->at(1).max_tokens, 7);
}

TEST(Suite, WhatIsWrongIsNamedWithItsPlace) {
    const std::pair<const char*, const char*> rows[] = {
        {"", "not valid JSON"},
        {"{}", "a suite is a JSON array"},
        {"[]", "at least one"},
        {"[1]", "benchmark 1: not an object"},
        {R"([{"prompt":"a"},{"name":"x"}])", "benchmark 2: \"prompt\" is missing"},
        {R"([{"prompt":""}])", "\"prompt\" is missing"},
        {R"([{"prompt":"a","max_tokens":0}])", "\"max_tokens\""},
        {R"([{"prompt":"a","max_tokens":1.5}])", "\"max_tokens\""},
        {R"([{"prompt":"a","iterations":-1}])", "\"iterations\""},
        {R"([{"prompt":"a","iterations":18446744073709551615}])", "\"iterations\""},
        {R"([{"prompt":"a","tokens":5}])", "unknown key \"tokens\""},
        {R"([{"prompt":"a","name":5}])", "\"name\""},
    };
    for (const auto& [json, message] : rows) {
        const auto suite = serde::read_suite(json, "s.json");
        ASSERT_FALSE(suite) << json;
        EXPECT_EQ(suite.error().code, ErrorCode::kUsage) << json;
        EXPECT_NE(suite.error().message.find(message), std::string::npos) << suite.error().message;
        EXPECT_TRUE(suite.error().message.starts_with("s.json: ")) << suite.error().message;
    }
}

TEST(Settings, AreOptionNamesWithPlainValues) {
    const auto settings = serde::read_settings(R"({"backend":"embedded","seed":7,"quiet":true})", "c.json");
    ASSERT_TRUE(settings);
    const std::vector<std::pair<std::string, std::string>> expected{
        {"backend", "embedded"}, {"quiet", "true"}, {"seed", "7"}};
    EXPECT_EQ(*settings, expected);
    EXPECT_FALSE(serde::read_settings(R"({"a":[1]})", "c.json"));
    EXPECT_FALSE(serde::read_settings("[]", "c.json"));
}

TEST(Environment, TheGuidesVariablesBecomeOptionsAndKeepTheirNames) {
    TargetSpec target;
    EngineOptions& options = target.options;
    options.num_batch = 64;
    const system::System system{.env = {{"OLLAMA_NUM_CTX", "4096"},
                                        {"OLLAMA_NUM_BATCH", "512"},
                                        {"OLLAMA_NUM_GPU", " 99 "},
                                        {"OLLAMA_NUM_THREAD", ""},
                                        {"OLLAMA_KEEP_ALIVE", "5m"}}};
    ASSERT_TRUE(backend::take_environment(target, system));
    EXPECT_EQ(options.num_ctx, 4096);
    EXPECT_EQ(options.num_batch, 64) << "a flag wins";
    EXPECT_EQ(options.num_gpu, 99);
    EXPECT_EQ(options.num_thread, std::nullopt);
    EXPECT_EQ(options.keep_alive, "5m");
    const std::map<std::string, std::string> origin{
        {"num_ctx", "OLLAMA_NUM_CTX"}, {"num_gpu", "OLLAMA_NUM_GPU"}, {"keep_alive", "OLLAMA_KEEP_ALIVE"}};
    EXPECT_EQ(options.origin, origin);
}

TEST(Environment, AValueThatIsNoNumberIsAnErrorAndNoSilentDefault) {
    for (const char* wrong : {"4k", "1.5", "99999999999", "-2", "0"}) {
        TargetSpec target;
        const auto taken = backend::take_environment(target, {.env = {{"OLLAMA_NUM_CTX", wrong}}});
        ASSERT_FALSE(taken) << wrong;
        EXPECT_NE(taken.error().message.find("OLLAMA_NUM_CTX"), std::string::npos);
    }
}

TEST(Nonce, TheFirstWordIsNewIn256RequestsAndTheTextHasSixWords) {
    load::NonceSource source(12345);
    std::set<std::string> first;
    std::set<std::string> whole;
    for (int i = 0; i < 256; ++i) {
        const std::string nonce = source.next();
        first.insert(nonce.substr(0, nonce.find(' ')));
        whole.insert(nonce);
        EXPECT_EQ(std::count(nonce.begin(), nonce.end(), ' '), 5) << nonce;
        EXPECT_TRUE(nonce.ends_with("\n\n"));
    }
    EXPECT_EQ(first.size(), 256u);
    EXPECT_EQ(whole.size(), 256u);
}

TEST(Nonce, TwoProcessesShareNoPrompt) {
    std::set<std::string> seen;
    for (std::uint64_t run = 1; run <= 200; ++run) {
        load::NonceSource source(run * 0x9E3779B97F4A7C15ULL);
        for (int i = 0; i < 50; ++i) EXPECT_TRUE(seen.insert(source.next()).second);
    }
}

}  // namespace inputs_test
}  // namespace velollm
