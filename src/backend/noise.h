#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <string>

namespace velollm::backend {

/// Rows of noise, as they stand in a file: normally distributed with a mean of 0 and a standard deviation of
/// 1 / sqrt(row_length), as weights have it, rounded to `type` (a number of gguf/tensor_types.h) by the engine's own
/// quantiser. The same seed gives the same rows. Fails for a type that the engine can't quantise to without an
/// importance matrix, and in a build without the engine.
Result<std::string> noise_rows(std::uint32_t type, std::int64_t row_length, std::int64_t rows, std::uint64_t seed);

}  // namespace velollm::backend
