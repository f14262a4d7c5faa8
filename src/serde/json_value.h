#pragma once

#include <velollm/result.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::serde {

/// A value in a JsonText, valid as long as that is. One that isn't there may be asked like any other and has nothing:
/// a reader of other programs' files can go down a path without looking at each step.
class JsonValue {
public:
    JsonValue() = default;

    /// Of an object.
    JsonValue operator[](std::string_view key) const;
    std::vector<std::string> keys() const;
    /// Of an array.
    JsonValue at(std::size_t index) const;
    /// Members of an object, elements of an array; 0 for others.
    std::size_t size() const;

    /// It is there, and isn't null.
    explicit operator bool() const;
    bool is_object() const;
    bool is_array() const;
    bool is_number() const;

    /// A finite number; a text of digits is none.
    std::optional<double> number() const;
    std::optional<std::int64_t> integer() const;
    std::optional<std::string> text() const;
    /// An array of nothing but finite numbers.
    std::optional<std::vector<double>> numbers() const;
    /// A text as it is, a number, true and false as the file has them; else empty.
    std::string plain() const;

private:
    friend class JsonText;
    explicit JsonValue(const void* node) : node_(node) {}

    const void* node_ = nullptr;  // of the library that reads JSON; its header is for one file only
};

/// A parsed JSON text.
class JsonText {
public:
    /// `without`: members that are dropped wherever they stand, so that a list of a million times costs no memory.
    /// NaN and infinities, which Python writes and JSON doesn't have, become null. Of equal keys the last one counts.
    /// The error's message says what is wrong and where, without naming the text.
    static Result<JsonText> parse(std::string_view text, std::initializer_list<std::string_view> without = {});
    /// One document a line, as an array; empty lines are none.
    static Result<JsonText> parse_lines(std::string_view text, std::initializer_list<std::string_view> without = {});

    JsonValue root() const { return JsonValue(document_.get()); }

private:
    std::shared_ptr<const void> document_;
};

}  // namespace velollm::serde
