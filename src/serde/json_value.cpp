#include "serde/json_value.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

namespace velollm::serde {
namespace {

using nlohmann::json;

const json& of(const void* node) {
    static const json none;
    return node == nullptr ? none : *static_cast<const json*>(node);
}

/// Where `word` stands at `at`, and is no part of a longer one.
bool word_at(std::string_view text, std::size_t at, std::string_view word) {
    if (text.substr(at, word.size()) != word) return false;
    const std::size_t end = at + word.size();
    return end >= text.size() || std::string_view(",]} \t\r\n").find(text[end]) != std::string_view::npos;
}

/// The text with null for Python's words for numbers that are none; nothing where it has no such word.
std::optional<std::string> without_python_words(std::string_view text) {
    if (text.find("NaN") == std::string_view::npos && text.find("Infinity") == std::string_view::npos) return {};
    std::string out;
    out.reserve(text.size());
    bool in_text = false;
    bool found = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_text && c == '\\' && i + 1 < text.size()) {
            out += c;
            out += text[++i];
            continue;
        }
        if (c == '"') in_text = !in_text;
        std::size_t length = 0;
        if (!in_text)
            for (const std::string_view word : {"NaN", "Infinity", "-Infinity"})
                if (word_at(text, i, word)) length = word.size();
        if (length == 0) {
            out += c;
            continue;
        }
        out += "null";
        i += length - 1;
        found = true;
    }
    return found ? std::optional(std::move(out)) : std::nullopt;
}

/// Builds the document without some members. The library's own way to leave members out, a callback, goes through a
/// whole array at the end of each of its elements.
class Builder final : public nlohmann::json_sax<json> {
public:
    explicit Builder(const std::vector<std::string_view>& without) : without_(without) {}

    json take() { return std::move(root_); }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return true; }  // JSON texts have none
    bool start_object(std::size_t) override { return start(json::value_t::object); }
    bool start_array(std::size_t) override { return start(json::value_t::array); }
    bool end_object() override { return end(); }
    bool end_array() override { return end(); }

    bool key(string_t& name) override {
        if (left_out_ > 0) return true;
        leave_out_next_ = std::find(without_.begin(), without_.end(), name) != without_.end();
        if (!leave_out_next_) member_ = &(*open_.back())[name];
        return true;
    }

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
        // The parser hands over one of these two; others would lose their kind.
        if (const auto* broken = dynamic_cast<const json::parse_error*>(&error)) throw *broken;
        throw dynamic_cast<const json::out_of_range&>(error);
    }

private:
    /// Whether the value that begins here is within a member that is left out.
    bool skips() { return left_out_ > 0 || std::exchange(leave_out_next_, false); }

    json& put(json value) {
        if (open_.empty()) return root_ = std::move(value);
        if (open_.back()->is_object()) return *member_ = std::move(value);
        open_.back()->push_back(std::move(value));
        return open_.back()->back();
    }

    template <typename Value>
    bool add(Value&& value) {
        if (!skips()) put(std::forward<Value>(value));
        return true;
    }

    bool start(json::value_t kind) {
        if (skips()) {
            ++left_out_;
        } else {
            open_.push_back(&put(kind));
        }
        return true;
    }

    bool end() {
        if (left_out_ > 0) {
            --left_out_;
        } else {
            open_.pop_back();
        }
        return true;
    }

    const std::vector<std::string_view>& without_;
    json root_;
    std::vector<json*> open_;   // the arrays and objects around the next value
    json* member_ = nullptr;    // of the innermost object, the one whose key was read last
    std::size_t left_out_ = 0;  // depth within a member that is left out
    bool leave_out_next_ = false;
};

json parse_once(std::string_view text, const std::vector<std::string_view>& without) {
    if (without.empty()) return json::parse(text);
    Builder builder(without);
    json::sax_parse(text, &builder);
    return builder.take();
}

/// Throws what the library throws.
json parse_any(std::string_view text, const std::vector<std::string_view>& without) {
    try {
        return parse_once(text, without);
    } catch (const json::parse_error&) {
        const auto repaired = without_python_words(text);
        if (!repaired) throw;
        return parse_once(*repaired, without);
    }
}

/// The library's own words without its internal prefix.
std::string words_of(const json::exception& error) {
    const std::string_view what = error.what();
    const std::size_t end = what.find("] ");
    return "not valid JSON: " + base::one_line(end == std::string_view::npos ? what : what.substr(end + 2), 200);
}

}  // namespace

JsonValue JsonValue::operator[](std::string_view key) const {
    const json& value = of(node_);
    if (!value.is_object()) return {};
    const auto it = value.find(std::string(key));
    return it == value.end() ? JsonValue() : JsonValue(&*it);
}

std::vector<std::string> JsonValue::keys() const {
    std::vector<std::string> out;
    const json& value = of(node_);
    if (value.is_object())
        for (const auto& [key, member] : value.items()) out.push_back(key);
    return out;
}

JsonValue JsonValue::at(std::size_t index) const {
    const json& value = of(node_);
    return value.is_array() && index < value.size() ? JsonValue(&value[index]) : JsonValue();
}

std::size_t JsonValue::size() const {
    return of(node_).is_structured() ? of(node_).size() : 0;
}

JsonValue::operator bool() const {
    return !of(node_).is_null();
}

bool JsonValue::is_object() const {
    return of(node_).is_object();
}

bool JsonValue::is_array() const {
    return of(node_).is_array();
}

bool JsonValue::is_number() const {
    return of(node_).is_number();
}

std::optional<double> JsonValue::number() const {
    const json& value = of(node_);
    if (!value.is_number()) return std::nullopt;
    const auto number = value.get<double>();
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<std::int64_t> JsonValue::integer() const {
    const json& value = of(node_);
    if (!value.is_number_integer()) return std::nullopt;
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) return std::nullopt;
    return value.get<std::int64_t>();
}

std::optional<std::string> JsonValue::text() const {
    const json& value = of(node_);
    return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

std::optional<std::vector<double>> JsonValue::numbers() const {
    if (!is_array()) return std::nullopt;
    std::vector<double> out;
    out.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) {
        const auto number = at(i).number();
        if (!number) return std::nullopt;
        out.push_back(*number);
    }
    return out;
}

std::string JsonValue::plain() const {
    const json& value = of(node_);
    if (value.is_string()) return value.get<std::string>();
    return value.is_number() || value.is_boolean() ? value.dump() : std::string();
}

Result<JsonText> JsonText::parse(std::string_view text, std::initializer_list<std::string_view> without) {
    try {
        JsonText out;
        out.document_ = std::make_shared<const json>(parse_any(text, without));
        return out;
    } catch (const json::exception& error) {
        return Error{ErrorCode::kUsage, words_of(error), "Check the file with: jq . FILE"};
    }
}

Result<JsonText> JsonText::parse_lines(std::string_view text, std::initializer_list<std::string_view> without) {
    json all = json::array();
    std::size_t number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = base::trim(text.substr(begin, end - begin));
        begin = end + 1;
        ++number;
        if (line.empty()) continue;
        try {
            all.push_back(parse_any(line, without));
        } catch (const json::exception& error) {
            return Error{ErrorCode::kUsage, fmt::format("line {}: {}", number, words_of(error)),
                         "Take out that line, or write the file anew."};
        }
    }
    JsonText out;
    out.document_ = std::make_shared<const json>(std::move(all));
    return out;
}

}  // namespace velollm::serde
