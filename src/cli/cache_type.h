#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <string>

namespace velollm::cli {

/// The number of gguf/tensor_types.h of a type of the KV cache: "f16", "q8_0".
Result<std::uint32_t> cache_type(const std::string& name);

}  // namespace velollm::cli
