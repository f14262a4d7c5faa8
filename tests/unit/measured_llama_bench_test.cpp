// Recorded results of llama-bench in its five forms, and broken ones. The expected speeds are worked out from the
// recorded nanoseconds: 1e9 * tokens / ns.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "serde/measured.h"
#include "support/measured_files.h"

namespace velollm::serde {
namespace {

using test::read_result;
using test::recorded_result;
using test::refusal_of;

std::vector<std::string> names_of(const MeasuredFile& file) {
    std::vector<std::string> out;
    for (const MeasuredWorkload& workload : file.workloads) out.push_back(workload.name);
    return out;
}

void expect_samples(const MeasuredWorkload& workload, const std::string& key, const std::vector<double>& samples) {
    ASSERT_EQ(workload.metrics.size(), 1U) << workload.name;
    const MeasuredMetric& metric = workload.metrics[0];
    EXPECT_EQ(metric.key, key);
    EXPECT_TRUE(metric.higher_is_better);
    EXPECT_EQ(metric.n, samples.size());
    EXPECT_FALSE(metric.centre);
    ASSERT_EQ(metric.samples.size(), samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) EXPECT_NEAR(metric.samples[i], samples[i], 1e-9);
}

void expect_stated(const MeasuredWorkload& workload, const std::string& key, double mean, double deviation) {
    ASSERT_EQ(workload.metrics.size(), 1U) << workload.name;
    const MeasuredMetric& metric = workload.metrics[0];
    EXPECT_EQ(metric.key, key);
    EXPECT_TRUE(metric.samples.empty());
    EXPECT_EQ(metric.centre, mean);
    EXPECT_EQ(metric.centre_is, "mean");
    EXPECT_EQ(metric.spread, deviation);
    EXPECT_EQ(metric.n, 0U);
}

TEST(MeasuredLlamaBench, JsonHasTheSamplesUnderTheNamesOfItsTable) {
    const MeasuredFile file = read_result(recorded_result("llama-bench-0.5.0/plain.json"));
    EXPECT_EQ(file.tool, "llama-bench");
    ASSERT_EQ(file.notes.size(), 1U);
    EXPECT_NE(file.notes[0].find("engine alone"), std::string::npos);
    EXPECT_EQ(names_of(file),
              (std::vector<std::string>{"pp64", "tg16", "pp32+tg8", "pp64 @ d64", "tg16 @ d64", "pp32+tg8 @ d64"}));
    expect_samples(file.workloads[0], "prefill_tps", {58.591926619529694, 25.66652575596979, 29.742317736156124});
    expect_samples(file.workloads[1], "decode_tps", {24.310031545152746, 23.255889873152114, 4.184147554626701});
    expect_samples(file.workloads[2], "llama_bench.avg_ts", {18.628895639377635, 9.494835763456988, 8.347363160487255});
    EXPECT_EQ(file.workloads[3].when, "2026-11-29T07:54:10Z");
    const auto& identity = file.workloads[4].identity;
    EXPECT_EQ(identity.at("model"), "SmolLM2-135M-Instruct.Q4_1.gguf");
    EXPECT_EQ(identity.at("quantization"), "Q4_1");
    EXPECT_EQ(identity.at("engine"), "llama.cpp");
    EXPECT_EQ(identity.at("engine_version"), "0c1e570 (1)");
    EXPECT_EQ(identity.at("prompt_tokens"), "0");
    EXPECT_EQ(identity.at("output_tokens"), "16");
    EXPECT_EQ(identity.at("context_depth"), "64");
    EXPECT_EQ(identity.at("concurrency"), "1");
    EXPECT_EQ(identity.at("workload"), "tg16 @ d64");
    EXPECT_EQ(identity.at("machine"), "AMD EPYC");
    EXPECT_EQ(identity.at("hardware"), "AMD EPYC");
    EXPECT_EQ(identity.at("backend"), "CPU");
    EXPECT_EQ(identity.at("settings"),
              "cpu_mask=0x0 cpu_strict=0 devices=auto embeddings=0 fit_min_ctx=0 fit_target=0 flash_attn=-1 "
              "lazy_mode=auto load_mode=auto main_gpu=0 n_batch=2048 n_cpu_moe=0 n_gpu_layers=-1 n_threads=2 "
              "n_ubatch=512 no_host=0 no_kv_offload=0 no_op_offload=0 poll=50 repack=1 split_mode=layer "
              "tensor_buft_overrides=none tensor_split=0.00 type_k=f16 type_v=f16");
}

TEST(MeasuredLlamaBench, ASweepHasNamesThatTellTheSettingThatDiffers) {
    const MeasuredFile file = read_result(recorded_result("llama-bench-0.5.0/threads.jsonl"));
    EXPECT_EQ(names_of(file), (std::vector<std::string>{"pp64 (n_threads=1)", "tg16 (n_threads=1)",
                                                        "pp64 (n_threads=2)", "tg16 (n_threads=2)"}));
    expect_samples(file.workloads[1], "decode_tps", {80.38960056211222, 78.06947042077313, 83.31682315015419});
    EXPECT_EQ(file.workloads[1].identity.at("workload"), "tg16");
    // The same twice: nothing tells them apart but their place.
    const MeasuredFile twice = read_result(recorded_result("llama-bench-0.5.0/threads.jsonl") +
                                           recorded_result("llama-bench-0.5.0/threads.jsonl"));
    EXPECT_EQ(twice.workloads[1].name, "tg16 (n_threads=1)");
    EXPECT_EQ(twice.workloads[5].name, "tg16 (n_threads=1) #2");
}

TEST(MeasuredLlamaBench, TheFormsWithoutSamplesHaveTheMean) {
    const MeasuredFile csv = read_result(recorded_result("llama-bench-0.5.0/plain.csv"));
    EXPECT_EQ(names_of(csv), (std::vector<std::string>{"pp64", "tg16", "pp32+tg8"}));
    expect_stated(csv.workloads[2], "llama_bench.avg_ts", 78.453475, 53.729718);
    EXPECT_EQ(csv.workloads[0].identity.at("settings"),
              read_result(recorded_result("llama-bench-0.5.0/plain.json")).workloads[0].identity.at("settings"));

    const MeasuredFile sql = read_result(recorded_result("llama-bench-0.5.0/plain.sql"));
    EXPECT_EQ(names_of(sql), (std::vector<std::string>{"pp64 @ d64", "tg16 @ d64"}));
    expect_stated(sql.workloads[0], "prefill_tps", 31.789070, 8.583156);
    expect_stated(sql.workloads[1], "decode_tps", 6.435134, 6.628035);
    EXPECT_EQ(sql.workloads[1].when, "2026-11-29T07:55:53Z");
    EXPECT_EQ(sql.workloads[0].identity.at("settings"), csv.workloads[0].identity.at("settings"));
}

TEST(MeasuredLlamaBench, TheMarkdownTableIsReadByItsTitles) {
    const MeasuredFile file = read_result(recorded_result("llama-bench-0.5.0/plain.md"));
    EXPECT_EQ(names_of(file), names_of(read_result(recorded_result("llama-bench-0.5.0/plain.json"))));
    expect_stated(file.workloads[0], "prefill_tps", 23.54, 10.51);
    expect_stated(file.workloads[5], "llama_bench.avg_ts", 8.35, 3.83);
    EXPECT_EQ(file.workloads[4].identity,
              (std::map<std::string, std::string>{{"model", "llama 256M Q4_1"},
                                                  {"quantization", "Q4_1"},
                                                  {"engine", "llama.cpp"},
                                                  {"engine_version", "0c1e570 (1)"},
                                                  {"prompt_tokens", "0"},
                                                  {"output_tokens", "16"},
                                                  {"context_depth", "64"},
                                                  {"concurrency", "1"},
                                                  {"workload", "tg16 @ d64"},
                                                  {"backend", "CPU"},
                                                  {"model_type", "llama 256M Q4_1"},
                                                  {"settings", "flash_attn=1 n_threads=2 type_k=q8_0"}}));
    // Words of the loader before it, and no build behind it.
    const std::string table = recorded_result("llama-bench-0.5.0/plain.md");
    const MeasuredFile noisy = read_result("load_backend: loaded CPU\n" + table.substr(0, table.find("\nbuild")));
    EXPECT_EQ(noisy.workloads.size(), 6U);
    EXPECT_FALSE(noisy.workloads[0].identity.contains("engine_version"));
    EXPECT_NE(refusal_of(table + "| x |\n").find("line 11: not as many cells"), std::string::npos);
    EXPECT_NE(refusal_of(table.substr(0, table.find('\n') + 1) + "| a | 1 | 1 | CPU | 2 | q8 | 1 | pp64 | fast |")
                  .find("must be a number"),
              std::string::npos);
}

TEST(MeasuredLlamaBench, QuotesAreThoseOfEachForm) {
    const MeasuredFile csv = read_result(
        "build_commit,cpu_info,model_type,n_prompt,n_gen,avg_ts,stddev_ts\n"
        "\"abc\",\"a \"\"fast\"\", CPU\",\"llama 1B Q4_K - Medium\",\"0\",\"32\",\"5.5\",\"\"\r\n");
    EXPECT_EQ(csv.workloads[0].identity.at("machine"), "a \"fast\", CPU");
    EXPECT_EQ(csv.workloads[0].identity.at("engine_version"), "abc");
    EXPECT_FALSE(csv.workloads[0].metrics[0].spread);
    // It writes a quote within a text as it is.
    const MeasuredFile sql = read_result(
        "INSERT INTO llama_bench (build_commit, cpu_info, gpu_info, n_prompt, n_gen, avg_ts) VALUES "
        "('abc', 'Bob's, CPU', '', '512', '0', '7');\n");
    EXPECT_EQ(sql.workloads[0].identity.at("machine"), "Bob's, CPU");
    EXPECT_EQ(sql.workloads[0].metrics[0].centre, 7.0);
}

TEST(MeasuredLlamaBench, QuantizationHasTheNameThatFilesHave) {
    const std::pair<const char*, const char*> cases[] = {{"llama 1B Q4_K - Medium", "Q4_K_M"},
                                                         {"llama 1B Q3_K - Large", "Q3_K_L"},
                                                         {"llama 1B Q5_K - Small", "Q5_K_S"},
                                                         {"llama 1B Q2_K - Medium", "Q2_K"},
                                                         {"llama 1B Q8_0", "Q8_0"},
                                                         {"qwen3 8B F16", "F16"},
                                                         {"llama 1B all F32", "F32"},
                                                         {"llama 1B IQ2_XS - 2.3125 bpw", "IQ2_XS"},
                                                         {"llama 1B IQ3_S mix - 3.66 bpw", "IQ3_S mix - 3.66 bpw"},
                                                         {"gpt-oss 20B MXFP4 MoE", "MXFP4"},
                                                         {"Qwen 1B BF16", "BF16"}};
    for (const auto& [type, quantization] : cases) {
        const MeasuredFile file = read_result(
            fmt::format(R"([{{"build_commit":"a","model_type":"{}","n_prompt":1,"n_gen":0,"avg_ts":1}}])", type));
        ASSERT_EQ(file.workloads.size(), 1U);
        EXPECT_EQ(file.workloads[0].identity.at("quantization"), quantization) << type;
        EXPECT_EQ(file.workloads[0].identity.at("model"), type);
    }
}

TEST(MeasuredLlamaBench, AnOlderVersionHasFewerFieldsAndOnesThatAreGone) {
    const MeasuredFile file =
        read_result(R"([{"build_commit":"a","build_number":2,"model_filename":"C:\\models\\m.gguf",
        "use_mmap":true,"n_prompt":512,"n_gen":0,"avg_ts":10.5,"stddev_ts":null,"samples_ts":[10, 11]}])");
    EXPECT_EQ(file.workloads[0].name, "pp512");
    EXPECT_EQ(file.workloads[0].identity.at("model"), "m.gguf");
    EXPECT_EQ(file.workloads[0].identity.at("settings"), "use_mmap=1");
    expect_samples(file.workloads[0], "prefill_tps", {10, 11});
}

TEST(MeasuredLlamaBench, BrokenFilesSayWhere) {
    const std::string json = recorded_result("llama-bench-0.5.0/plain.json");
    const std::string csv = recorded_result("llama-bench-0.5.0/plain.csv");
    const std::string sql = recorded_result("llama-bench-0.5.0/plain.sql");
    const std::string lines = recorded_result("llama-bench-0.5.0/threads.jsonl");
    const auto test = [](const std::string& fields) { return R"([{"build_commit":"a","avg_ts":1,)" + fields + "}]"; };
    const std::pair<std::string, const char*> cases[] = {
        {json.substr(0, json.size() - 3), "not valid JSON"},
        {lines.substr(0, lines.size() - 40), "line 4: not valid JSON"},
        {csv.substr(0, csv.size() - 40), "line 4: not as many fields"},
        {csv.substr(0, csv.find('\n') - 3) + "\n1,2", "line 2: not as many fields"},
        {sql.substr(0, sql.size() - 40), "not as many values"},
        {"build_commit,", "nothing measured"},
        {test(R"("n_prompt":"many","n_gen":0)"), "test 1: \"n_prompt\" must be a whole number"},
        {test(R"("n_prompt":1)"), "\"n_gen\" must be a whole number"},
        {test(R"("n_prompt":0,"n_gen":0)"), "neither a prompt nor an output"},
        {test(R"("n_prompt":-1,"n_gen":-9223372036854775808)"), "neither a prompt nor an output"},
        {test(R"("n_prompt":1,"n_gen":0,"samples_ts":["1"])"), "\"samples_ts\" must be a list of numbers"},
        {test(R"("n_prompt":1,"n_gen":0,"samples_ns":[0])"), "\"samples_ns\" must be times"},
        {R"([{"build_commit":"a","avg_ts":"fast","n_prompt":1,"n_gen":0,"samples_ts":[]}])", "must be a number"},
        {R"([{"build_commit":"a","avg_ts":"nan","n_prompt":1,"n_gen":0}])", "must be a number"},
        {R"([["build_commit","avg_ts"]])", "test 1"},
    };
    for (const auto& [text, part] : cases)
        EXPECT_NE(refusal_of(text).find(part), std::string::npos) << refusal_of(text);
    EXPECT_NE(read_measured(json.substr(0, 500), "r").error().hint.find("llama-bench"), std::string::npos);
}

TEST(MeasuredLlamaBench, AHugeTestIsNoReasonToOverflow) {
    const MeasuredFile file = read_result(R"([{"build_commit":"a","avg_ts":1,"n_prompt":9223372036854775807,
        "n_gen":9223372036854775807,"samples_ns":[1]}])");
    EXPECT_GT(file.workloads[0].metrics[0].samples[0], 1e27);
}

}  // namespace
}  // namespace velollm::serde
