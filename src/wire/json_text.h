#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace velollm::wire {

/// Where values stand in the text of a JSON document. All of these take a document that has been parsed before: they
/// check nothing.

/// First byte of the value that `pointer` (RFC 6901, without escapes) leads to; the first one where a key is doubled.
std::optional<std::size_t> find_value(std::string_view json, std::string_view pointer);

/// Number of elements or members of the array or object that begins at `at`.
std::size_t count_children(std::string_view json, std::size_t at);

/// Behind the string that begins at `at`, which is its first quote.
std::size_t end_of_string(std::string_view json, std::size_t at);

/// Behind the number that begins at `at`.
std::size_t end_of_number(std::string_view json, std::size_t at);

std::size_t skip_space(std::string_view json, std::size_t at);

}  // namespace velollm::wire
