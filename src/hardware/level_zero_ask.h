#pragma once

#include <string>
#include <vector>

namespace velollm::hardware {

/// What Intel's GPUs say through Level Zero's system management, in the form of ask_library. Sizes are sums over the
/// memory modules of a device. Changes the environment of the process: call it in a child.
std::string ask_level_zero(const std::vector<std::string>& files);

}  // namespace velollm::hardware
