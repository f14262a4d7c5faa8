#pragma once

#include "hardware/library_answer.h"

namespace velollm::hardware {

/// How the answers of Vulkan's loader are to be understood.
extern const LibraryWords kVulkanWords;

}  // namespace velollm::hardware
