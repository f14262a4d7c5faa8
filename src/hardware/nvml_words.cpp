#include "hardware/nvml_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hardware/nvml_abi.h"

namespace velollm::hardware {
namespace {

HardwareWarning refusal(std::int64_t code, const std::string& library, const std::string& kernel_driver) {
    switch (code) {
        case nvml::kLibraryMismatch:
            return gpu_warning(
                "driver-library-mismatch",
                fmt::format("NVIDIA's library{}{} doesn't fit the loaded kernel driver{}{}.",
                            library.empty() ? "" : " ", library, kernel_driver.empty() ? "" : " ", kernel_driver),
                "Restart the machine: after an update of the driver the old one stays loaded until then.");
        case nvml::kDriverNotLoaded:
            return gpu_warning("driver-not-loaded", "NVIDIA's library finds no loaded kernel driver.",
                               "Load it (modprobe nvidia), or see in the kernel's log why it isn't.");
        case nvml::kNoPermission:
            return gpu_warning("gpu-unreadable", "NVIDIA's library may not use the GPU's device files.",
                               "Run as a user who may open /dev/nvidia*.");
        default:
            return gpu_warning("gpu-unreadable",
                               fmt::format("NVIDIA's library refuses to start, with its code {}.", code),
                               "nvidia-smi may say more.");
    }
}

/// NVML shares the memory of these with the processor, and either doesn't support the question or answers with all of
/// the machine's memory. A lost discrete GPU answers like them, so that the name has to decide.
bool shares_memory(const LibraryGpu& gpu, std::int64_t machine_bytes) {
    constexpr std::array<std::string_view, 6> kParts{"GB10", "Orin", "Thor", "Xavier", "Tegra", "DGX Spark"};
    const bool part = std::any_of(kParts.begin(), kParts.end(),
                                  [&](std::string_view name) { return gpu.gpu.name.find(name) != std::string::npos; });
    return part && (gpu.memory_not_supported || gpu.gpu.vram_bytes.value_or(0) >= machine_bytes / 10 * 9);
}

}  // namespace

const LibraryWords kNvmlWords{
    .source = "nvml",
    .title = "NVIDIA's library",
    .vendor = "Nvidia",
    .driver = "nvidia",
    .unnamed = "NVIDIA GPU",
    .if_absent = "Install the user-space part of the driver; in a container, start it with --gpus all.",
    .if_broken = "Install the driver's own libnvidia-ml.so.1 anew.",
    .if_odd = "Compare with nvidia-smi.",
    .refusal = refusal,
    .shares_memory = shares_memory,
};

}  // namespace velollm::hardware
