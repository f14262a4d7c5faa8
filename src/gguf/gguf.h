#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/hyperparameters.h"
#include "gguf/tensor.h"

namespace velollm::gguf {

/// What the header of a GGUF file says of its model. A number that the file doesn't state is absent, a text is empty.
/// Where blocks differ, a count is the largest of any block.
struct Header {
    std::uint32_t version = 0;
    std::string architecture;  ///< "llama", "qwen3moe"; never empty
    std::string kind;          ///< general.type: "model", "adapter", "mmproj"
    std::string name;
    std::string quantization;  ///< general.file_type by name, e.g. "Q4_K_M"; else the type that most bytes have

    std::int64_t parameters = 0;  ///< elements of all tensors, as llama.cpp counts them
    std::int64_t tensors = 0;
    std::int64_t tensor_bytes = 0;    ///< of all tensors, without padding
    std::int64_t data_offset = 0;     ///< where the tensor data begins
    std::int64_t required_bytes = 0;  ///< smallest size that the file can have: the end of its last tensor

    std::optional<std::int64_t> blocks;
    std::optional<std::int64_t> embedding_length;
    std::optional<std::int64_t> heads;
    std::optional<std::int64_t> kv_heads;    ///< `heads` when the file has no own count, as in llama.cpp
    std::optional<std::int64_t> key_length;  ///< of one head; embedding_length / heads unless stated
    std::optional<std::int64_t> value_length;
    std::optional<std::int64_t> context_length;  ///< tokens it was trained for
    std::optional<std::int64_t> sliding_window;  ///< tokens
    std::optional<std::int64_t> experts;
    std::optional<std::int64_t> experts_used;
    std::optional<std::int64_t> vocab_size;
    bool has_chat_template = false;
    /// The output layer reuses the token embeddings. Absent when other parts of the model may hold the output layer.
    std::optional<bool> tied_embeddings;

    Hyperparameters hyperparameters;
    std::vector<Tensor> tensor_list;  ///< as they stand in the file

    /// Number of files that the model is split into. Above 1 this is the first: the shape is that of the whole model,
    /// while parameters, tensors and bytes are those of this file.
    std::int64_t parts = 1;
};

struct ModelFile {
    std::filesystem::path path;
    std::int64_t file_bytes = 0;
    Header header;
};

/// Reads the header of a GGUF model, and checks that the file is long enough for the tensors that it lists. Reads no
/// tensor data. A failure names the file and says what it is instead, which part is broken, or how much is missing.
Result<ModelFile> read_model_file(const std::filesystem::path& path);

/// Longest name of a tensor that is taken for one; llama.cpp takes 63.
inline constexpr std::size_t kMaxTensorName = 255;

/// The pure part of read_model_file: `first_bytes` are the beginning of a file of `file_bytes`; `file` is its name, for
/// messages. Nothing when the header goes on behind `first_bytes`: call again with more, up to the whole file or
/// kMaxHeaderBytes. Beside them it allocates less than 64 MiB, whatever counts and lengths they claim.
///
/// GGUF versions 2 and 3, little-endian (ggml/docs/gguf.md).
std::optional<Result<Header>> parse_header(std::string_view first_bytes, std::uint64_t file_bytes,
                                           std::string_view file);

/// What a file that doesn't begin with "GGUF" is instead, judged by its first bytes, with the way out in the hint.
Error not_gguf(std::string_view first_bytes, std::string_view file);

}  // namespace velollm::gguf
