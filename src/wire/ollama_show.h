#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace velollm::wire {

/// A list of a model's metadata. `numbers` are its elements where all are whole numbers or truth values and no more
/// than kMaxShownNumbers; of other lists only the length is kept.
struct ShownList {
    std::uint64_t length = 0;
    std::vector<std::int64_t> numbers;
};

using ShownValue = std::variant<std::int64_t, double, bool, std::string, ShownList>;

struct ShownTensor {
    std::string name;
    std::string type;                 ///< by name: "Q4_K"
    std::vector<std::int64_t> shape;  ///< the length of a row first
};

/// What Ollama's POST /api/show says of a model's file, with "verbose": true.
struct ShownModel {
    std::vector<std::pair<std::string, ShownValue>> metadata;  ///< without those that are null
    std::vector<ShownTensor> tensors;
};

inline constexpr std::size_t kMaxShownNumbers = 4096;
/// Of keys, and of tensors; as in a file (gguf/parse_header.cpp).
inline constexpr std::size_t kMaxShownEntries = std::size_t{1} << 16U;

/// Nothing when the answer isn't JSON, lacks "model_info" or "tensors", has an entry of another form than these, or
/// more than kMaxShownEntries of them. What it takes is bounded by a few times the answer's length.
std::optional<ShownModel> read_ollama_show(std::string_view json);

}  // namespace velollm::wire
