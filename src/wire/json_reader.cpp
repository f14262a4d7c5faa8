#include "wire/json_reader.h"

#include <simdjson.h>

#include <cmath>

namespace velollm::wire {
namespace dom = simdjson::dom;

struct JsonReader::State {
    dom::parser parser;
    dom::element root;
    bool parsed = false;

    std::optional<dom::element> at(std::string_view pointer) const {
        if (!parsed) return std::nullopt;
        dom::element found;
        if (root.at_pointer(pointer).get(found) != simdjson::SUCCESS) return std::nullopt;
        return found;
    }

    template <typename T>
    std::optional<T> get(std::string_view pointer) const {
        const auto found = at(pointer);
        T value{};
        if (!found || found->get(value) != simdjson::SUCCESS) return std::nullopt;
        return value;
    }
};

std::optional<std::int64_t> whole_number(double value) {
    constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it a double is no longer a count
    if (std::abs(value) > kExact || std::trunc(value) < value || std::trunc(value) > value) return std::nullopt;
    return static_cast<std::int64_t>(value);
}

JsonReader::JsonReader() : state_(std::make_unique<State>()) {}
JsonReader::~JsonReader() = default;
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;

bool JsonReader::parse(std::string_view json) {
    if (json.empty())
        return state_->parsed = false;  // no bytes may mean a null pointer, which the parser would copy from
    // The parser reads past the end: it copies into a padded buffer of its own, which it keeps.
    state_->parsed = state_->parser.parse(json.data(), json.size(), true).get(state_->root) == simdjson::SUCCESS;
    return state_->parsed;
}

std::optional<std::string_view> JsonReader::text(std::string_view pointer) const {
    return state_->get<std::string_view>(pointer);
}

std::optional<std::int64_t> JsonReader::integer(std::string_view pointer) const {
    if (const auto value = state_->get<std::int64_t>(pointer)) return value;
    const auto value = state_->get<double>(pointer);  // llama-server writes some counts as 5.0
    return value ? whole_number(*value) : std::nullopt;
}

std::optional<double> JsonReader::number(std::string_view pointer) const {
    return state_->get<double>(pointer);
}

std::optional<bool> JsonReader::boolean(std::string_view pointer) const {
    return state_->get<bool>(pointer);
}

std::optional<std::size_t> JsonReader::size(std::string_view pointer) const {
    const auto found = state_->at(pointer);
    if (!found) return std::nullopt;
    if (found->is_array()) return dom::array(*found).size();
    if (found->is_object()) return dom::object(*found).size();
    return std::nullopt;
}

bool JsonReader::has(std::string_view pointer) const {
    return state_->at(pointer).has_value();
}

std::optional<std::string> JsonReader::json(std::string_view pointer) const {
    const auto found = state_->at(pointer);
    if (!found) return std::nullopt;
    return simdjson::minify(*found);
}

}  // namespace velollm::wire
