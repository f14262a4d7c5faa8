#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/reader.h"

namespace velollm::gguf {

/// Types of metadata values, by their number in the file.
enum class ValueType : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kText, kArray, kU64, kI64, kF64 };

/// One metadata value as it lies in the file; valid as long as the file's bytes.
struct Value {
    ValueType type = ValueType::kU8;  ///< of an array: that of its elements
    bool is_array = false;
    std::uint64_t count = 1;  ///< elements
    std::string_view bytes;   ///< of all elements; nothing for an array of texts
};

/// The metadata of a file by key. A getter gives nothing for a missing key; for a value of another kind than the one
/// asked for it also notes the key, because such a file is corrupt and its reader has to say where.
class Metadata {
public:
    /// False when the key is there already.
    bool add(std::string_view key, const Value& value) { return values_.emplace(key, value).second; }

    std::optional<std::string_view> text(const std::string& key);
    /// A whole number of at least 0; the largest one of an array.
    std::optional<std::int64_t> integer(const std::string& key);
    /// Length of an array; nothing when the value isn't one.
    std::optional<std::int64_t> array_size(const std::string& key) const;
    /// The elements of an array of whole numbers or truth values, or a single such value as a list of one. Nothing for
    /// other kinds, for a value below 0, and for more than `longest` elements.
    std::vector<std::int64_t> list(const std::string& key, std::size_t longest) const;

    /// The last key whose value was of the wrong kind; empty when there was none.
    const std::string& wrong_key() const { return wrong_key_; }

private:
    const Value* find(const std::string& key) const;

    std::map<std::string_view, Value> values_;
    std::string wrong_key_;
};

/// Reads `count` keys with their values into `metadata`. Gives what is wrong, e.g. `key "a.b" stands there twice`;
/// nothing when all is well, and when the reader failed (its state says how).
std::optional<std::string> read_metadata(Reader& reader, std::uint64_t count, Metadata& metadata);

}  // namespace velollm::gguf
