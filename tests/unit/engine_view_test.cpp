#include "hardware/engine_view.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace velollm::hardware::engine_view_test {

constexpr std::int64_t kMib = std::int64_t{1} << 20U;

/// The log of a llama-server of llama.cpp 0.5.0 without a GPU, as it was written.
constexpr std::string_view kLog =
    "0.00.003.683 I cmn  common_param: device_info:\n"
    "0.00.003.688 I cmn  common_param:   - CPU     : AMD EPYC (24105 MiB, 24105 MiB free)\n"
    "0.00.003.713 I cmn  common_param: system_info: n_threads = 2 (n_threads_batch = 2) / 2 | CPU : SSE3 = 1 | AVX = 1 "
    "| "
    "AVX2 = 1 | FMA = 0 | OPENMP = 1 | \n";

EngineView read(std::string_view text) {
    EngineView view{.engine = "llama-server"};
    read_engine_report(text, view);
    return view;
}

std::vector<std::string> codes(const std::vector<HardwareWarning>& warnings) {
    std::vector<std::string> codes;
    for (const HardwareWarning& warning : warnings) codes.push_back(warning.code);
    return codes;
}

TEST(EngineView, ReadsWhatLlamaServerWritesOfItself) {
    const EngineView view = read(kLog);
    EXPECT_EQ(view.threads, 2);
    EXPECT_EQ(view.features, (std::vector<std::string>{"sse3", "avx", "avx2", "openmp"}));
    ASSERT_EQ(view.devices.size(), 1u);
    EXPECT_EQ(view.devices[0].name, "CPU");
    EXPECT_EQ(view.devices[0].description, "AMD EPYC");
    EXPECT_EQ(view.devices[0].total_bytes, 24105 * kMib);
    EXPECT_TRUE(view.devices_known);
}

TEST(EngineView, ReadsListsOfDevicesAndCountsEachOnce) {
    const EngineView view = read(
        "system_info: n_threads = 8 (n_threads_batch = 8) / 16 | CUDA : ARCHS = 750,890 | USE_GRAPHS = 1 | CPU : AVX2 "
        "= 1 |\n"
        "Available devices:\n"
        "  CUDA0: NVIDIA GeForce RTX 4060 Ti (16379 MiB, 14900 MiB free)\n"
        "  CUDA0: NVIDIA GeForce RTX 4060 Ti (16379 MiB, 14900 MiB free)\n"
        "  Vulkan1: AMD Radeon 780M (RADV PHOENIX) (15872 MiB, 15000 MiB free)\n");
    EXPECT_EQ(view.features, (std::vector<std::string>{"avx2"}));
    ASSERT_EQ(view.devices.size(), 2u);
    EXPECT_EQ(view.devices[0].free_bytes, 14900 * kMib);
    EXPECT_EQ(view.devices[1].name, "Vulkan1");
    EXPECT_EQ(view.devices[1].description, "AMD Radeon 780M (RADV PHOENIX)");
}

TEST(EngineView, KnowsNoDevicesFromAKnownList) {
    EXPECT_FALSE(read("something else\n").devices_known);
    const EngineView none = read("Available devices:\n  (none)\n");
    EXPECT_TRUE(none.devices_known);
    EXPECT_TRUE(none.devices.empty());
}

TEST(EngineView, BelievesNoAbsurdReport) {
    EXPECT_TRUE(read("  X: Y (99999999999999 MiB, 1 MiB free)\n").devices.empty());
    EXPECT_TRUE(read("  X: Y (-5 MiB, 1 MiB free)\n").devices.empty());
    EXPECT_TRUE(read(" (1 MiB, 1 MiB free)\n").devices.empty());
    EXPECT_TRUE(read(" MiB free)\n").devices.empty());
    EXPECT_EQ(read("system_info: n_threads = 0 |").threads, std::nullopt);
    EXPECT_EQ(read("system_info: n_threads = 99999999999 |").threads, std::nullopt);
    std::string many;
    for (int i = 0; i < 5000; ++i) many += "  D" + std::to_string(i) + ": d (1 MiB, 1 MiB free)\n";
    EXPECT_EQ(read(many).devices.size(), 256u);
}

TEST(EngineView, ReadsBothFormsOfTheVersion) {
    EXPECT_EQ(parse_llama_version("version: 0.5.0-dev (build 1, commit 0c1e570)\nbuilt with GNU\n"),
              "0.5.0-dev (build 1, commit 0c1e570)");
    EXPECT_EQ(parse_llama_version("ggml_cuda_init: found 1\nversion: 4567 (abcdef0)\n"), "4567 (abcdef0)");
    EXPECT_EQ(parse_llama_version("usage: ..."), "");
}

Hardware machine() {
    Hardware hardware;
    hardware.cpu.usable = {.count = 4, .reason = "cgroup quota 4.00 CPUs", .limit = "quota"};
    hardware.cpu.features = {"avx", "avx2", "fma"};
    hardware.memory.available_bytes = 8192 * kMib;
    Gpu gpu;
    gpu.name = "NVIDIA GeForce RTX 4090";
    gpu.vram_bytes = 24564 * kMib;
    gpu.memory_kind = GpuMemoryKind::kDedicated;
    gpu.backends = {{"cuda", true, ""}, {"vulkan", std::nullopt, ""}, {"sycl", false, ""}};
    hardware.gpus = {gpu};
    return hardware;
}

EngineView good_view() {
    return {.engine = "llama-server",
            .threads = 4,
            .features = {"avx", "avx2", "fma"},
            .devices = {{"CUDA0", "NVIDIA GeForce RTX 4090", 24080 * kMib, 23000 * kMib},
                        {"CPU", "Some CPU", 65536 * kMib, 65536 * kMib}},
            .devices_known = true};
}

TEST(EngineJudged, NothingToSayWhereBothSeeTheSame) {
    EXPECT_TRUE(judge_engine(machine(), good_view()).empty());
}

TEST(EngineJudged, MoreThreadsThanCanRun) {
    EngineView view = good_view();
    view.threads = 5;
    const auto warnings = judge_engine(machine(), view);
    ASSERT_EQ(codes(warnings), (std::vector<std::string>{"engine-threads"}));
    EXPECT_EQ(warnings[0].hint, "Start it with -t 4.");
    view.engine = "Ollama";
    EXPECT_NE(judge_engine(machine(), view).front().hint.find("num_thread 4"), std::string::npos);
}

TEST(EngineJudged, ABuildWithoutTheCpusVectors) {
    EngineView view = good_view();
    view.features = {"sse3"};
    EXPECT_EQ(codes(judge_engine(machine(), view)), (std::vector<std::string>{"engine-simd"}));
    view.features.clear();  // it didn't tell
    EXPECT_TRUE(judge_engine(machine(), view).empty());
}

TEST(EngineJudged, AGpuThatTheEngineDoesNotSee) {
    EngineView view = good_view();
    view.devices.erase(view.devices.begin());
    const auto warnings = judge_engine(machine(), view);
    ASSERT_EQ(codes(warnings), (std::vector<std::string>{"engine-gpu-unseen"}));
    EXPECT_EQ(warnings[0].hint, "Install a build with cuda or vulkan.");
    view.devices_known = false;
    EXPECT_TRUE(judge_engine(machine(), view).empty());
}

TEST(EngineJudged, ADeviceIsFoundBySizeWhereNamesDiffer) {
    EngineView view = good_view();
    view.devices[0].description = "AD102";
    EXPECT_TRUE(judge_engine(machine(), view).empty());
    view.devices[0].total_bytes = 12000 * kMib;
    view.devices[0].description = "NVIDIA GeForce RTX 4090";
    EXPECT_EQ(codes(judge_engine(machine(), view)), (std::vector<std::string>{"sources-disagree"}));
}

TEST(EngineJudged, AUnknownDeviceMayBeAnyGpuAndASmallOneMayBeLeftOut) {
    EngineView view = good_view();
    view.devices[0] = {"Vulkan0", "Some other name", 999 * kMib, 0};
    EXPECT_TRUE(judge_engine(machine(), view).empty());
    view.devices[0] = {"CUDA0", "", 999 * kMib, 0};  // no name is no name of ours
    EXPECT_TRUE(judge_engine(machine(), view).empty());
    Hardware two = machine();
    Gpu integrated;
    integrated.name = "Raphael";
    integrated.integrated = true;
    two.gpus.push_back(integrated);
    EXPECT_TRUE(judge_engine(two, good_view()).empty());
    two.gpus.erase(two.gpus.begin());
    view.devices.erase(view.devices.begin());
    EXPECT_EQ(codes(judge_engine(two, view)), (std::vector<std::string>{"engine-gpu-unseen"}));
}

TEST(EngineJudged, MemoryThatTheCgroupDoesNotLeave) {
    Hardware hardware = machine();
    hardware.memory.limit_bytes = 8192 * kMib;
    EXPECT_EQ(codes(judge_engine(hardware, good_view())), (std::vector<std::string>{"engine-memory-limit"}));
}

TEST(EngineJudged, AModelThatLiesPartlyOutsideTheGpu) {
    EngineView view = good_view();
    view.models = {{"all", 100 * kMib, 100 * kMib}, {"part", 100 * kMib, 60 * kMib}};
    const auto warnings = judge_engine(machine(), view);
    ASSERT_EQ(codes(warnings), (std::vector<std::string>{"engine-partial-offload"}));
    EXPECT_NE(warnings[0].message.find("40 of 100 MiB of part"), std::string::npos);
    Hardware without = machine();
    without.gpus.clear();
    EXPECT_TRUE(judge_engine(without, view).empty());
}

}  // namespace velollm::hardware::engine_view_test
