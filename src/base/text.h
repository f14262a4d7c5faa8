#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::base {

std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
std::string lower(std::string_view text);

/// The whole text as a number; nothing when it is empty, has other characters, or is out of range.
std::optional<std::int64_t> parse_int(std::string_view text);
std::optional<double> parse_double(std::string_view text);

/// Number of single-character edits that turn `a` into `b`: orders the names offered for a misspelt one.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// At most three of `names`, those that look most like `wanted` first, joined with commas. `similar_only`: none that
/// shares little with it, where such an offer would only distract.
std::string nearest_names(std::string_view wanted, const std::vector<std::string>& names, bool similar_only);

/// FNV-1a over `text`, continuing from `hash`: feeding a text in pieces gives the same as at once.
constexpr std::uint64_t kFnvStart = 14695981039346656037ULL;
std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kFnvStart);

/// Without control characters but the ends of lines, C1 too: somebody else's words can't steer a terminal.
std::string printable(std::string text);

/// Replaces control characters and cuts at `max_bytes`, so that a server's words can stand in one line of a message.
std::string one_line(std::string_view text, std::size_t max_bytes = 200);

}  // namespace velollm::base
