#pragma once

#include <cstdint>
#include <string_view>

namespace velollm::gguf {

/// How elements of one type lie in the file: `block` of them share `block_bytes` bytes.
struct TensorType {
    std::string_view name;
    std::int64_t block = 0;
    std::int64_t block_bytes = 0;
};

/// One more than the largest type number that is known (ggml.h of llama.cpp 0.5.0).
inline constexpr std::uint32_t kTensorTypeCount = 43;

/// The type with this number; nullptr when it isn't known, or when llama.cpp gave it up.
/// Number 4 is MXFP4: Ollama's first gpt-oss files have it, and no GGUF was ever written with its old meaning, Q4_2.
const TensorType* tensor_type(std::uint32_t number);

/// The name of a type that llama.cpp has given up, e.g. "Q4_0_4_4"; empty for every other number.
std::string_view removed_tensor_type(std::uint32_t number);

/// The name that llama-quantize takes for a value of general.file_type, e.g. "Q4_K_M" for 15. MXFP4 files have one
/// name, whichever of the two numbers (Ollama's 4, llama.cpp's 38) is written in them. Empty when the number isn't
/// known.
std::string_view file_type_name(std::int64_t number);

}  // namespace velollm::gguf
