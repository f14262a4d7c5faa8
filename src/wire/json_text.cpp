#include "wire/json_text.h"

#include <charconv>

namespace velollm::wire {
namespace {

std::size_t end_of_value(std::string_view json, std::size_t at) {
    if (json[at] == '"') return end_of_string(json, at);
    if (json[at] != '{' && json[at] != '[') {
        const std::size_t end = json.find_first_of(",]} \t\n\r", at);
        return end == std::string_view::npos ? json.size() : end;
    }
    int depth = 0;
    do {
        if (json[at] == '"') {
            at = end_of_string(json, at);
            continue;
        }
        if (json[at] == '{' || json[at] == '[') ++depth;
        if (json[at] == '}' || json[at] == ']') --depth;
        ++at;
    } while (depth > 0);
    return at;
}

/// Calls what(key, index, place of the value) for each child until it says true; then gives that place.
template <typename What>
std::optional<std::size_t> find_child(std::string_view json, std::size_t at, What what) {
    const bool object = json[at] == '{';
    at = skip_space(json, at + 1);
    for (std::size_t index = 0; json[at] != '}' && json[at] != ']'; ++index) {
        std::string_view key;
        if (object) {
            const std::size_t end = end_of_string(json, at);
            key = json.substr(at + 1, end - at - 2);
            at = skip_space(json, skip_space(json, end) + 1);  // behind the colon
        }
        if (what(key, index)) return at;
        at = skip_space(json, end_of_value(json, at));
        if (json[at] == ',') at = skip_space(json, at + 1);
    }
    return std::nullopt;
}

}  // namespace

std::size_t skip_space(std::string_view json, std::size_t at) {
    const std::size_t found = json.find_first_not_of(" \t\n\r", at);
    return found == std::string_view::npos ? json.size() : found;
}

std::size_t end_of_string(std::string_view json, std::size_t at) {
    for (++at; json[at] != '"'; ++at)
        if (json[at] == '\\') ++at;
    return at + 1;
}

std::size_t end_of_number(std::string_view json, std::size_t at) {
    const std::size_t end = json.find_first_not_of("+-.0123456789eE", at);
    return end == std::string_view::npos ? json.size() : end;
}

std::optional<std::size_t> find_value(std::string_view json, std::string_view pointer) {
    std::optional<std::size_t> at = skip_space(json, 0);
    while (at && !pointer.empty()) {
        const std::size_t slash = pointer.find('/', 1);
        const std::string_view token = pointer.substr(1, slash == std::string_view::npos ? slash : slash - 1);
        pointer.remove_prefix(slash == std::string_view::npos ? pointer.size() : slash);
        if (json[*at] == '{') {
            at = find_child(json, *at, [&](std::string_view key, std::size_t) { return key == token; });
        } else if (json[*at] == '[') {
            std::size_t wanted = 0;
            const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), wanted);
            const bool number = error == std::errc() && end == token.data() + token.size();
            at = find_child(json, *at, [&](std::string_view, std::size_t index) { return number && index == wanted; });
        } else {
            at.reset();
        }
    }
    return at;
}

std::size_t count_children(std::string_view json, std::size_t at) {
    std::size_t count = 0;
    find_child(json, at, [&](std::string_view, std::size_t) {
        ++count;
        return false;
    });
    return count;
}

}  // namespace velollm::wire
