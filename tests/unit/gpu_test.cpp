#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "hardware/detect.h"
#include "hardware/gpu_files.h"
#include "hardware/gpu_use.h"
#include "hardware/library_answer.h"
#include "hardware/nvml_words.h"
#include "hardware/vendor_libraries.h"
#include "support/approve.h"
#include "support/gpu_document.h"

namespace velollm::hardware::gpu_test {

constexpr std::int64_t kGib = std::int64_t{1} << 30U;
const KernelAnswers kKernel = test::plain_kernel();

system::System host(const std::string& name) {
    return test::recorded_host(name);
}

void approve_files(const std::string& name) {
    test::approve(test::gpus_json(detect(host(name), kKernel)), "gpus/" + name + ".json");
}

void approve_with_nvml(const std::string& name, const char* scene) {
    test::approve_with_library(name, "nvml", "VELOLLM_NVML", VELOLLM_FAKE_NVML, "FAKE_NVML_SCENE", scene);
}

TEST(GpuHosts, ApuWithALargeCarveOut) {
    approve_files("gpu-apu-carveout");
}
TEST(GpuHosts, NvidiaDesktopByFilesAlone) {
    approve_files("gpu-nvidia-desktop");
}
TEST(GpuHosts, NvidiaDesktopWithItsLibrary) {
    approve_with_nvml("gpu-nvidia-desktop", "desktop");
}
TEST(GpuHosts, NvidiaServerWithSlicesAndACardThatIsNotLent) {
    approve_with_nvml("gpu-nvidia-mig", "mig");
}
TEST(GpuHosts, AmdInstinct) {
    approve_files("gpu-amd-instinct");
}
TEST(GpuHosts, IntelArcBehindItsSwitch) {
    approve_files("gpu-intel-arc");
}
TEST(GpuHosts, LaptopWithTwoGpus) {
    approve_files("gpu-laptop-hybrid");
}

// Files

TEST(GfxTarget, HasTwoDigitsEachTheLastInHexadecimal) {
    EXPECT_EQ(gfx_target(110501), "gfx1151");
    EXPECT_EQ(gfx_target(90010), "gfx90a");
    EXPECT_EQ(gfx_target(90402), "gfx942");
    EXPECT_EQ(gfx_target(120001), "gfx1201");
    for (const std::int64_t none : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{9999}, std::int64_t{1000000}})
        EXPECT_EQ(gfx_target(none), "");
}

TEST(PcieLinks, GenerationByTheSpeedOfALane) {
    EXPECT_EQ(link_generation("2.5 GT/s PCIe"), 1);
    EXPECT_EQ(link_generation("8 GT/s"), 3);
    EXPECT_EQ(link_generation("16.0 GT/s PCIe"), 4);
    EXPECT_EQ(link_generation("64.0 GT/s PCIe"), 6);
    for (const char* none : {"", "Unknown", "3.0 GT/s PCIe", "GT/s", "nan", "0"})
        EXPECT_EQ(link_generation(none), std::nullopt) << none;
}

TEST(KfdNodes, OfGpusOnly) {
    const auto nodes = read_kfd(host("gpu-amd-instinct"));
    ASSERT_EQ(nodes.size(), 2u);
    EXPECT_EQ(nodes[1].pci_address, "0000:22:00.0");
    EXPECT_EQ(nodes[1].arch, "gfx942");
    EXPECT_EQ(nodes[1].vram_bytes, 206141652992);
    EXPECT_TRUE(read_kfd(host("garbage")).empty());
}

// Memory

Gpu amd_apu(std::int64_t carveout, std::int64_t gtt) {
    Gpu gpu;
    gpu.integrated = true;
    gpu.vram_bytes = carveout;
    gpu.vram_used_bytes = 0;
    gpu.shared_bytes = gtt;
    return gpu;
}

std::string judged(Gpu gpu, std::int64_t available) {
    judge_memory(gpu, available);
    return gpu.usable_bytes ? std::to_string(*gpu.usable_bytes / kGib) + " " + gpu.usable_rule : "-" + gpu.usable_rule;
}

TEST(UsableMemory, OfAnApuIsTheLargerOfCarveOutAndGtt) {
    EXPECT_EQ(judged(amd_apu(96 * kGib, 15 * kGib), 20 * kGib), "96 carve-out: no smaller than GTT");
    EXPECT_EQ(judged(amd_apu(16 * kGib, 16 * kGib), 8 * kGib), "16 carve-out: no smaller than GTT");
    EXPECT_EQ(judged(amd_apu(1 * kGib, 60 * kGib), 100 * kGib), "60 gtt: larger than the carve-out");
    EXPECT_EQ(judged(amd_apu(1 * kGib, 60 * kGib), 40 * kGib), "40 gtt: larger than the carve-out");
    EXPECT_EQ(judged(amd_apu(1 * kGib, 60 * kGib), 0), "60 gtt: larger than the carve-out");
}

TEST(UsableMemory, OfADedicatedCardIsWhatIsFree) {
    Gpu gpu;
    EXPECT_EQ(judged(gpu, 8 * kGib), "-");
    gpu.vram_bytes = 24 * kGib;
    EXPECT_EQ(judged(gpu, 8 * kGib), "24 dedicated: all, for its use is unknown");
    gpu.vram_used_bytes = 4 * kGib;
    EXPECT_EQ(judged(gpu, 8 * kGib), "20 dedicated: free");
    gpu.vram_used_bytes = 25 * kGib;
    EXPECT_EQ(judged(gpu, 8 * kGib), "0 dedicated: free");
    gpu.mig = true;
    EXPECT_EQ(judged(gpu, 8 * kGib), "-");  // no slice: nothing to run on
    gpu.partitions = {{"1g.5gb", 5 * kGib, 1 * kGib}, {"3g.20gb", 20 * kGib, 2 * kGib}, {"", std::nullopt, {}}};
    EXPECT_EQ(judged(gpu, 8 * kGib), "18 mig: free in the largest slice");
}

TEST(UsableMemory, OfAUnifiedMachineIsWhatItHasAvailable) {
    Gpu gpu;
    gpu.integrated = true;
    EXPECT_EQ(judged(gpu, 8 * kGib), "8 unified: available memory of the machine");
    EXPECT_EQ(judged(gpu, 0), "-");
}

// What NVML's child wrote

std::optional<LibraryAnswer> parse_nvml(const std::string& json, const std::string& kernel_driver = "") {
    return parse_library_answer(json, kNvmlWords, kernel_driver);
}

TEST(NvmlAnswers, AreRefusedWhenTheyAreNone) {
    for (const char* none : {"", "{", "[]", "{}", "{\"init\": \"0\"}", "\xff"})
        EXPECT_FALSE(parse_nvml(none, "")) << none;
    EXPECT_TRUE(parse_nvml(R"({"init":0,"count":0,"gpus":[]})", ""));
}

TEST(NvmlAnswers, NameBothVersionsOfAMismatch) {
    const auto answer = parse_nvml(R"({"init":18,"library":"12.565.57"})", "560.35.03");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->warnings.at(0).message,
              "NVIDIA's library 12.565.57 doesn't fit the loaded kernel driver 560.35.03.");
    EXPECT_EQ(parse_nvml(R"({"init":18})", "")->warnings.at(0).message,
              "NVIDIA's library doesn't fit the loaded kernel driver.");
}

TEST(NvmlAnswers, AreCutWhereTheBoundsAre) {
    const auto gpu = [](const std::string& fields) {
        const auto answer = parse_nvml(R"({"init":0,"count":1,"gpus":[{)" + fields + "}]}", "");
        return answer->gpus.at(0);
    };
    EXPECT_EQ(gpu(R"("total":17592186044416,"free":17592186044416)").gpu.vram_used_bytes, 0);
    EXPECT_EQ(gpu(R"("total":17592186044417,"free":1)").gpu.vram_bytes, std::nullopt);
    EXPECT_EQ(gpu(R"("total":18446744073709551615,"free":1)").refused, (std::vector<std::string>{"memory"}));
    EXPECT_EQ(gpu(R"("domain":65536,"bus":255,"device":31)").gpu.pci_address, "10000:ff:1f.0");
    EXPECT_EQ(gpu(R"("domain":0,"bus":256,"device":31)").gpu.pci_address, "");
    EXPECT_EQ(gpu(R"("pcie_generation":8,"pcie_lanes":32)").refused, std::vector<std::string>{});
    EXPECT_EQ(gpu(R"("pcie_generation":9,"pcie_lanes":33)").refused, (std::vector<std::string>{"PCIe link"}));
    EXPECT_EQ(gpu(R"("power_limit_mw":450500)").gpu.power_limit_w, 450.5);
}

TEST(NvmlAnswers, OnlyAKnownPartSharesMemoryAndALostCardDoesNot) {
    const auto merged = [](const std::string& name, const std::string& memory) {
        Hardware machine;
        machine.memory.total_bytes = 100 * kGib;
        merge_library_answer(*parse_nvml(R"({"init":0,"count":1,"gpus":[{"name":")" + name + R"(",)" + memory + "}]}"),
                             kNvmlWords, machine);
        return machine.gpus.at(0);
    };
    EXPECT_TRUE(merged("NVIDIA GB10", R"("memory_code":3)").integrated);
    EXPECT_TRUE(merged("NVIDIA GB10", R"("total":107374182400,"free":1)").integrated);
    EXPECT_EQ(merged("NVIDIA GB10", R"("total":107374182400,"free":1)").vram_bytes, std::nullopt);
    EXPECT_FALSE(merged("NVIDIA GB10", R"("total":10737418240,"free":1)").integrated);
    EXPECT_FALSE(merged("NVIDIA A100", R"("memory_code":3)").integrated);
    EXPECT_FALSE(merged("NVIDIA H200", R"("total":107374182400,"free":1)").integrated);
}

// Whether a library is asked at all

const VendorLibrary& library_of(const std::string& source) {
    for (const VendorLibrary& library : vendor_libraries())
        if (library.words->source == source) return library;
    throw std::out_of_range(source);
}

std::string asked(const std::string& source, const system::System& system, const std::vector<Gpu>& gpus) {
    const auto files = files_to_ask(library_of(source), system, gpus);
    return files.empty() ? "" : files.front();
}

Gpu held_by(const std::string& driver) {
    Gpu gpu;
    gpu.driver = driver;
    return gpu;
}

TEST(LibrariesToAsk, OnlyWhereThereIsSomethingToAskAbout) {
    system::System system = host("gpu-laptop-hybrid");
    EXPECT_EQ(asked("nvml", system, {held_by("nvidia")}), "libnvidia-ml.so.1");
    EXPECT_EQ(asked("nvml", system, {held_by("nouveau")}), "");
    EXPECT_EQ(asked("nvml", system, {}), "");
    EXPECT_EQ(asked("nvml", host("gpu-nvidia-desktop"), {}), "libnvidia-ml.so.1");  // by /dev/nvidiactl
    for (const char* driver : {"i915", "xe"})
        EXPECT_EQ(asked("level_zero", system, {held_by("amdgpu"), held_by(driver)}), "libze_loader.so.1");
    EXPECT_EQ(asked("level_zero", system, {held_by("nvidia")}), "");
    Gpu complete = held_by("nouveau");
    complete.name = "GeForce";
    EXPECT_EQ(asked("vulkan", system, {complete}), "libvulkan.so.1");  // it lacks memory
    complete.vram_bytes = 1;
    EXPECT_EQ(asked("vulkan", system, {complete}), "");
    complete.name = "PCI 10de:1234";
    EXPECT_EQ(asked("vulkan", system, {complete}), "libvulkan.so.1");
    complete.driver.clear();
    EXPECT_EQ(asked("vulkan", system, {complete}), "");  // nobody could use it
    EXPECT_EQ(asked("vulkan", system, {}), "");
    system.env["VELOLLM_NVML"] = "/else/where.so";
    EXPECT_EQ(asked("nvml", system, {}), "/else/where.so");
    EXPECT_EQ(asked("level_zero", system, {}), "");
}

}  // namespace velollm::hardware::gpu_test
