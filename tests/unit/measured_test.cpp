// Result files of this program and of others: what is told from each, and what is refused with which words.

#include "serde/measured.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "metrics/table.h"
#include "serde/json_value.h"
#include "support/measured_files.h"
#include "system/system.h"

namespace velollm::serde {
namespace {

using test::read_result;
using test::refusal_of;
using test::says;

MeasuredFile read_of_tests(const std::string& name) {
    return read_result(system::read_file(std::string(VELOLLM_TESTS_DIR) + "/" + name).value_or(""));
}

// ---- Files of this program ----

/// A result with an extension, around what a test puts into it.
std::string result_with(const std::string& extension, const std::string& rest = "") {
    return fmt::format(R"([{{"config":{{"name":"a","model":"m","prompt":"p","max_tokens":50,"iterations":3}},
                          "tokens_per_second":84.0,"time_to_first_token_ms":0,"total_time_ms":3002.5,{}
                          "timestamp":"2025-01-15T10:30:00Z","velollm":{{"schema":"velollm.result/1.0",{}}}}}])",
                       rest, extension);
}

TEST(Measured, AResultOfThisProgramHasItsSamplesAndWhatItWasMeasuredOn) {
    const MeasuredFile file = read_of_tests("approved/result.json");
    EXPECT_EQ(file.tool, "velollm");
    EXPECT_TRUE(file.notes.empty());
    ASSERT_EQ(file.workloads.size(), 3U);
    const MeasuredWorkload& first = file.workloads[0];
    EXPECT_EQ(first.name, "short_completion");
    EXPECT_EQ(first.status, "ok");
    EXPECT_EQ(first.run_id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    EXPECT_EQ(first.when, "2025-01-15T10:30:00Z");
    const std::map<std::string, std::string> identity = {
        {"concurrency", "1"},
        {"context_depth", "0"},
        {"context_tokens", "4096"},
        {"engine", "ollama"},
        {"engine_version", "0.32.15"},
        {"hardware", "7902e9165b0d133a600450e8138c7cc55ecc220399a0b964bb289e1b54d2b6eb"},
        {"machine", "Example CPU"},
        {"model", "llama3.2:3b"},
        {"output_tokens", "50"},
        {"prompt_tokens", "12"},
        {"quantization", "Q4_K_M"},
        {"settings", "num_ctx=4096"},
        {"workload", "527ec064cae3f7fc80fe29a35fa48e191318d13676cada063617d5f3db01b2ec"}};
    EXPECT_EQ(first.identity, identity);
    ASSERT_NE(first.find("e2e_ms"), nullptr);
    EXPECT_EQ(first.find("e2e_ms")->samples, (std::vector<double>{612, 593, 596, 602, 599}));
    EXPECT_FALSE(first.find("e2e_ms")->higher_is_better);
    EXPECT_TRUE(first.find("e2e_ms")->pair_keys.empty());
    EXPECT_FALSE(first.find("e2e_ms")->centre);
    EXPECT_TRUE(first.find("decode_tps")->higher_is_better);
    EXPECT_EQ(first.find("prefill_tps"), nullptr);
    // Pooled over tokens: no samples stand in the file.
    ASSERT_NE(first.find("icl_ms"), nullptr);
    EXPECT_EQ(first.find("icl_ms")->centre, 9.6265);
    EXPECT_EQ(first.find("icl_ms")->centre_is, "median");
    EXPECT_EQ(first.find("icl_ms")->n, 245U);
    // Three of six were counted, and that is what the original figures are of.
    EXPECT_EQ(file.workloads[2].find("tokens_per_second")->n, 3U);
    EXPECT_EQ(file.workloads[2].find("e2e_ms")->samples, (std::vector<double>{2620.9999, 2595.9999, 2604.9999}));
}

TEST(Measured, AResultWithTheOriginalKeysOnlyIsRead) {
    const MeasuredFile file = read_result(R"([
      {"config": {"name": "short_completion", "model": "llama3.2:3b", "prompt": "Write", "max_tokens": 50,
                  "iterations": 5},
       "tokens_per_second": 84.0, "time_to_first_token_ms": 127.3, "total_time_ms": 3002.5, "total_tokens": 252,
       "prompt_eval_count": 12, "eval_count": 50, "timestamp": "2025-01-15T10:30:00Z"}])");
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.status, "");
    EXPECT_EQ(one.identity, (std::map<std::string, std::string>{
                                {"model", "llama3.2:3b"}, {"output_tokens", "50"}, {"prompt_tokens", "12"}}));
    ASSERT_EQ(one.metrics.size(), 3U);
    EXPECT_EQ(one.metrics[0].key, "tokens_per_second");
    EXPECT_TRUE(one.metrics[0].higher_is_better);
    EXPECT_EQ(one.metrics[0].centre, 84.0);
    EXPECT_EQ(one.metrics[0].centre_is, "mean");
    EXPECT_EQ(one.metrics[0].n, 5U);
    EXPECT_EQ(one.metrics[1].centre, 127.3);
    EXPECT_FALSE(one.metrics[1].higher_is_better);
    EXPECT_EQ(one.metrics[2].key, "total_time_ms");
    EXPECT_EQ(one.metrics[2].centre_is, "sum");
}

TEST(Measured, WhatIsAbsentIsNotZero) {
    // The original form writes 0 where nothing came.
    const MeasuredFile file = read_result(result_with(R"("status":"ok","measured":{})"));
    EXPECT_EQ(file.workloads[0].find("time_to_first_token_ms"), nullptr);
    EXPECT_NE(file.workloads[0].find("tokens_per_second"), nullptr);
    const MeasuredFile nulls =
        read_result(R"([{"config":{"name":"a"},"tokens_per_second":2,"time_to_first_token_ms":null,
                                         "total_time_ms":"3"}])");
    EXPECT_EQ(nulls.workloads[0].metrics.size(), 1U);
    EXPECT_EQ(nulls.workloads[0].metrics[0].n, 0U);
}

TEST(Measured, AResultThatFailedIsStillOne) {
    const MeasuredFile file = read_result(R"([{"config":{"name":"a"},"tokens_per_second":0,"time_to_first_token_ms":0,
                                        "velollm":{"schema":"velollm.result/1.0","status":"failed","measured":{}}}])");
    ASSERT_EQ(file.workloads.size(), 1U);
    EXPECT_EQ(file.workloads[0].status, "failed");
    EXPECT_TRUE(file.workloads[0].metrics.empty());
    EXPECT_TRUE(says(refusal_of(R"([{"config":{"name":"a"},"tokens_per_second":0}])"), "nothing measured"));
}

constexpr const char* kTurns = R"("samples":[{"counted":true,"nonce":"one"},{"counted":false,"nonce":"two"},
                                             {"counted":true,"nonce":"three"},{"counted":true,"nonce":"four"}])";
constexpr const char* kValues = R"("measured":{"ttft_ms":{"n":3,"median":2,"samples":[1,2,3]},
                                               "tpot_ms":{"n":2,"median":5,"samples":[4,6]},
                                               "e2e_ms":{"n":2,"median":5,"samples":[4,6],"missing":[1]},
                                               "stall_ms":{"n":2,"median":5,"samples":[4,6],"missing":[1,2,"x"]},
                                               "icl_ms":{"n":40,"median":7}})";

TEST(Measured, SamplesOfTurnsArePairedByTheNonceOfTheCountedOnes) {
    const MeasuredFile file =
        read_result(result_with(fmt::format(R"("method":{{"interleaved_with":["ollama"]}},{},{})", kTurns, kValues)));
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.find("ttft_ms")->pair_keys, (std::vector<std::string>{"one", "three", "four"}));
    // One request lacks it: whose the two samples are isn't known.
    EXPECT_TRUE(one.find("tpot_ms")->pair_keys.empty());
    EXPECT_TRUE(one.find("icl_ms")->pair_keys.empty());
    // Where the file says which one lacks it, it is.
    EXPECT_EQ(one.find("e2e_ms")->pair_keys, (std::vector<std::string>{"one", "four"}));
    EXPECT_TRUE(one.find("stall_ms")->pair_keys.empty());
}

TEST(Measured, SamplesArePairedOnlyWhereTurnsWereTaken) {
    const MeasuredFile file = read_result(result_with(fmt::format(R"("method":{{}},{},{})", kTurns, kValues)));
    EXPECT_TRUE(file.workloads[0].find("ttft_ms")->pair_keys.empty());
    const MeasuredFile doubled = read_result(result_with(fmt::format(
        R"("method":{{"interleaved_with":["ollama"]}},"samples":[{{"counted":true,"nonce":"one"}},
           {{"counted":true,"nonce":"one"}},{{"counted":true,"nonce":"four"}}],{})",
        kValues)));
    EXPECT_TRUE(doubled.workloads[0].find("ttft_ms")->pair_keys.empty());
}

TEST(Measured, TheDirectionsAreThoseOfTheMetricTable) {
    for (const metrics::Metric& metric : metrics::metric_table())
        EXPECT_EQ(higher_is_better(metric.key), metric.better == metrics::Better::kHigher) << metric.key;
    EXPECT_EQ(higher_is_better("load_ms"), false);
    EXPECT_EQ(higher_is_better("later_tps"), true);
    EXPECT_EQ(higher_is_better("later_ms"), false);
    EXPECT_EQ(higher_is_better("later"), std::nullopt);
}

TEST(Measured, AMetricOfALaterVersionIsLeftOutWithANoteWhereItsDirectionIsUnknown) {
    const MeasuredFile file = read_result(result_with(R"("measured":{"wonder":{"n":1,"median":1},
                                                              "wonder_tps":{"n":1,"median":1}})"));
    EXPECT_NE(file.workloads[0].find("wonder_tps"), nullptr);
    EXPECT_EQ(file.workloads[0].find("wonder"), nullptr);
    ASSERT_EQ(file.notes.size(), 1U);
    EXPECT_TRUE(says(file.notes[0], "wonder"));
}

TEST(Measured, BrokenResultsOfThisProgramSayWhere) {
    const std::pair<std::string, const char*> cases[] = {
        {result_with(R"("measured":{"ttft_ms":{"n":1,"median":1,"samples":["1"]}})"), "benchmark 1: \"samples\" of"},
        {result_with(R"("measured":{"ttft_ms":{"n":1,"median":1,"samples":[null]}})"), "list of numbers"},
        {result_with(R"("measured":{"ttft_ms":{"n":1,"median":1,"samples":7}})"), "list of numbers"},
        {result_with(R"("measured":{"ttft_ms":{"n":1,"median":"1"}})"), "\"median\" of \"ttft_ms\" must be a number"},
        {result_with(R"("measured":{"ttft_ms":{"n":0,"samples":[]}})"), "\"median\""},
        {result_with(R"("measured":{"ttft_ms":3})"), "\"ttft_ms\" is no object"},
        {R"([{"config":{"name":"a"},"tokens_per_second":1,"velollm":{"schema":"velollm.result/2.0"}}])",
         "velollm.result/2.0"},
        {R"([{"config":{"name":"a"},"tokens_per_second":1,"velollm":{"schema":"velollm.result/10.0"}}])",
         "\"schema\" is \"velollm.result/10.0\", and this program reads velollm.result/1"},
        {R"([{"config":{"name":"a"},"tokens_per_second":1,"velollm":3}])", "no object"},
        {R"([{"config":{"name":"a"},"tokens_per_second":1}, 3])", "benchmark 2"},
        {result_with(R"("status":"ok")").substr(0, 200), "not valid JSON"},
    };
    for (const auto& [text, part] : cases) EXPECT_TRUE(says(refusal_of(text), part)) << refusal_of(text);
}

TEST(Measured, NumbersThatAreNoneAreAbsentAndOfEqualKeysTheLastCounts) {
    const MeasuredFile file = read_result(R"([{"config":{"name":"a \"NaN, \\"},"tokens_per_second":NaN,
        "tokens_per_second":5,"time_to_first_token_ms":-Infinity,"total_time_ms":Infinity}])");
    ASSERT_EQ(file.workloads[0].metrics.size(), 1U);
    EXPECT_EQ(file.workloads[0].metrics[0].centre, 5.0);
    EXPECT_EQ(file.workloads[0].name, "a \"NaN, \\");
    EXPECT_TRUE(says(refusal_of(R"([{"config":{"name":"a"},"tokens_per_second":NaNs}])"), "not valid JSON"));
}

TEST(Measured, EveryVersionBehindThePointIsRead) {
    for (const char* version : {"velollm.result/1", "velollm.result/1.0", "velollm.result/1.12"})
        EXPECT_EQ(read_result(fmt::format(R"([{{"config":{{"name":"a"}},"tokens_per_second":1,
                                                "velollm":{{"schema":"{}"}}}}])",
                                          version))
                      .workloads.size(),
                  1U);
}

TEST(Measured, TextsOfAFileCannotSteerATerminal) {
    const MeasuredFile file = read_result(
        "[{\"config\":{\"name\":\"ev\\u001b[31mil\\u0007\\nx\",\"model\":\"m\\u009b31m\\u00e9\"},"
        "\"tokens_per_second\":1,\"velollm\":{\"schema\":\"velollm.result/1.0\",\"status\":\"o\\u007fk\","
        "\"measured\":{\"a\\u001b_tps\":{\"n\":1,\"median\":1},\"b\\u001b\":{}}}}]");
    const MeasuredWorkload& one = file.workloads.at(0);
    EXPECT_EQ(one.name, "ev [31mil  x");
    EXPECT_EQ(one.identity.at("model"), "m 31m\xC3\xA9");
    EXPECT_EQ(one.status, "o k");
    EXPECT_NE(one.find("a _tps"), nullptr);
    EXPECT_EQ(file.notes.at(0), "\"b \" isn't known here: left out");
    const std::string refused =
        refusal_of("[{\"config\":{\"name\":\"a\"},\"tokens_per_second\":1,\"velollm\":{\"schema\":\"\\u001b[2J\"}}]");
    EXPECT_TRUE(says(refused, "\"schema\" is \" [2J\"")) << refused;
}

TEST(Measured, HardwareIsNamedByItsProcessors) {
    EXPECT_EQ(machine_of_hardware(R"({"gpu":{"name":"G0"},"cpu":{"model":"C"},"gpus":[{"name":"G0"},{"name":"G1"}]})"),
              "C, G0, G1");
    EXPECT_EQ(machine_of_hardware(R"({"gpu":{"name":"RTX 4090"},"cpu":{"model":"C"},"memory":{}})"), "C, RTX 4090");
    for (const char* text : {R"({"gpu":null,"cpu":{}})", "[]", "", "{"}) EXPECT_EQ(machine_of_hardware(text), "");
}

// ---- Members that are left out ----

TEST(Measured, MembersAreLeftOutWhereverTheyStandAndAllElseStays) {
    constexpr const char* kText = R"({"a":[{"x":[1,[2,{"x":3}]],"b":1},{"b":{"x":{"y":1},"c":"t"}},[]],"x":null,
                                      "d":[true,1.5,-2,"x"],"e":{"x":1},"f":{"g":{"h":2}},"f2":18446744073709551615})";
    const auto text = JsonText::parse(kText, {"x", "y"});
    ASSERT_TRUE(text);
    const JsonValue root = text->root();
    EXPECT_EQ(root.keys(), (std::vector<std::string>{"a", "d", "e", "f", "f2"}));
    EXPECT_EQ(root["a"].size(), 3U);
    EXPECT_EQ(root["a"].at(0).keys(), std::vector<std::string>{"b"});
    EXPECT_EQ(root["a"].at(1)["b"].keys(), std::vector<std::string>{"c"});
    EXPECT_EQ(root["a"].at(1)["b"]["c"].text(), "t");
    EXPECT_TRUE(root["a"].at(2).is_array());
    EXPECT_EQ(root["d"].at(0).plain(), "true");
    EXPECT_EQ(root["d"].at(1).number(), 1.5);
    EXPECT_EQ(root["d"].at(2).integer(), -2);
    EXPECT_EQ(root["d"].at(3).text(), "x");
    EXPECT_EQ(root["e"].size(), 0U);
    EXPECT_EQ(root["f"]["g"]["h"].integer(), 2);
    EXPECT_EQ(root["f2"].plain(), "18446744073709551615");
    // What is wrong is said with the words that a text without such members gets.
    for (const char* broken : {"[1,", "{\"a\":1e999}", "{\"a\" 1}", "[\"\\q\"]", "", "[1] 2", "{\"x\":[1,}"}) {
        const auto with = JsonText::parse(broken, {"x"});
        ASSERT_FALSE(with) << broken;
        EXPECT_EQ(with.error().message, JsonText::parse(broken).error().message);
    }
    EXPECT_EQ(JsonText::parse("[NaN,{\"x\":NaN}]", {"x"})->root().size(), 2U);
}

TEST(Measured, AFileOfManyRequestsIsReadInTime) {
    constexpr int kRequests = 400'000;  // minutes, if the time grew with their square
    std::string requests;
    for (int i = 0; i < kRequests; ++i)
        requests += fmt::format("{}{{\"counted\":true,\"event_ns\":[1,2]}}", i == 0 ? "" : ",");
    EXPECT_EQ(read_result(result_with("\"samples\":[" + requests + "]")).workloads.at(0).find("tokens_per_second")->n,
              400'000U);
}

// ---- Files of nobody ----

TEST(Measured, AnUnknownFileIsRefusedWithTheFormsThatAreRead) {
    for (const char* text : {"hello", "{}", "[]", "[1]", "3", "a,b\n1,2\n", R"({"config":3,"tokens_per_second":[]})",
                             R"([{"config":3,"tokens_per_second":1}])", "| a | b |\n|---|---|\n| 1 | 2 |\n"}) {
        EXPECT_TRUE(says(refusal_of(text), "no result file of a known form")) << text;
        EXPECT_TRUE(says(read_measured(text, "r.json").error().hint, "llama-bench")) << text;
    }
    EXPECT_TRUE(says(refusal_of(""), "empty"));
    EXPECT_TRUE(says(refusal_of(" \n\t"), "empty"));
    EXPECT_TRUE(says(refusal_of("\xFF\xFE[\0"), "UTF-16"));
    EXPECT_EQ(read_result("\xEF\xBB\xBF" + result_with(R"("status":"ok")")).tool, "velollm");
}

TEST(Measured, AHugeOrDeepFileIsRefusedInTime) {
    EXPECT_TRUE(says(refusal_of(std::string(100'000'000, 'x')), "known form"));
    EXPECT_TRUE(
        says(refusal_of(R"([{"config":{},"tokens_per_second":1},)" + std::string(1'000'000, '[')), "not valid"));
    EXPECT_TRUE(
        says(refusal_of(R"([{"config":{},"tokens_per_second":1,"a":")" + std::string(1'000'000, 'a')), "valid"));
}

}  // namespace
}  // namespace velollm::serde
