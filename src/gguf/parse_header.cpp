#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gguf/gguf.h"
#include "gguf/metadata.h"
#include "gguf/size_text.h"
#include "gguf/tensor_types.h"

namespace velollm::gguf {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kKindBytes = 256;  // enough to say what another kind of file is
// Far above every real model (some hundred keys, some thousand tensors): a larger number is a broken one. They also
// bound what is allocated: 64 Ki tensors with the longest names are 26 MiB.
constexpr std::uint64_t kMaxKeys = std::uint64_t{1} << 16U;
constexpr std::uint64_t kMaxTensors = std::uint64_t{1} << 16U;
constexpr std::uint64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

Error corrupt(std::string_view file, std::string_view what) {
    return {ErrorCode::kFailed, fmt::format("Corrupt GGUF: {}: {}", file, what),
            "Download the file again, and compare its SHA-256 with the one on its download page."};
}

Error truncated(std::string_view file, std::string_view what) {
    return {ErrorCode::kFailed, fmt::format("Truncated GGUF: {} {}; the download stopped early", file, what),
            "Download it again."};
}

/// Refuses the versions that this reader can't read.
std::optional<Error> check_version(std::uint32_t version, std::string_view file) {
    if (version == 2 || version == 3) return std::nullopt;
    // Every version number is small: when its upper half is the one that is set, the bytes stand in the other order.
    if (version != 0 && (version & 0xFFFFU) == 0)
        return Error{ErrorCode::kFailed,
                     fmt::format("Unsupported GGUF: {} is big-endian, made for other processors", file),
                     "Get the little-endian file of this model."};
    if (version == 1)
        return Error{ErrorCode::kFailed,
                     fmt::format("Unsupported GGUF: {} has version 1, which llama.cpp gave up in 2023", file),
                     "Download a newer file of this model, or convert it again."};
    if (version == 0) return corrupt(file, "its version is 0");
    return Error{ErrorCode::kFailed,
                 fmt::format("Unsupported GGUF: {} has version {}; this program reads 2 and 3", file, version),
                 "Use a newer version of this program, or another file of this model."};
}

/// What is wrong with a tensor, to stand behind its name. A type that can't be read is no sign of a broken file.
struct Problem {
    std::string what;
    bool unsupported = false;
};

Problem bad_type(std::uint32_t number) {
    if (const auto removed = removed_tensor_type(number); !removed.empty())
        return {fmt::format("has the type {}, which llama.cpp has given up", removed), true};
    return {fmt::format("has the type {}, which llama.cpp 0.5.0 doesn't know", number), true};
}

std::optional<Problem> read_tensor(Reader& reader, Tensor& tensor) {
    const std::string_view name = reader.text();
    tensor.name = name.substr(0, kMaxTensorName + 1);
    const auto dimensions = reader.number<std::uint32_t>();
    if (reader.ok() && name.size() > kMaxTensorName)
        return Problem{fmt::format("has a name of {} characters", name.size())};
    if (dimensions > kMaxDimensions) return Problem{fmt::format("has {} dimensions", dimensions)};
    bool overflow = false;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
        const auto size = reader.number<std::uint64_t>();
        overflow |= size > kMaxInteger;
        tensor.shape.at(i) = static_cast<std::int64_t>(size);
    }
    tensor.type = reader.number<std::uint32_t>();
    const auto offset = reader.number<std::uint64_t>();
    if (!reader.ok()) return std::nullopt;

    const TensorType* type = tensor_type(tensor.type);
    if (type == nullptr) return bad_type(tensor.type);
    const std::int64_t row = tensor.shape.front();
    if (!overflow && element_count(tensor) && row % type->block != 0)
        return Problem{fmt::format("has rows of {} elements, not a multiple of {} ({})", row, type->block, type->name)};
    const auto bytes = overflow ? std::nullopt : data_bytes(tensor);
    if (!bytes) return Problem{"is larger than any file"};
    if (offset > kMaxInteger) return Problem{"ends beyond the largest file"};
    tensor.offset = static_cast<std::int64_t>(offset);
    tensor.bytes = *bytes;
    return std::nullopt;
}

/// What the tensor list adds up to.
struct Totals {
    std::int64_t data_bytes = 0;  ///< from the start of the data to the end of the last tensor
    std::array<std::int64_t, kTensorTypeCount> bytes_of_type{};
    bool has_embedding = false;
    bool has_output = false;
};

std::optional<Problem> add_tensor(const Tensor& tensor, std::uint64_t alignment, Header& header, Totals& totals) {
    if (static_cast<std::uint64_t>(tensor.offset) % alignment != 0)
        return Problem{fmt::format("begins at {}, which isn't a multiple of {}", tensor.offset, alignment)};
    std::int64_t end = 0;
    if (__builtin_add_overflow(tensor.offset, tensor.bytes, &end)) return Problem{"ends beyond the largest file"};
    if (__builtin_add_overflow(header.parameters, *element_count(tensor), &header.parameters) ||
        __builtin_add_overflow(header.tensor_bytes, tensor.bytes, &header.tensor_bytes))
        return Problem{"makes the model larger than any file"};
    totals.data_bytes = std::max(totals.data_bytes, end);
    totals.bytes_of_type[tensor.type] += tensor.bytes;
    totals.has_embedding |= tensor.name == "token_embd.weight";
    totals.has_output |= tensor.name == "output.weight";
    return std::nullopt;
}

/// Checks the tensors against each other: no two of one name, and none that lies in another.
std::optional<Error> check_list(const std::vector<Tensor>& tensors, std::string_view file) {
    std::vector<const Tensor*> order;
    order.reserve(tensors.size());
    for (const Tensor& tensor : tensors) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) { return a->name < b->name; });
    const auto twice = std::adjacent_find(order.begin(), order.end(),
                                          [](const Tensor* a, const Tensor* b) { return a->name == b->name; });
    if (twice != order.end())
        return corrupt(file, fmt::format("tensor \"{}\" stands there twice", base::one_line((*twice)->name, 80)));

    std::erase_if(order, [](const Tensor* tensor) { return tensor->bytes == 0; });
    std::stable_sort(order.begin(), order.end(),
                     [](const Tensor* a, const Tensor* b) { return a->offset < b->offset; });
    const auto into = std::adjacent_find(
        order.begin(), order.end(), [](const Tensor* a, const Tensor* b) { return a->offset + a->bytes > b->offset; });
    if (into == order.end()) return std::nullopt;
    return corrupt(file, fmt::format("tensor \"{}\" overlaps tensor \"{}\"", base::one_line((*into)->name, 80),
                                     base::one_line((*std::next(into))->name, 80)));
}

/// Reads the list of tensors. Nothing when all is well, and when the bytes ran out.
std::optional<Error> read_tensors(Reader& reader, std::uint64_t alignment, std::string_view file, Header& header,
                                  Totals& totals) {
    for (std::int64_t i = 0; i < header.tensors; ++i) {
        Tensor tensor;
        auto problem = read_tensor(reader, tensor);
        if (reader.state() == Reader::State::kShort) return std::nullopt;
        if (!reader.ok())
            return corrupt(file, fmt::format("the name of tensor {} of {} is impossibly long", i + 1, header.tensors));
        if (!problem) problem = add_tensor(tensor, alignment, header, totals);
        if (!problem) {
            header.tensor_list.push_back(std::move(tensor));
            continue;
        }
        const std::string what = fmt::format("tensor \"{}\" {}", base::one_line(tensor.name, 80), problem->what);
        if (!problem->unsupported) return corrupt(file, what);
        return Error{ErrorCode::kFailed, fmt::format("Unsupported GGUF: {}: {}", file, what),
                     "Use a file of this model with another quantisation, e.g. Q4_0 or Q4_K_M."};
    }
    return check_list(header.tensor_list, file);
}

/// The file's own word for its quantisation, else the type that most bytes have; empty for a file without tensors.
std::string quantization(std::optional<std::int64_t> file_type, const Totals& totals) {
    if (file_type && !file_type_name(*file_type).empty()) return std::string(file_type_name(*file_type));
    const auto most = std::max_element(totals.bytes_of_type.begin(), totals.bytes_of_type.end());
    if (*most == 0) return {};
    const TensorType* type = tensor_type(static_cast<std::uint32_t>(most - totals.bytes_of_type.begin()));
    return std::string(type->name);
}

std::string text_or_empty(Metadata& metadata, const std::string& key) {
    return base::one_line(metadata.text(key).value_or(""));
}

/// Heads and what follows from them, with llama.cpp's defaults for what a file leaves out.
void read_attention(Metadata& metadata, Header& header) {
    const std::string attention = header.architecture + ".attention.";
    header.heads = metadata.integer(attention + "head_count");
    header.kv_heads = metadata.integer(attention + "head_count_kv");
    if (!header.kv_heads) header.kv_heads = header.heads;

    std::optional<std::int64_t> per_head;
    if (header.embedding_length && header.heads.value_or(0) > 0) per_head = *header.embedding_length / *header.heads;
    header.key_length = metadata.integer(attention + "key_length");
    header.value_length = metadata.integer(attention + "value_length");
    if (!header.key_length) header.key_length = per_head;
    if (!header.value_length) header.value_length = per_head;
    header.sliding_window = metadata.integer(attention + "sliding_window");
}

void read_shape(Metadata& metadata, Header& header) {
    const std::string prefix = header.architecture + ".";
    header.kind = text_or_empty(metadata, "general.type");
    header.name = text_or_empty(metadata, "general.name");
    header.blocks = metadata.integer(prefix + "block_count");
    header.embedding_length = metadata.integer(prefix + "embedding_length");
    header.context_length = metadata.integer(prefix + "context_length");
    header.experts = metadata.integer(prefix + "expert_count");
    header.experts_used = metadata.integer(prefix + "expert_used_count");
    read_attention(metadata, header);
    header.hyperparameters = read_hyperparameters(metadata, header.architecture);
    header.vocab_size = metadata.array_size("tokenizer.ggml.tokens");
    if (!header.vocab_size) header.vocab_size = metadata.integer(prefix + "vocab_size");
    header.has_chat_template = metadata.text("tokenizer.chat_template").has_value();
}

/// Reads what says which model this is, before its tensors are looked at.
std::optional<Error> read_identity(Metadata& metadata, std::string_view file, Header& header) {
    header.parts = std::max<std::int64_t>(metadata.integer("split.count").value_or(1), 1);
    const std::int64_t part = metadata.integer("split.no").value_or(0);
    if (header.parts > 1 && part > 0)
        return Error{ErrorCode::kFailed,
                     fmt::format("{} is part {} of a model that is split into {} files", file, part + 1, header.parts),
                     fmt::format("Give the first part; its name ends in -00001-of-{:05}.gguf.", header.parts)};
    header.architecture = text_or_empty(metadata, "general.architecture");
    if (header.architecture.empty()) return corrupt(file, "it names no architecture (key \"general.architecture\")");
    read_shape(metadata, header);
    return std::nullopt;
}

/// Checks the places of the tensors against each other and against the file's size.
std::optional<Error> check_sizes(const Totals& totals, std::uint64_t alignment, std::uint64_t file_bytes,
                                 std::string_view file, Header& header) {
    if (header.tensors == 0) {
        header.required_bytes = header.data_offset;
        if (header.parts > 1) return std::nullopt;  // the weights may begin in the second part
        return Error{ErrorCode::kFailed, fmt::format("{} holds a vocabulary without weights", file),
                     "Give the file of the model itself."};
    }
    const std::uint64_t end_of_header = static_cast<std::uint64_t>(header.data_offset);
    const std::uint64_t data_offset = (end_of_header + alignment - 1) / alignment * alignment;
    if (data_offset > kMaxInteger ||
        __builtin_add_overflow(static_cast<std::int64_t>(data_offset), totals.data_bytes, &header.required_bytes))
        return corrupt(file, "its data ends beyond the largest file");
    header.data_offset = static_cast<std::int64_t>(data_offset);
    if (static_cast<std::uint64_t>(header.required_bytes) > file_bytes)
        return truncated(file, fmt::format("has {} of {}", size_text(file_bytes),
                                           size_text(static_cast<std::uint64_t>(header.required_bytes))));
    return std::nullopt;
}

/// Why the reader stopped: nothing when it needs more bytes than it was given and the file has them.
std::optional<Result<Header>> ran_out(const Reader& reader, std::size_t given, std::uint64_t file_bytes,
                                      std::string_view file) {
    if (reader.state() == Reader::State::kAbsurd)
        return corrupt(file, fmt::format("its header claims to be longer than {}", size_text(kMaxHeaderBytes)));
    if (given < file_bytes) return std::nullopt;
    return truncated(file, fmt::format("ends inside its header, after {}", size_text(file_bytes)));
}

}  // namespace

std::optional<Result<Header>> parse_header(std::string_view first_bytes, std::uint64_t file_bytes,
                                           std::string_view file) {
    Reader reader(first_bytes);
    const auto stopped = [&] { return ran_out(reader, first_bytes.size(), file_bytes, file); };
    if (!kMagic.starts_with(first_bytes.substr(0, kMagic.size()))) {
        if (first_bytes.size() < std::min(file_bytes, kKindBytes)) return std::nullopt;
        return not_gguf(first_bytes, file);
    }
    reader.take(kMagic.size());

    Header header;
    header.version = reader.number<std::uint32_t>();
    if (!reader.ok()) return stopped();
    if (const auto error = check_version(header.version, file)) return *error;
    const auto tensors = reader.number<std::uint64_t>();
    const auto keys = reader.number<std::uint64_t>();
    if (!reader.ok()) return stopped();
    if (tensors > kMaxTensors) return corrupt(file, fmt::format("it claims to have {} tensors", tensors));
    if (keys > kMaxKeys) return corrupt(file, fmt::format("it claims to have {} metadata keys", keys));
    header.tensors = static_cast<std::int64_t>(tensors);

    Metadata metadata;
    if (const auto wrong = read_metadata(reader, keys, metadata)) return corrupt(file, *wrong);
    if (!reader.ok()) return stopped();
    if (const auto error = read_identity(metadata, file, header)) return *error;
    const auto alignment = static_cast<std::uint64_t>(metadata.integer("general.alignment").value_or(32));
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        return corrupt(file, fmt::format("key \"general.alignment\" is {}, which is no power of two", alignment));
    const auto file_type = metadata.integer("general.file_type");
    if (!metadata.wrong_key().empty())
        return corrupt(file, fmt::format("key \"{}\" has a value of the wrong kind", metadata.wrong_key()));

    Totals totals;
    if (const auto error = read_tensors(reader, alignment, file, header, totals)) return *error;
    if (!reader.ok()) return stopped();
    header.data_offset = static_cast<std::int64_t>(reader.position());
    if (const auto error = check_sizes(totals, alignment, file_bytes, file, header)) return *error;
    header.quantization = quantization(file_type, totals);
    if (header.parts == 1 && totals.has_embedding) header.tied_embeddings = !totals.has_output;
    return header;
}

}  // namespace velollm::gguf
