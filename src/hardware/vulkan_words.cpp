#include "hardware/vulkan_words.h"

#include <fmt/format.h>

#include "hardware/vulkan_abi.h"

namespace velollm::hardware {
namespace {

HardwareWarning refusal(std::int64_t code, const std::string&, const std::string&) {
    if (code == vulkan::kNoDriver)
        return gpu_warning("library-missing", "Vulkan finds no driver.", "Install the GPU's (mesa-vulkan-drivers).");
    return gpu_warning("gpu-unreadable", fmt::format("Vulkan refuses to start, with its code {}.", code),
                       "vulkaninfo may say more.");
}

}  // namespace

const LibraryWords kVulkanWords{
    .source = "vulkan",
    .title = "Vulkan",
    .vendor = "",
    .driver = "",
    .unnamed = "Unnamed GPU",
    .if_absent = "Install Vulkan's loader (libvulkan1).",
    .if_broken = "Install Vulkan's loader (libvulkan1) anew.",
    .if_odd = "Compare with vulkaninfo.",
    .refusal = refusal,
    .fills_gaps_only = true,
};

}  // namespace velollm::hardware
