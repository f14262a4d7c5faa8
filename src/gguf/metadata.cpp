#include "gguf/metadata.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace velollm::gguf {
namespace {

constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

/// Bytes of one value; 0 for texts, arrays and numbers that are no type.
std::uint64_t value_bytes(ValueType type) {
    switch (type) {
        case ValueType::kU8:
        case ValueType::kI8:
        case ValueType::kBool: return 1;
        case ValueType::kU16:
        case ValueType::kI16: return 2;
        case ValueType::kU32:
        case ValueType::kI32:
        case ValueType::kF32: return 4;
        case ValueType::kU64:
        case ValueType::kI64:
        case ValueType::kF64: return 8;
        case ValueType::kText:
        case ValueType::kArray: break;
    }
    return 0;
}

bool is_integer(ValueType type) {
    return value_bytes(type) != 0 && type != ValueType::kBool && type != ValueType::kF32 && type != ValueType::kF64;
}

bool is_signed(ValueType type) {
    return type == ValueType::kI8 || type == ValueType::kI16 || type == ValueType::kI32 || type == ValueType::kI64;
}

/// Element `index` of whole numbers; nothing when it is negative or beyond 2^63 - 1.
std::optional<std::int64_t> element(const Value& value, std::uint64_t index) {
    const std::uint64_t size = value_bytes(value.type);
    const std::uint64_t number = Reader::little_endian(value.bytes.substr(index * size, size));
    const std::uint64_t sign_bit = std::uint64_t{1} << (size * 8 - 1);
    if (is_signed(value.type) && (number & sign_bit) != 0) return std::nullopt;
    if (number > static_cast<std::uint64_t>(kMaxInteger)) return std::nullopt;
    return static_cast<std::int64_t>(number);
}

/// Moves over an array whose elements bring their own lengths.
void skip_texts(Reader& reader, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) reader.text();
}

std::optional<std::string> read_value(Reader& reader, Value& value) {
    value.type = static_cast<ValueType>(reader.number<std::uint32_t>());
    value.is_array = value.type == ValueType::kArray;
    if (value.is_array) {
        value.type = static_cast<ValueType>(reader.number<std::uint32_t>());
        value.count = reader.number<std::uint64_t>();
        if (value.type == ValueType::kArray) return "holds an array of arrays";
    }
    if (value.type == ValueType::kText) {
        if (value.is_array) {
            skip_texts(reader, value.count);
        } else {
            value.bytes = reader.text();
        }
        return std::nullopt;
    }
    const std::uint64_t size = value_bytes(value.type);
    if (size == 0) return fmt::format("has the unknown type {}", static_cast<std::uint32_t>(value.type));
    // Limited before multiplying: 2^61 elements of 8 bytes would come out as 0 bytes.
    value.bytes = reader.take(std::min(value.count, kMaxHeaderBytes + 1) * size);
    return std::nullopt;
}

}  // namespace

const Value* Metadata::find(const std::string& key) const {
    const auto it = values_.find(key);
    return it == values_.end() ? nullptr : &it->second;
}

std::optional<std::string_view> Metadata::text(const std::string& key) {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->type == ValueType::kText && !value->is_array) return value->bytes;
    wrong_key_ = key;
    return std::nullopt;
}

std::optional<std::int64_t> Metadata::integer(const std::string& key) {
    const Value* value = find(key);
    if (value == nullptr || value->count == 0) return std::nullopt;
    std::optional<std::int64_t> largest;
    if (is_integer(value->type)) {
        largest = 0;
        for (std::uint64_t i = 0; i < value->count && largest; ++i) {
            const auto number = element(*value, i);
            largest = number ? std::optional(std::max(*largest, *number)) : std::nullopt;
        }
    }
    if (!largest) wrong_key_ = key;
    return largest;
}

std::optional<std::int64_t> Metadata::array_size(const std::string& key) const {
    const Value* value = find(key);
    if (value == nullptr || !value->is_array) return std::nullopt;
    return static_cast<std::int64_t>(value->count);  // every element takes a byte of the header: never near 2^63
}

std::vector<std::int64_t> Metadata::list(const std::string& key, std::size_t longest) const {
    const Value* value = find(key);
    if (value == nullptr || value->count > longest) return {};
    if (value->type != ValueType::kBool && !is_integer(value->type)) return {};
    std::vector<std::int64_t> list;
    for (std::uint64_t i = 0; i < value->count; ++i) {
        const auto number = element(*value, i);
        if (!number) return {};
        list.push_back(*number);
    }
    return list;
}

std::optional<std::string> read_metadata(Reader& reader, std::uint64_t count, Metadata& metadata) {
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
        const std::string_view key = reader.text();
        Value value;
        const auto wrong = read_value(reader, value);
        if (reader.state() == Reader::State::kShort) return std::nullopt;
        const std::string name = key.empty() ? fmt::format("key {} of {}", i + 1, count)
                                             : fmt::format("key \"{}\"", base::one_line(key, 80));
        if (!reader.ok()) return fmt::format("{} is impossibly long", name);
        if (wrong) return fmt::format("{} {}", name, *wrong);
        if (key.empty()) return fmt::format("{} has no name", name);
        if (!metadata.add(key, value)) return fmt::format("{} stands there twice", name);
    }
    return std::nullopt;
}

}  // namespace velollm::gguf
