#include "hardware/vendor_libraries.h"

#include <algorithm>
#include <array>

#include "hardware/gpu_files.h"
#include "hardware/level_zero_ask.h"
#include "hardware/level_zero_words.h"
#include "hardware/nvml_ask.h"
#include "hardware/nvml_words.h"
#include "hardware/vulkan_ask.h"
#include "hardware/vulkan_words.h"

namespace velollm::hardware {
namespace {

using Gpus = std::vector<Gpu>;

bool any_driver(const Gpus& gpus, std::string_view driver) {
    return std::any_of(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.driver == driver; });
}

constexpr std::array kNvmlFiles{"libnvidia-ml.so.1"};

bool nvml_wanted(const system::System& system, const Gpus& gpus) {
    return any_driver(gpus, "nvidia") || is_there(system, "/dev/nvidiactl") || is_there(system, "/dev/dxg");
}

/// /dev/dxg alone says that WSL has some GPU, of any vendor: a missing library is no surprise then.
bool nvml_missed(const system::System& system, const Gpus& gpus) {
    return is_there(system, "/dev/nvidiactl") ||
           std::any_of(gpus.begin(), gpus.end(), [](const Gpu& gpu) { return gpu.vendor == "Nvidia"; });
}

constexpr std::array kLevelZeroFiles{"libze_loader.so.1"};

bool level_zero_wanted(const system::System&, const Gpus& gpus) {
    return any_driver(gpus, "i915") || any_driver(gpus, "xe");
}

/// Files tell all that matters of an integrated GPU.
bool level_zero_missed(const system::System&, const Gpus& gpus) {
    return std::any_of(gpus.begin(), gpus.end(),
                       [](const Gpu& gpu) { return gpu.vendor == "Intel" && gpu.vram_bytes.value_or(0) > 0; });
}

constexpr std::array kVulkanFiles{"libvulkan.so.1"};

/// A GPU that a driver holds and that has no name or memory yet; or WSL, which shows GPUs on no bus.
bool vulkan_wanted(const system::System& system, const Gpus& gpus) {
    if (gpus.empty()) return is_there(system, "/dev/dxg");
    return std::any_of(gpus.begin(), gpus.end(), [](const Gpu& gpu) {
        const bool remembered = gpu.vram_bytes || gpu.integrated || gpu.mig == true;
        return !gpu.driver.empty() && (!remembered || gpu.name.starts_with("PCI "));
    });
}

bool vulkan_missed(const system::System&, const Gpus&) {
    return false;
}

const std::array kLibraries{
    VendorLibrary{.words = &kNvmlWords,
                  .variable = "VELOLLM_NVML",
                  .files = kNvmlFiles,
                  .ask = ask_nvml,
                  .wanted = nvml_wanted,
                  .missed = nvml_missed,
                  .lists_all = true},
    VendorLibrary{.words = &kLevelZeroWords,
                  .variable = "VELOLLM_LEVEL_ZERO",
                  .files = kLevelZeroFiles,
                  .ask = ask_level_zero,
                  .wanted = level_zero_wanted,
                  .missed = level_zero_missed},
    VendorLibrary{.words = &kVulkanWords,
                  .variable = "VELOLLM_VULKAN",
                  .files = kVulkanFiles,
                  .ask = ask_vulkan,
                  .wanted = vulkan_wanted,
                  .missed = vulkan_missed,
                  .last_resort = true},
};

}  // namespace

std::span<const VendorLibrary> vendor_libraries() {
    return kLibraries;
}

std::vector<std::string> files_to_ask(const VendorLibrary& library, const system::System& system, const Gpus& gpus) {
    if (auto named = system.variable(std::string(library.variable))) return {*named};
    if (!library.wanted(system, gpus)) return {};
    return {library.files.begin(), library.files.end()};
}

}  // namespace velollm::hardware
