#pragma once

#include <velollm/result.h>

#include <string>

#include "compare/side.h"

namespace velollm::cli {

/// Reads one side: a file, a folder of files, or - for standard input, with or without @KEY=VALUE behind it.
Result<compare::Side> read_side(const std::string& word);

}  // namespace velollm::cli
