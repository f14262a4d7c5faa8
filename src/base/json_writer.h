#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::base {

/// Writes one JSON value piece by piece, so that the order of keys and the form of numbers are ours.
///
/// Doubles are written in the shortest form that reads back as the same value, or rounded to `decimals`; NaN and
/// infinity become null (RFC 8259 has neither). Text is escaped; bytes that aren't UTF-8 become U+FFFD.
/// Invariant: after every call the text so far is a prefix of a valid document, if begin and end calls match.
class JsonWriter {
public:
    /// `indent` spaces a level; 0 writes everything on one line.
    explicit JsonWriter(int indent = 0) : indent_(indent) {}

    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);

    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool flag);
    JsonWriter& value(std::int64_t number);
    JsonWriter& value(std::uint64_t number);
    JsonWriter& value(int number) { return value(static_cast<std::int64_t>(number)); }
    JsonWriter& value(double number);
    JsonWriter& value(double number, int decimals);
    JsonWriter& null();
    /// A finished JSON text, put in as it is.
    JsonWriter& raw(std::string_view json);

    template <typename T>
    JsonWriter& value(const std::optional<T>& maybe) {
        return maybe ? value(*maybe) : null();
    }
    template <typename T>
    JsonWriter& field(std::string_view name, const T& v) {
        return key(name).value(v);
    }
    JsonWriter& field(std::string_view name, double v, int decimals) { return key(name).value(v, decimals); }

    /// Nothing at all when there is no value: absent is not null.
    template <typename T, typename... Decimals>
    JsonWriter& field_if(std::string_view name, const std::optional<T>& maybe, Decimals... decimals) {
        return maybe ? field(name, *maybe, decimals...) : *this;
    }

    const std::string& text() const { return out_; }

private:
    void before_value();
    void new_line();
    void close(char bracket);

    struct Level {
        bool empty = true;
    };
    std::string out_;
    std::vector<Level> levels_;
    int indent_;
    bool after_key_ = false;
};

/// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace velollm::base
