#pragma once

#include <string>
#include <vector>

namespace velollm::hardware {

/// What NVIDIA's management library says, in the form of ask_library. Each function that may refuse for a reason that
/// matters has its return code beside it ("memory_code"). Slices of a GPU (MIG) are in "slices".
std::string ask_nvml(const std::vector<std::string>& files);

}  // namespace velollm::hardware
