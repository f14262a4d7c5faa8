#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "gguf/tensor.h"

namespace velollm::gguf {

/// One metadata value to write. A list is written as an array of its elements' type.
struct Item {
    using Flags = std::vector<bool>;
    using Numbers = std::vector<std::uint32_t>;

    std::string key;
    std::variant<std::uint32_t, float, bool, std::string, Numbers, Flags> value;
};

/// The beginning of a GGUF file, and how long the file is with all its tensors.
struct HeaderBytes {
    std::string bytes;  ///< up to the end of the tensor list
    std::int64_t data_offset = 0;
    std::int64_t file_bytes = 0;
};

/// Lays the tensors out one behind the other, at multiples of 32 as llama.cpp wants them, whatever their `offset` and
/// `bytes` say. Fails for a tensor whose rows aren't a multiple of its type's block, or that no file can hold.
Result<HeaderBytes> write_header(const std::vector<Item>& metadata, const std::vector<Tensor>& tensors);

/// Writes a file that has this header and holes where its tensors would be: it takes a few kilobytes of disk, whatever
/// its length. A file that is there is replaced.
Result<void> write_sparse_file(const std::filesystem::path& path, const HeaderBytes& header);

}  // namespace velollm::gguf
