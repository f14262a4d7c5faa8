#pragma once

#include "hardware/library_answer.h"

namespace velollm::hardware {

/// How the answers of Level Zero are to be understood.
extern const LibraryWords kLevelZeroWords;

}  // namespace velollm::hardware
