#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace velollm::gguf {

/// How elements of one type lie in the file: `block` of them share `block_bytes` bytes.
struct TensorType {
    std::string_view name;
    std::int64_t block = 0;
    std::int64_t block_bytes = 0;
};

/// Numbers of the types that this program writes (enum ggml_type).
namespace types {
inline constexpr std::uint32_t kF32 = 0;
inline constexpr std::uint32_t kF16 = 1;
inline constexpr std::uint32_t kQ4_0 = 2;
inline constexpr std::uint32_t kQ4_1 = 3;
inline constexpr std::uint32_t kQ5_0 = 6;
inline constexpr std::uint32_t kQ5_1 = 7;
inline constexpr std::uint32_t kQ8_0 = 8;
inline constexpr std::uint32_t kQ2_K = 10;
inline constexpr std::uint32_t kQ3_K = 11;
inline constexpr std::uint32_t kQ4_K = 12;
inline constexpr std::uint32_t kQ5_K = 13;
inline constexpr std::uint32_t kQ6_K = 14;
inline constexpr std::uint32_t kIQ4_NL = 20;
inline constexpr std::uint32_t kIQ4_XS = 23;
inline constexpr std::uint32_t kBF16 = 30;
inline constexpr std::uint32_t kMXFP4 = 39;
}  // namespace types

/// One more than the largest type number that is known (ggml.h of llama.cpp 0.5.0).
inline constexpr std::uint32_t kTensorTypeCount = 43;

/// The type with this number; nullptr when it isn't known, or when llama.cpp gave it up.
/// Number 4 is MXFP4: Ollama's first gpt-oss files have it, and no GGUF was ever written with its old meaning, Q4_2.
const TensorType* tensor_type(std::uint32_t number);

/// The number of the type with this name, upper or lower case; for MXFP4 llama.cpp's. Nothing when there is none.
std::optional<std::uint32_t> tensor_type_number(std::string_view name);

/// The name of a type that llama.cpp has given up, e.g. "Q4_0_4_4"; empty for every other number.
std::string_view removed_tensor_type(std::uint32_t number);

/// The name that llama-quantize takes for a value of general.file_type, e.g. "Q4_K_M" for 15. MXFP4 files have one
/// name, whichever of the two numbers (Ollama's 4, llama.cpp's 38) is written in them. Empty when the number isn't
/// known.
std::string_view file_type_name(std::int64_t number);

/// The value of general.file_type with this name, upper or lower case; for MXFP4 llama.cpp's. Nothing when there is
/// none.
std::optional<std::int64_t> file_type_number(std::string_view name);

}  // namespace velollm::gguf
