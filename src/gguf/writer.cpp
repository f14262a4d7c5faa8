#include "gguf/writer.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>

#include "base/text.h"
#include "gguf/metadata.h"

namespace velollm::gguf {
namespace {

constexpr std::int64_t kAlignment = 32;
constexpr std::uint32_t kVersion = 3;

void put(std::string& out, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
}

void put(std::string& out, std::string_view text) {
    put(out, text.size(), 8);
    out += text;
}

void put(std::string& out, ValueType type) {
    put(out, static_cast<std::uint32_t>(type), 4);
}

struct PutValue {
    std::string& out;

    void operator()(std::uint32_t value) const {
        put(out, ValueType::kU32);
        put(out, value, 4);
    }
    void operator()(float value) const {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof(bits));
        put(out, ValueType::kF32);
        put(out, bits, 4);
    }
    void operator()(bool value) const {
        put(out, ValueType::kBool);
        put(out, value ? 1 : 0, 1);
    }
    void operator()(const std::string& value) const {
        put(out, ValueType::kText);
        put(out, std::string_view(value));
    }
    void operator()(const Item::Numbers& values) const {
        array(ValueType::kU32, values.size());
        for (const std::uint32_t value : values) put(out, value, 4);
    }
    void operator()(const Item::Flags& values) const {
        array(ValueType::kBool, values.size());
        for (const bool value : values) put(out, value ? 1 : 0, 1);
    }

private:
    void array(ValueType type, std::size_t count) const {
        put(out, ValueType::kArray);
        put(out, type);
        put(out, count, 8);
    }
};

Error impossible(const Tensor& tensor) {
    return {ErrorCode::kFailed,
            fmt::format("Tensor \"{}\" with rows of {} can't have the type {}", base::one_line(tensor.name, 80),
                        tensor.shape.front(), tensor.type),
            "The model's shape is wrong, or it can't be quantised this way: choose another quantisation."};
}

/// Nothing beyond 2^63 - 1.
std::optional<std::int64_t> aligned(std::int64_t bytes) {
    if (__builtin_add_overflow(bytes, kAlignment - 1, &bytes)) return std::nullopt;
    return bytes / kAlignment * kAlignment;
}

}  // namespace

Result<HeaderBytes> write_header(const std::vector<Item>& metadata, const std::vector<Tensor>& tensors) {
    HeaderBytes header;
    header.bytes = "GGUF";
    put(header.bytes, kVersion, 4);
    put(header.bytes, tensors.size(), 8);
    put(header.bytes, metadata.size(), 8);
    for (const Item& item : metadata) {
        put(header.bytes, std::string_view(item.key));
        std::visit(PutValue{header.bytes}, item.value);
    }
    std::int64_t data = 0;
    for (const Tensor& tensor : tensors) {
        put(header.bytes, std::string_view(tensor.name));
        const std::size_t dimensions = dimension_count(tensor);
        put(header.bytes, dimensions, 4);
        for (std::size_t i = 0; i < dimensions; ++i)
            put(header.bytes, static_cast<std::uint64_t>(tensor.shape.at(i)), 8);
        put(header.bytes, tensor.type, 4);
        put(header.bytes, static_cast<std::uint64_t>(data), 8);
        const auto bytes = data_bytes(tensor);
        const auto padded = bytes ? aligned(*bytes) : std::nullopt;
        if (!padded || __builtin_add_overflow(data, *padded, &data)) return impossible(tensor);
    }
    header.data_offset = *aligned(static_cast<std::int64_t>(header.bytes.size()));
    if (__builtin_add_overflow(header.data_offset, data, &header.file_bytes)) return impossible(tensors.back());
    return header;
}

Result<void> write_sparse_file(const std::filesystem::path& path, const HeaderBytes& header) {
    const auto failed = [&](const std::string& why) {
        return Error{ErrorCode::kFailed, fmt::format("Cannot write {}: {}", path.string(), why),
                     "Check that the folder can be written, and that the file system holds large sparse files."};
    };
    std::FILE* file = std::fopen(path.c_str(), "wbe");
    if (file == nullptr) return failed("it can't be made");
    const bool written = std::fwrite(header.bytes.data(), 1, header.bytes.size(), file) == header.bytes.size();
    if (std::fclose(file) != 0 || !written) return failed("writing failed");
    std::error_code error;
    std::filesystem::resize_file(path, static_cast<std::uintmax_t>(header.file_bytes), error);
    if (error) return failed(error.message());
    return {};
}

}  // namespace velollm::gguf
