#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace velollm::gguf {

inline constexpr std::size_t kMaxDimensions = 4;

/// One tensor of a model. Dimensions that it hasn't are 1; the first is the length of a row.
struct Tensor {
    std::string name;
    std::array<std::int64_t, kMaxDimensions> shape{1, 1, 1, 1};
    std::uint32_t type = 0;   ///< a number of tensor_types.h
    std::int64_t offset = 0;  ///< from the beginning of the data
    std::int64_t bytes = 0;   ///< without padding
};

/// Product of the dimensions; nothing when it is beyond 2^63 - 1 or one of them is negative.
std::optional<std::int64_t> element_count(const Tensor& tensor);

/// What the elements take in a file. Nothing for a type that isn't known, for rows that aren't a multiple of its block,
/// and beyond 2^63 - 1.
std::optional<std::int64_t> data_bytes(const Tensor& tensor);

/// Dimensions without those of 1 at the end, as llama.cpp counts them: at least 1.
std::size_t dimension_count(const Tensor& tensor);

}  // namespace velollm::gguf
