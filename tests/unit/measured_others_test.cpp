// Recorded results of other programs. The expected figures were worked out from the files with another program.

#include <gtest/gtest.h>

#include <algorithm>

#include "serde/measured.h"
#include "support/measured_files.h"

namespace velollm::serde {
namespace {

using test::read_result;
using test::recorded_result;
using test::refusal_of;
using test::says;

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

std::vector<std::string> keys_of(const MeasuredWorkload& workload) {
    std::vector<std::string> out;
    for (const MeasuredMetric& metric : workload.metrics) out.push_back(metric.key);
    std::sort(out.begin(), out.end());
    return out;
}

void expect_samples(const MeasuredWorkload& workload, const std::string& key, bool higher,
                    const std::vector<double>& samples) {
    const MeasuredMetric* metric = workload.find(key);
    ASSERT_NE(metric, nullptr) << key;
    EXPECT_EQ(metric->higher_is_better, higher) << key;
    EXPECT_EQ(metric->n, samples.size()) << key;
    EXPECT_FALSE(metric->centre) << key;
    ASSERT_EQ(metric->samples.size(), samples.size()) << key;
    for (std::size_t i = 0; i < samples.size(); ++i)
        EXPECT_NEAR(metric->samples[i], samples[i], 1e-9 * samples[i]) << key << " " << i;
}

void expect_stated(const MeasuredWorkload& workload, const std::string& key, double centre, const char* what,
                   std::size_t n) {
    const MeasuredMetric* metric = workload.find(key);
    ASSERT_NE(metric, nullptr) << key;
    EXPECT_TRUE(metric->samples.empty()) << key;
    ASSERT_TRUE(metric->centre) << key;
    EXPECT_NEAR(*metric->centre, centre, 1e-9 * centre) << key;
    EXPECT_EQ(metric->centre_is, what) << key;
    EXPECT_EQ(metric->n, n) << key;
}

// ---- Ollama's cmd/bench ----

TEST(MeasuredOllamaBench, LinesForBenchstatAreSamplesInTheirOrder) {
    const MeasuredFile file = read_result(recorded_result("ollama-bench-0.32.15/benchstat.txt"));
    EXPECT_EQ(file.tool, "ollama-bench");
    ASSERT_EQ(file.notes.size(), 1U);
    EXPECT_TRUE(says(file.notes[0], "server's own"));
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.name, "smollm2:135m");
    EXPECT_EQ(one.identity, (std::map<std::string, std::string>{{"model", "smollm2:135m"},
                                                                {"engine", "ollama"},
                                                                {"quantization", "Q4_1"},
                                                                {"context_tokens", "1024"},
                                                                {"concurrency", "1"}}));
    EXPECT_EQ(keys_of(one), (std::vector<std::string>{"ollama_bench.generate_tps", "ollama_bench.load_ms",
                                                      "ollama_bench.prefill_tps", "ollama_bench.total_ms", "ttft_ms"}));
    expect_samples(one, "ttft_ms", false, {12024.592185, 14015.627493, 12688.531309});
    expect_samples(one, "ollama_bench.generate_tps", true,
                   {0.41300997956013613, 0.5441435428900402, 1.0435666237391188});
    expect_samples(one, "ollama_bench.prefill_tps", true, {5.331537049500231, 4.5752341857592205, 5.209694135831495});
    expect_samples(one, "ollama_bench.total_ms", false, {50754.371779, 43401.322295, 28007.863587});
}

TEST(MeasuredOllamaBench, WhatWasNotMeasuredIsNoSample) {
    // A model that stops at once: no first token was seen, and the server states a microsecond for its one token.
    const MeasuredFile file = read_result(recorded_result("ollama-bench-0.32.15/stopped.csv"));
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.find("ttft_ms"), nullptr);
    EXPECT_EQ(one.find("ollama_bench.generate_tps"), nullptr);
    ASSERT_NE(one.find("ollama_bench.total_ms"), nullptr);
    EXPECT_EQ(one.find("ollama_bench.total_ms")->samples[0], 15185.304402);
    EXPECT_EQ(one.identity.at("prompt_tokens"), "69");
    EXPECT_EQ(one.identity.at("output_tokens"), "1");
    EXPECT_EQ(one.identity.at("context_tokens"), "4096");
    ASSERT_EQ(file.notes.size(), 2U);
    EXPECT_TRUE(says(file.notes[1], "6 figures were left out")) << file.notes[1];
}

TEST(MeasuredOllamaBench, ModelsAreApartAndANameMayHaveSlashes) {
    const MeasuredFile file = read_result(
        "goos: linux\n# Model: unknown things\n"
        "# Model: hf.co/a/b:Q4 | Params: unknown | Quant: unknown | Family: unknown\n"
        "BenchmarkModel/name=hf.co/a/b:Q4/step=generate 1 20000000.00 ns/token 50.00 token/sec\n"
        "BenchmarkModel/name=c/step=generate 1 0 ns/token 0 token/sec\n"
        "BenchmarkModel/name=c/step=load 1 1500000 ns/op\n"
        "WARNING: of something\n");
    ASSERT_EQ(file.workloads.size(), 3U - 1U);
    EXPECT_EQ(file.workloads[0].name, "hf.co/a/b:Q4");
    EXPECT_FALSE(file.workloads[0].identity.contains("quantization"));
    expect_samples(file.workloads[0], "ollama_bench.generate_tps", true, {50});
    expect_samples(file.workloads[1], "ollama_bench.load_ms", false, {1.5});
    EXPECT_EQ(file.workloads[1].find("ollama_bench.generate_tps"), nullptr);
}

TEST(MeasuredOllamaBench, BrokenLinesAreNamed) {
    const std::string text = recorded_result("ollama-bench-0.32.15/benchstat.txt");
    EXPECT_TRUE(says(refusal_of(text.substr(0, text.size() - 20)), "line 16: it isn't a step"));
    EXPECT_TRUE(says(refusal_of("BenchmarkModel/name=a 1 2 ns/op\n"), "line 1"));
    EXPECT_TRUE(says(refusal_of("BenchmarkModel/name=a/step= 1 2 ns/op\n"), "line 1"));
    EXPECT_TRUE(says(refusal_of("BenchmarkModel/name=a/step=load\n"), "line 1"));
    EXPECT_TRUE(says(refusal_of("NAME,STEP,COUNT,NS_PER_COUNT,TOKEN_PER_SEC\na,generate,1,x,2\n"), "line 2"));
    EXPECT_TRUE(says(refusal_of("NAME,STEP,COUNT,NS_PER_COUNT,TOKEN_PER_SEC\na,generate,1\n"), "line 2"));
    EXPECT_TRUE(says(refusal_of("NAME,STEP,COUNT,NS_PER_COUNT,TOKEN_PER_SEC\n"), "nothing measured"));
}

// ---- vLLM ----

TEST(MeasuredVllm, ADetailedResultHasTheValuesOfEachRequest) {
    const MeasuredFile file = read_result(recorded_result("vllm-0.33.0/completions-detailed.json"));
    EXPECT_EQ(file.tool, "vllm");
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.name, "serve c1");
    EXPECT_EQ(one.identity,
              (std::map<std::string, std::string>{
                  {"model", "smollm2-135m"},
                  {"concurrency", "1"},
                  {"prompt_tokens", "24"},
                  {"output_tokens", "12"},
                  {"settings", "backend=openai burstiness=1.0 endpoint_type=openai num_prompts=4 request_rate=inf"}}));
    expect_samples(one, "ttft_ms", false, {11065.277855000204, 13103.124715999911, 11571.097935000125, 10971.061749});
    expect_samples(one, "e2e_ms", false, {44592.99987400027, 54467.85996100016, 29099.66185600024, 27036.153013999865});
    expect_samples(one, "tpot_ms", false,
                   {3047.974729000006, 3760.4304768182046, 1593.5058110000102, 1460.4628422727149});
    // Its own mean of them is 2465.593464772734.
    expect_stated(one, "vllm.itl_ms", 1257.9750555000828, "median", 48);
    expect_stated(one, "vllm.p99_ttft_ms", 13057.163912569917, "p99", 4);
    expect_stated(one, "vllm.output_throughput", 0.3092800684147921, "value", 4);
    EXPECT_TRUE(one.find("vllm.output_throughput")->higher_is_better);
    EXPECT_FALSE(one.find("vllm.p99_ttft_ms")->higher_is_better);
    EXPECT_EQ(one.find("vllm.request_goodput"), nullptr);
}

TEST(MeasuredVllm, AFailedRequestIsInNoList) {
    const std::string text = recorded_result("vllm-0.33.0/completions-detailed.json");
    const MeasuredFile error = read_result(replaced(text, R"("errors": ["", "")", R"("errors": ["", "refused")"));
    EXPECT_EQ(error.workloads[0].find("ttft_ms")->samples.size(), 3U);
    const MeasuredFile empty = read_result(replaced(text, R"("output_lens": [12, 12)", R"("output_lens": [12, 0)"));
    EXPECT_EQ(empty.workloads[0].find("e2e_ms")->samples.size(), 3U);
    // One token has no time per token.
    const MeasuredFile one = read_result(replaced(text, R"("output_lens": [12, 12)", R"("output_lens": [12, 1)"));
    EXPECT_EQ(one.workloads[0].find("e2e_ms")->samples.size(), 4U);
    EXPECT_EQ(one.workloads[0].find("tpot_ms")->samples.size(), 3U);
    EXPECT_FALSE(one.workloads[0].identity.contains("output_tokens"));
    // Where none succeeded all figures are 0.
    EXPECT_TRUE(says(refusal_of(replaced(text, R"("completed": 4)", R"("completed": 0)")), "nothing measured"));
}

TEST(MeasuredVllm, ASummaryHasMediansAndChatKeepsItsOwnNames) {
    const std::string text =
        R"({"date": "20250101-000000", "endpoint_type": "openai-chat", "model_id": "m", "max_concurrency": null,
            "request_rate": 4.0, "duration": 2.5, "completed": 10, "total_input_tokens": 100, "total_output_tokens": 50,
            "request_throughput": 4.0, "output_throughput": 20.0, "total_token_throughput": 60.0,
            "mean_ttft_ms": 12.0, "median_ttft_ms": 11.0, "std_ttft_ms": 2.0, "p99_ttft_ms": 15.0, "p99.9_ttft_ms": 16.0,
            "median_tpot_ms": NaN, "std_tpot_ms": 1.0})";
    const MeasuredFile chat = read_result(text);
    const MeasuredWorkload& one = chat.workloads[0];
    EXPECT_EQ(one.name, "serve at 4.0/s");
    EXPECT_EQ(keys_of(one),
              (std::vector<std::string>{"vllm.output_throughput", "vllm.p99.9_ttft_ms", "vllm.p99_ttft_ms",
                                        "vllm.request_throughput", "vllm.total_token_throughput", "vllm.ttft_ms"}));
    expect_stated(one, "vllm.ttft_ms", 11, "median", 10);
    EXPECT_EQ(one.find("vllm.ttft_ms")->spread, 2.0);
    expect_stated(one, "vllm.p99.9_ttft_ms", 16, "p99.9", 10);
    EXPECT_TRUE(says(chat.notes.at(0), "over chat"));
    const MeasuredFile plain = read_result(replaced(text, "openai-chat", "vllm"));
    expect_stated(plain.workloads[0], "ttft_ms", 11, "median", 10);
    // --append-result: one a line.
    std::string line = text;
    std::replace(line.begin(), line.end(), '\n', ' ');
    EXPECT_EQ(read_result(line + "\n" + line).workloads.size(), 2U);
    EXPECT_EQ(read_result(line + "\n" + line).notes.size(), 1U);
}

TEST(MeasuredVllm, ASummaryOfALaterVersionStillListsWholeTimesAlsoOfRequestsThatFailed) {
    // One of the four failed, and has 0.0 in the list.
    const std::string text = recorded_result("vllm-0.33.0/chat.json");
    const MeasuredFile failed = read_result(text);
    EXPECT_EQ(failed.workloads[0].find("vllm.e2el_ms"), nullptr);
    expect_stated(failed.workloads[0], "vllm.ttft_ms", 1683.3619669996551, "median", 3);
    EXPECT_EQ(failed.workloads[0].find("ttft_ms"), nullptr);
    const MeasuredFile good =
        read_result(replaced(replaced(text, R"("failed": 1)", R"("failed": 0)"), " 0.0, 2.84", " 2.84"));
    expect_samples(good.workloads[0], "vllm.e2el_ms", false, {3775.5196200000682, 2895.1215889997, 2842.3228380002});
}

TEST(MeasuredVllm, BrokenListsAreNamed) {
    const std::string text = recorded_result("vllm-0.33.0/completions-detailed.json");
    EXPECT_TRUE(says(refusal_of(text.substr(0, text.size() - 10)), "not valid JSON"));
    EXPECT_TRUE(says(refusal_of(replaced(text, R"("ttfts": [)", R"("ttfts": [1, )")), "a value for each request"));
    EXPECT_TRUE(says(refusal_of(replaced(text, R"("ttfts": [)", R"("ttfts": ["1", )")), "lists of numbers"));
    EXPECT_TRUE(says(refusal_of(replaced(text, R"("itls": [[)", R"("itls": [["1", )")), "request 1"));
}

// ---- AIPerf ----

TEST(MeasuredAiperf, TheSummaryIsReadWithTheNamesOfOurMetricsWhereTheyMeanTheSame) {
    const MeasuredFile file = read_result(recorded_result("aiperf-0.13.0/profile_export_aiperf.json"));
    EXPECT_EQ(file.tool, "aiperf");
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.name, "profile c1");
    EXPECT_EQ(one.run_id, "5a5ff4fbc0b7");
    EXPECT_EQ(one.identity, (std::map<std::string, std::string>{
                                {"model", "smollm2-135m"}, {"concurrency", "1"}, {"settings", "endpoint=chat"}}));
    expect_stated(one, "ttft_ms", 14405.4209225, "median", 4);
    EXPECT_NEAR(*one.find("ttft_ms")->spread, 4740.549217778542, 1e-9);
    expect_stated(one, "e2e_ms", 25343.969237999998, "median", 4);
    expect_stated(one, "icl_ms", 879.291709, "median", 44);
    expect_stated(one, "aiperf.request_throughput", 0.029434052164337664, "value", 0);
    // 6 tokens by its tokenizer, 12 by the engine's count: its speeds are of other tokens than ours.
    expect_stated(one, "aiperf.inter_token_latency_ms", 2082.7337589166664, "median", 4);
    EXPECT_EQ(one.find("tpot_ms"), nullptr);
    EXPECT_EQ(one.find("decode_tps"), nullptr);
    ASSERT_EQ(file.notes.size(), 1U);
    EXPECT_TRUE(says(file.notes[0], "--use-server-token-count"));
}

TEST(MeasuredAiperf, RecordsOfTheProfileAreSamplesAndTheWarmUpIsNot) {
    const MeasuredFile file = read_result(recorded_result("aiperf-0.13.0/profile_export.jsonl"));
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    expect_samples(one, "ttft_ms", false, {13888.716701, 14922.125144, 16062.520327999999, 4154.910691});
    expect_samples(one, "e2e_ms", false, {26113.210828, 70882.12209799999, 24574.727648, 14167.356625999999});
    EXPECT_EQ(one.find("tpot_ms"), nullptr);
    EXPECT_NE(one.find("aiperf.inter_token_latency_ms"), nullptr);
    EXPECT_EQ(one.find("icl_ms"), nullptr);
}

constexpr const char* kCounted =
    R"({"metadata":{"benchmark_phase":"profiling"},"metrics":{"output_sequence_length":{"value":5,"unit":"tokens"},
        "usage_completion_tokens":{"value":5,"unit":"tokens"},"inter_token_latency":{"value":0.002,"unit":"sec"},
        "output_token_throughput_per_user":{"value":500,"unit":"tokens/sec/user"},
        "request_latency":{"value":11000,"unit":"us"}}})";

TEST(MeasuredAiperf, WithTheEnginesCountItsSpeedsAreOurs) {
    std::string line = kCounted;
    std::replace(line.begin(), line.end(), '\n', ' ');
    const MeasuredFile file = read_result(line + "\n" + line + "\n");
    EXPECT_TRUE(file.notes.empty());
    expect_samples(file.workloads[0], "tpot_ms", false, {2, 2});
    expect_samples(file.workloads[0], "decode_tps", true, {500, 500});
    expect_samples(file.workloads[0], "e2e_ms", false, {11, 11});
    const std::string failed = R"({"metadata":{"benchmark_phase":"profiling"},"metrics":{},"error":{"code":500}})";
    EXPECT_EQ(read_result(line + "\n" + failed).workloads[0].find("tpot_ms")->n, 1U);
    EXPECT_TRUE(says(refusal_of(failed), "nothing measured"));
}

TEST(MeasuredAiperf, WithFailedRequestsTheMeanStandsForTheMedian) {
    const std::string text = R"({"aiperf_version":"1","request_count":{"unit":"requests","avg":3},
        "error_request_count":{"unit":"requests","avg":1},
        "request_latency":{"unit":"ms","avg":5,"p50":900,"std":1,"count":3}})";
    expect_stated(read_result(text).workloads[0], "e2e_ms", 5, "mean", 3);
}

TEST(MeasuredAiperf, BrokenFilesSayWhere) {
    const std::string summary = recorded_result("aiperf-0.13.0/profile_export_aiperf.json");
    const std::string records = recorded_result("aiperf-0.13.0/profile_export.jsonl");
    EXPECT_TRUE(says(refusal_of(summary.substr(0, 5000)), "not valid JSON"));
    EXPECT_TRUE(says(refusal_of(records.substr(0, records.size() - 9)), "line 5: not valid JSON"));
    EXPECT_TRUE(says(refusal_of(records + "{\"metadata\":{}}\n"), "record 6"));
    EXPECT_TRUE(
        says(refusal_of(R"({"aiperf_version":"1","request_latency":{"unit":"ms","avg":"5"}})"), "must be a number"));
    EXPECT_TRUE(says(refusal_of(replaced(kCounted, "0.002", "null")), "JSON"));
}

// ---- GuideLLM ----

TEST(MeasuredGuidellm, RequestsAreSamplesUnderTheNameOfWhatTheyMean) {
    const MeasuredFile file = read_result(recorded_result("guidellm-0.8.1/benchmarks.json"));
    EXPECT_EQ(file.tool, "guidellm");
    ASSERT_EQ(file.workloads.size(), 1U);
    const MeasuredWorkload& one = file.workloads[0];
    EXPECT_EQ(one.name, "synchronous");
    EXPECT_EQ(one.run_id, "400d5cb0-7350-4506-a30d-9d0dad10c954");
    EXPECT_EQ(one.identity.at("model"), "smollm2-135m");
    EXPECT_EQ(one.identity.at("output_tokens"), "12");
    EXPECT_FALSE(one.identity.contains("prompt_tokens"));
    expect_samples(one, "ttft_ms", false, {2948.3518600463867, 649.8579978942871, 1188.7168884277344});
    expect_samples(one, "tpot_ms", false, {2066.174918955023, 238.66154930808327, 220.38741545243695});
    expect_samples(one, "guidellm.request_latency_ms", false,
                   {25677.610635757446, 3275.8615016937256, 3613.5098934173584});
    EXPECT_EQ(one.find("e2e_ms"), nullptr);
    ASSERT_NE(one.find("guidellm.output_tokens_per_second"), nullptr);
    EXPECT_EQ(one.find("guidellm.output_tokens_per_second")->centre_is, "value");
}

std::string guidellm_with(const std::string& metric, const std::string& requests = "[]", int total = 2) {
    return R"({"benchmarks":[{"config":{"strategy":{"type_":"concurrent","streams":8}},"metrics":{"request_totals":
        {"successful":)" +
           std::to_string(total) + R"(},"time_to_first_token_ms":{"successful":)" + metric +
           R"(},"inter_token_latency_ms":{"successful":{"count":0,"mean":0.0,"median":0.0}}},"requests":{"successful":)" +
           requests + "}}]}";
}

TEST(MeasuredGuidellm, WithoutAllRequestsTheSummaryCounts) {
    const std::string metric = R"({"count":2,"mean":3.0,"median":2.5,"std_dev":1.0})";
    const MeasuredFile file = read_result(guidellm_with(metric));
    EXPECT_EQ(file.workloads[0].name, "concurrent c8");
    expect_stated(file.workloads[0], "ttft_ms", 2.5, "median", 2);
    EXPECT_EQ(file.workloads[0].find("ttft_ms")->spread, 1.0);
    // None came: 0 stands for nothing.
    EXPECT_EQ(file.workloads[0].find("tpot_ms"), nullptr);
    const std::string one = R"([{"time_to_first_token_ms":2.0}])";
    expect_stated(read_result(guidellm_with(metric, one)).workloads[0], "ttft_ms", 2.5, "median", 2);
    expect_samples(read_result(guidellm_with(metric, one, 1)).workloads[0], "ttft_ms", false, {2});
}

TEST(MeasuredGuidellm, BrokenFilesSayWhere) {
    const std::string text = recorded_result("guidellm-0.8.1/benchmarks.json");
    EXPECT_TRUE(says(refusal_of(text.substr(0, text.size() / 2)), "not valid JSON"));
    EXPECT_TRUE(says(refusal_of(guidellm_with(R"({"count":2,"mean":"3","median":2})")), "must be numbers"));
    EXPECT_TRUE(says(refusal_of(guidellm_with(R"({"count":2})", R"([{"time_to_first_token_ms":"2"}])")), "request 1"));
    EXPECT_TRUE(says(refusal_of(R"({"benchmarks":[{"inter_token_latency_ms":1}]})"), "has no \"metrics\""));
    EXPECT_TRUE(says(refusal_of(R"({"benchmarks":[],"x":"","inter_token_latency_ms":1})"), "nothing measured"));
}

// ---- llama-benchy ----

TEST(MeasuredLlamaBenchy, EachBenchmarkHasItsValues) {
    const MeasuredFile file = read_result(recorded_result("llama-benchy-0.4.0/concurrency.json"));
    EXPECT_EQ(file.tool, "llama-benchy");
    ASSERT_EQ(file.workloads.size(), 4U);
    EXPECT_EQ(file.workloads[0].name, "pp64+tg16");
    EXPECT_EQ(file.workloads[1].name, "pp64+tg16 (c2)");
    EXPECT_EQ(file.workloads[3].name, "pp64+tg16 @ d64 (c2)");
    const MeasuredWorkload& one = file.workloads[2];
    EXPECT_EQ(one.when, "2026-11-29 08:02:14Z");
    EXPECT_EQ(one.identity,
              (std::map<std::string, std::string>{{"model", "smollm2-135m"},
                                                  {"prompt_tokens", "64"},
                                                  {"output_tokens", "16"},
                                                  {"context_depth", "64"},
                                                  {"concurrency", "1"},
                                                  {"workload", "pp64+tg16 @ d64"},
                                                  {"settings", "latency_mode=api prefix_caching_enabled=false"}}));
    ASSERT_EQ(one.find("ttft_ms")->samples.size(), 3U);
    EXPECT_NEAR(one.find("ttft_ms")->samples[0], 3999.4709, 1e-4);
    EXPECT_NEAR(one.find("decode_tps")->samples[2], 26.5750, 1e-4);
    EXPECT_TRUE(one.find("decode_tps")->higher_is_better);
    EXPECT_FALSE(one.find("ttft_ms")->higher_is_better);
    EXPECT_EQ(one.find("prefill_tps"), nullptr);
    EXPECT_NE(one.find("llama_benchy.pp_req_throughput"), nullptr);
    // Two at once: a speed for each request, and one for each pair.
    EXPECT_EQ(file.workloads[1].find("decode_tps")->n, 6U);
    EXPECT_EQ(file.workloads[1].find("llama_benchy.tg_throughput")->n, 3U);
}

TEST(MeasuredLlamaBenchy, BrokenFilesSayWhere) {
    const std::string text = recorded_result("llama-benchy-0.4.0/concurrency.json");
    EXPECT_TRUE(says(refusal_of(text.substr(0, text.size() - 10)), "not valid JSON"));
    EXPECT_TRUE(says(refusal_of(replaced(text, "\"values\": [", "\"values\": [null, ")), "benchmark 1: \"values\""));
    EXPECT_TRUE(says(refusal_of(R"({"latency_mode":1,"pp_throughput":1,"benchmarks":[3]})"), "benchmark 1"));
    EXPECT_TRUE(says(refusal_of(R"({"latency_mode":1,"pp_throughput":1,"benchmarks":[]})"), "nothing measured"));
    EXPECT_TRUE(says(refusal_of(R"({"latency_mode":1,"pp_throughput":1})"), "known form"));
}

}  // namespace
}  // namespace velollm::serde
