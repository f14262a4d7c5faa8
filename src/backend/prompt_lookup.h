#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace velollm::backend {

/// How much of a text's end must have occurred before for what followed to be proposed. One or two tokens that recur (a
/// comma and a space, "of the") say next to nothing of what follows.
inline constexpr std::size_t kShortestMatch = 3;
/// Longer matches count as this one.
inline constexpr std::size_t kLongestMatch = 64;

/// Tokens that may follow `text`: those that followed the earlier place where the longest piece of its end stood, the
/// latest of equals. Not more than `most`, and not more than that piece is long: three tokens that recur are often
/// chance, thirty are a copy under way, and a wrong draft isn't free. Where a processor computes, a batch of 9 tokens
/// takes several times as long as one. A copy that begins is drafted 3, then 7, then 15 tokens on.
///
/// A draft that comes to the end of the text goes on with itself: what repeats with a period shorter than the draft is
/// taken to go on repeating. Empty where no piece of kShortestMatch tokens recurs.
/// Source: Saxena, Prompt Lookup Decoding (2023), which drafts 10 tokens behind matches of 3 tokens down to 1.
std::vector<std::int32_t> draft_by_lookup(std::span<const std::int32_t> text, std::size_t most);

}  // namespace velollm::backend
