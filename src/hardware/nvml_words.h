#pragma once

#include "hardware/library_answer.h"

namespace velollm::hardware {

/// How NVML's answers are to be understood.
extern const LibraryWords kNvmlWords;

}  // namespace velollm::hardware
