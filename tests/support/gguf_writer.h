#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::test {

/// Writes the bytes of a GGUF file, correct or not: whatever a test asks for goes into the file unchecked.
class GgufWriter {
public:
    explicit GgufWriter(std::uint32_t version = 3, std::uint64_t alignment = 32)
        : version_(version), alignment_(alignment) {}

    /// `bytes` little-endian bytes of `value`.
    static std::string number(std::uint64_t value, std::size_t bytes) {
        std::string out;
        for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
        return out;
    }
    static std::string text(std::string_view text) { return number(text.size(), 8) + std::string(text); }

    /// A metadata value: the number of its type (8 text, 9 array) and its bytes as they stand in the file.
    GgufWriter& raw(std::string_view key, std::uint32_t type, std::string_view bytes) {
        metadata_ += text(key) + number(type, 4);
        metadata_ += bytes;
        ++keys_;
        return *this;
    }
    GgufWriter& u32(std::string_view key, std::uint64_t value) { return raw(key, 4, number(value, 4)); }
    GgufWriter& u64(std::string_view key, std::uint64_t value) { return raw(key, 10, number(value, 8)); }
    GgufWriter& str(std::string_view key, std::string_view value) { return raw(key, 8, text(value)); }
    GgufWriter& u32s(std::string_view key, const std::vector<std::uint32_t>& values) {
        std::string bytes = number(4, 4) + number(values.size(), 8);
        for (const std::uint32_t value : values) bytes += number(value, 4);
        return raw(key, 9, bytes);
    }
    GgufWriter& strs(std::string_view key, const std::vector<std::string>& values) {
        std::string bytes = number(8, 4) + number(values.size(), 8);
        for (const std::string& value : values) bytes += text(value);
        return raw(key, 9, bytes);
    }

    /// A tensor of `bytes` behind those before it.
    GgufWriter& tensor(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                       std::uint64_t bytes) {
        tensor_at(name, shape, type, padded(data_bytes_));
        data_bytes_ = padded(data_bytes_) + bytes;
        return *this;
    }
    GgufWriter& tensor_at(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                          std::uint64_t offset) {
        list_ += text(name) + number(shape.size(), 4);
        for (const std::uint64_t size : shape) list_ += number(size, 8);
        list_ += number(type, 4) + number(offset, 8);
        ++tensors_;
        return *this;
    }

    /// The file up to the end of its tensor list.
    std::string header() const { return start(tensors_, keys_) + metadata_ + list_; }
    /// The first 24 bytes of a file that claims these counts.
    std::string start(std::uint64_t tensors, std::uint64_t keys) const {
        return "GGUF" + number(version_, 4) + number(tensors, 8) + number(keys, 8);
    }
    std::uint64_t data_offset() const { return padded(header().size()); }
    /// The whole file; the data are zeros.
    std::string file() const {
        std::string out = header();
        out.resize(data_offset() + data_bytes_, '\0');
        return out;
    }

private:
    std::uint64_t padded(std::uint64_t bytes) const { return (bytes + alignment_ - 1) / alignment_ * alignment_; }

    std::uint32_t version_;
    std::uint64_t alignment_;
    std::string metadata_;
    std::string list_;
    std::uint64_t keys_ = 0;
    std::uint64_t tensors_ = 0;
    std::uint64_t data_bytes_ = 0;
};

}  // namespace velollm::test
