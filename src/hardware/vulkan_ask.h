#pragma once

#include <string>
#include <vector>

namespace velollm::hardware {

/// What Vulkan's drivers say of their devices, in the form of ask_library. Memory is that of the device's own heaps,
/// and free what the driver would let this process have (VK_EXT_memory_budget).
std::string ask_vulkan(const std::vector<std::string>& files);

}  // namespace velollm::hardware
