#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "hardware/detect.h"
#include "hardware/gpu_bandwidth.h"
#include "hardware/level_zero_abi.h"
#include "hardware/level_zero_words.h"
#include "hardware/library_answer.h"
#include "hardware/loaded_library.h"
#include "hardware/vulkan_abi.h"
#include "hardware/vulkan_words.h"
#include "support/gpu_document.h"

#if __has_include(<level_zero/zes_api.h>)
#include <level_zero/zes_api.h>
#endif
#if __has_include(<vulkan/vulkan_core.h>)
#include <vulkan/vulkan_core.h>
#endif

namespace velollm::hardware::gpu_libraries_test {

constexpr std::int64_t kGib = std::int64_t{1} << 30U;

// Our declarations beside the libraries' own headers, where those are installed

#if __has_include(<level_zero/zes_api.h>)
#define SAME_SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs))
#define SAME_PLACE(ours, field, theirs, their_field) \
    static_assert(offsetof(ours, field) == offsetof(theirs, their_field))
SAME_SIZE(level_zero::CoreProperties, ze_device_properties_t);
SAME_PLACE(level_zero::CoreProperties, type, ze_device_properties_t, type);
SAME_PLACE(level_zero::CoreProperties, flags, ze_device_properties_t, flags);
SAME_PLACE(level_zero::CoreProperties, name, ze_device_properties_t, name);
SAME_SIZE(level_zero::DeviceProperties, zes_device_properties_t);
SAME_PLACE(level_zero::DeviceProperties, core, zes_device_properties_t, core);
SAME_PLACE(level_zero::DeviceProperties, model, zes_device_properties_t, modelName);
SAME_SIZE(level_zero::PciProperties, zes_pci_properties_t);
SAME_PLACE(level_zero::PciProperties, domain, zes_pci_properties_t, address);
SAME_PLACE(level_zero::PciProperties, max_speed, zes_pci_properties_t, maxSpeed);
SAME_SIZE(level_zero::PciState, zes_pci_state_t);
SAME_PLACE(level_zero::PciState, speed, zes_pci_state_t, speed);
SAME_SIZE(level_zero::MemoryProperties, zes_mem_properties_t);
SAME_PLACE(level_zero::MemoryProperties, type, zes_mem_properties_t, type);
SAME_PLACE(level_zero::MemoryProperties, location, zes_mem_properties_t, location);
SAME_PLACE(level_zero::MemoryProperties, bus_bits, zes_mem_properties_t, busWidth);
SAME_PLACE(level_zero::MemoryProperties, channels, zes_mem_properties_t, numChannels);
SAME_SIZE(level_zero::MemoryState, zes_mem_state_t);
SAME_PLACE(level_zero::MemoryState, free_bytes, zes_mem_state_t, free);
SAME_PLACE(level_zero::MemoryState, size_bytes, zes_mem_state_t, size);
SAME_SIZE(level_zero::MemoryBandwidth, zes_mem_bandwidth_t);
SAME_PLACE(level_zero::MemoryBandwidth, max_bytes_per_second, zes_mem_bandwidth_t, maxBandwidth);
SAME_SIZE(level_zero::FrequencyProperties, zes_freq_properties_t);
SAME_PLACE(level_zero::FrequencyProperties, domain, zes_freq_properties_t, type);
SAME_PLACE(level_zero::FrequencyProperties, max_mhz, zes_freq_properties_t, max);
SAME_SIZE(level_zero::SustainedLimit, zes_power_sustained_limit_t);
SAME_PLACE(level_zero::SustainedLimit, milliwatts, zes_power_sustained_limit_t, power);
SAME_SIZE(level_zero::PowerLimit, zes_power_limit_ext_desc_t);
SAME_PLACE(level_zero::PowerLimit, level, zes_power_limit_ext_desc_t, level);
SAME_PLACE(level_zero::PowerLimit, unit, zes_power_limit_ext_desc_t, limitUnit);
SAME_PLACE(level_zero::PowerLimit, limit, zes_power_limit_ext_desc_t, limit);
static_assert(int{level_zero::kDeviceProperties} == int{ZES_STRUCTURE_TYPE_DEVICE_PROPERTIES});
static_assert(int{level_zero::kPciProperties} == int{ZES_STRUCTURE_TYPE_PCI_PROPERTIES});
static_assert(int{level_zero::kPciState} == int{ZES_STRUCTURE_TYPE_PCI_STATE});
static_assert(int{level_zero::kMemoryProperties} == int{ZES_STRUCTURE_TYPE_MEM_PROPERTIES});
static_assert(int{level_zero::kMemoryState} == int{ZES_STRUCTURE_TYPE_MEM_STATE});
static_assert(int{level_zero::kFrequencyProperties} == int{ZES_STRUCTURE_TYPE_FREQ_PROPERTIES});
static_assert(int{level_zero::kPowerLimit} == int{ZES_STRUCTURE_TYPE_POWER_LIMIT_EXT_DESC});
static_assert(int{level_zero::kCoreDeviceProperties} == int{ZE_STRUCTURE_TYPE_DEVICE_PROPERTIES});
static_assert(int{level_zero::kUninitialized} == int{ZE_RESULT_ERROR_UNINITIALIZED});
static_assert(int{level_zero::kNoPermission} == int{ZE_RESULT_ERROR_INSUFFICIENT_PERMISSIONS});
static_assert(int{level_zero::kNoDependency} == int{ZE_RESULT_ERROR_DEPENDENCY_UNAVAILABLE});
static_assert(level_zero::kGpuDevice == ZE_DEVICE_TYPE_GPU);
static_assert(level_zero::kIntegratedFlag == ZE_DEVICE_PROPERTY_FLAG_INTEGRATED);
static_assert(level_zero::kDeviceMemory == ZES_MEM_LOC_DEVICE);
static_assert(level_zero::kMemoryFrequency == ZES_FREQ_DOMAIN_MEMORY);
static_assert(level_zero::kSustainedLevel == ZES_POWER_LEVEL_SUSTAINED);
static_assert(level_zero::kPowerUnit == ZES_LIMIT_UNIT_POWER);
#endif

#if __has_include(<vulkan/vulkan_core.h>)
static_assert(sizeof(vulkan::Application) == sizeof(VkApplicationInfo));
static_assert(sizeof(vulkan::InstanceCreate) == sizeof(VkInstanceCreateInfo));
static_assert(sizeof(vulkan::MemoryProperties2) == sizeof(VkPhysicalDeviceMemoryProperties2));
static_assert(sizeof(vulkan::MemoryBudget) == sizeof(VkPhysicalDeviceMemoryBudgetPropertiesEXT));
static_assert(sizeof(vulkan::PciBusInfo) == sizeof(VkPhysicalDevicePCIBusInfoPropertiesEXT));
static_assert(sizeof(vulkan::Extension) == sizeof(VkExtensionProperties));
static_assert(sizeof(vulkan::Heap) == sizeof(VkMemoryHeap));
static_assert(sizeof(Roomy<vulkan::Properties2>) >= sizeof(VkPhysicalDeviceProperties2));
static_assert(offsetof(vulkan::Properties2, name) ==
              offsetof(VkPhysicalDeviceProperties2, properties) + offsetof(VkPhysicalDeviceProperties, deviceName));
static_assert(offsetof(vulkan::MemoryProperties2, heaps) ==
              offsetof(VkPhysicalDeviceMemoryProperties2, memoryProperties) +
                  offsetof(VkPhysicalDeviceMemoryProperties, memoryHeaps));
static_assert(int{vulkan::kProperties2} == int{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2});
static_assert(int{vulkan::kMemoryProperties2} == int{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2});
static_assert(int{vulkan::kPciBusInfo} == int{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT});
static_assert(int{vulkan::kMemoryBudget} == int{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT});
static_assert(vulkan::kVersion11 == VK_API_VERSION_1_1);
#endif

// Machines with their library

TEST(GpuLibraryHosts, IntelArcWithLevelZero) {
    test::approve_with_library("gpu-intel-arc", "level-zero", "VELOLLM_LEVEL_ZERO", VELOLLM_FAKE_LEVEL_ZERO,
                               "FAKE_LEVEL_ZERO_SCENE", "desktop");
}

// What a child wrote, put into what files showed

Hardware machine_with(const Gpu& gpu) {
    Hardware machine;
    machine.gpus = {gpu};
    return machine;
}

Gpu card() {
    Gpu gpu;
    gpu.vendor = "Intel";
    gpu.name = "PCI 8086:56a0";
    gpu.pci_address = "0000:03:00.0";
    gpu.driver = "xe";
    gpu.vram_bytes = 16 * kGib;
    gpu.memory_source = "sysfs";
    return gpu;
}

Hardware merged(Hardware machine, const std::string& gpu) {
    const auto answer = parse_library_answer(R"({"init":0,"count":1,"gpus":[{)" + gpu + "}]}", kLevelZeroWords);
    merge_library_answer(*answer, kLevelZeroWords, machine);
    return machine;
}

const std::string kAddress = R"("domain":0,"bus":3,"device":0,"function":0,)";

TEST(LibraryAnswers, FillWhatFilesDoNotTell) {
    const Hardware machine =
        merged(machine_with(card()), kAddress + R"("name":"Arc","total":17179869184,"free":17179869183)");
    ASSERT_EQ(machine.gpus.size(), 1u);
    const Gpu& gpu = machine.gpus[0];
    EXPECT_EQ(gpu.name, "Arc");
    EXPECT_EQ(gpu.vram_used_bytes, 1);
    EXPECT_EQ(gpu.memory_source, "sysfs");
    EXPECT_EQ(gpu.memory_used_source, "level_zero");
    EXPECT_EQ(gpu.known_by, "");
    EXPECT_TRUE(machine.warnings.empty());
}

TEST(LibraryAnswers, AllFreeIsNoKnowledgeOfAUser) {
    EXPECT_EQ(
        merged(machine_with(card()), kAddress + R"("total":17179869184,"free":17179869184)").gpus[0].vram_used_bytes,
        std::nullopt);
}

TEST(LibraryAnswers, FilesWinAndATenthOfDifferenceIsSaid) {
    const auto with_total = [](std::int64_t bytes) {
        return merged(machine_with(card()), kAddress + R"("total":)" + std::to_string(bytes));
    };
    const std::int64_t bytes = 16 * kGib;
    for (const std::int64_t alike : {bytes, bytes - bytes / 10, bytes + bytes / 10})
        EXPECT_TRUE(with_total(alike).warnings.empty()) << alike;
    for (const std::int64_t other : {bytes - bytes / 9, bytes + bytes / 8}) {
        const Hardware machine = with_total(other);
        EXPECT_EQ(machine.gpus[0].vram_bytes, bytes);
        ASSERT_EQ(machine.warnings.size(), 1u);
        EXPECT_EQ(machine.warnings[0].code, "sources-disagree");
    }
    EXPECT_EQ(
        with_total(8 * kGib).warnings[0].message,
        "Of the memory in MiB of 0000:03:00.0, files say 16384 and Level Zero says 8192. The files' figure stands.");
    Gpu limited = card();
    limited.power_limit_w = 190;
    const Hardware machine = merged(machine_with(limited), kAddress + R"("power_limit_mw":150000)");
    EXPECT_EQ(machine.gpus[0].power_limit_w, 190);
    ASSERT_EQ(machine.warnings.size(), 1u);
    EXPECT_EQ(machine.warnings[0].code, "sources-disagree");
}

TEST(LibraryAnswers, UseIsNeverMoreThanTheFilesSize) {
    Gpu small = card();
    small.vram_bytes = 15 * kGib;
    EXPECT_EQ(merged(machine_with(small), kAddress + R"("total":17179869184,"free":0)").gpus[0].vram_used_bytes,
              15 * kGib);
}

TEST(LibraryAnswers, AddWhatFilesDoNotShow) {
    const Hardware machine = merged(machine_with(card()), R"("domain":0,"bus":4,"device":0,"total":1073741824)");
    ASSERT_EQ(machine.gpus.size(), 2u);
    EXPECT_EQ(machine.gpus[1].pci_address, "0000:04:00.0");
    EXPECT_EQ(machine.gpus[1].name, "Intel GPU");
    EXPECT_EQ(machine.gpus[1].known_by, "level_zero");
    EXPECT_EQ(machine.gpus[1].memory_source, "level_zero");
    EXPECT_EQ(machine.gpus[1].memory_used_source, "");
}

TEST(LibraryAnswers, AnIntegratedGpuHasNoMemoryOfItsOwn) {
    Gpu plain = card();
    plain.vram_bytes = std::nullopt;
    plain.memory_source.clear();
    const Gpu gpu = merged(machine_with(plain), kAddress + R"("integrated":1,"total":17179869184,"free":5)").gpus[0];
    EXPECT_TRUE(gpu.integrated);
    EXPECT_EQ(gpu.vram_bytes, std::nullopt);
    EXPECT_FALSE(merged(machine_with(card()), kAddress + R"("integrated":1)").gpus[0].integrated);
}

TEST(LibraryAnswers, AFunctionOfItsOwnIsAnAddressOfItsOwn) {
    const auto address = [](const std::string& fields) { return merged({}, fields).gpus.at(0).pci_address; };
    EXPECT_EQ(address(R"("domain":0,"bus":3,"device":1,"function":7)"), "0000:03:01.7");
    EXPECT_EQ(address(R"("domain":0,"bus":3,"device":1,"function":8)"), "");
    EXPECT_EQ(address(R"("domain":0,"bus":3,"device":1)"), "0000:03:01.0");
}

TEST(LibraryAnswers, UsedMayBeToldInPlaceOfFree) {
    const auto used = [](const std::string& fields) {
        return parse_library_answer(R"({"init":0,"count":1,"gpus":[{)" + fields + "}]}", kLevelZeroWords)->gpus.at(0);
    };
    EXPECT_EQ(used(R"("total":100,"used":100)").gpu.vram_used_bytes, 100);
    EXPECT_EQ(used(R"("total":100,"used":101)").gpu.vram_used_bytes, std::nullopt);
    EXPECT_EQ(used(R"("total":100,"used":101)").refused, (std::vector<std::string>{"used memory"}));
}

// Vulkan fills gaps only

Hardware merged_vulkan(Hardware machine, const std::string& gpu) {
    const auto answer = parse_library_answer(R"({"init":0,"count":1,"gpus":[{)" + gpu + "}]}", kVulkanWords);
    merge_library_answer(*answer, kVulkanWords, machine);
    return machine;
}

TEST(VulkanAnswers, NameOnlyWhatHasNoName) {
    const std::string told = kAddress + R"("name":"by Vulkan","vendor_id":32902)";
    EXPECT_EQ(merged_vulkan(machine_with(card()), told).gpus[0].name, "by Vulkan");
    Gpu named = card();
    named.name = "Arc";
    EXPECT_EQ(merged_vulkan(machine_with(named), told).gpus[0].name, "Arc");
}

TEST(VulkanAnswers, WithoutAnAddressMeanTheOnlyGpuOfTheirVendor) {
    const std::string told = R"("name":"by Vulkan","vendor_id":32902)";
    const auto names = [&](std::vector<Gpu> gpus) {
        Hardware machine;
        machine.gpus = std::move(gpus);
        std::string all;
        for (const Gpu& gpu : merged_vulkan(machine, told).gpus) all += gpu.name + ";";
        return all;
    };
    EXPECT_EQ(names({card()}), "by Vulkan;");
    EXPECT_EQ(names({card(), card()}), "PCI 8086:56a0;PCI 8086:56a0;");  // it may be either
    EXPECT_EQ(names({}), "by Vulkan;");
}

TEST(VulkanAnswers, RenderersOnTheProcessorAreNoGpus) {
    const Hardware machine = merged_vulkan({}, R"("name":"llvmpipe","vendor_id":65541,"software":1)");
    EXPECT_TRUE(machine.gpus.empty());
    EXPECT_TRUE(machine.warnings.empty());
    EXPECT_EQ(machine.skipped_displays, (std::vector<std::string>{"llvmpipe: software renderer"}));
}

// Bandwidth

double bandwidth(const std::string& vendor, int mhz, int bits) {
    Gpu gpu;
    gpu.vendor = vendor;
    gpu.max_memory_mhz = mhz;
    gpu.memory_bus_bits = bits;
    judge_bandwidth(gpu);
    EXPECT_EQ(gpu.theoretical_gbps.has_value(), !gpu.bandwidth_basis.empty());
    return gpu.theoretical_gbps.value_or(0);
}

TEST(GpuBandwidth, IsThatOfTheDataSheets) {
    EXPECT_NEAR(bandwidth("Nvidia", 10501, 384), 1008, 0.5);  // RTX 4090
    EXPECT_NEAR(bandwidth("Nvidia", 1215, 5120), 1555, 0.5);  // A100 40 GB
    EXPECT_NEAR(bandwidth("Nvidia", 2619, 5120), 3352, 0.5);  // H100 SXM
}

TEST(GpuBandwidth, IsUnknownWithoutAllOfItsInputs) {
    EXPECT_EQ(bandwidth("Amd", 1250, 384), 0);
    EXPECT_EQ(bandwidth("Intel", 2187, 256), 0);
    Gpu gpu;
    gpu.vendor = "Nvidia";
    gpu.max_memory_mhz = 10501;
    judge_bandwidth(gpu);
    EXPECT_EQ(gpu.theoretical_gbps, std::nullopt);
    gpu.theoretical_gbps = 7;
    gpu.memory_bus_bits = 384;
    judge_bandwidth(gpu);
    EXPECT_EQ(gpu.theoretical_gbps, 7);  // what a library stated stands
}

}  // namespace velollm::hardware::gpu_libraries_test
