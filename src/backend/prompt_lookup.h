#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace velollm::backend {

/// How much of a text's end must have occurred before for what followed to be proposed. A match of one or two tokens
/// (a comma and a space, "of the") is mostly chance, and a wrong draft isn't free: where the processor computes, a
/// batch of 9 tokens takes several times as long as one.
inline constexpr std::size_t kShortestMatch = 3;
/// Longer matches count as this one. Between two places that agree with so much of the end, the later is as good.
inline constexpr std::size_t kLongestMatch = 16;

/// At most `most` tokens that may follow `text`: those that followed the earlier place where the longest piece of its
/// end stood, the latest of equals. A draft that comes to the end of the text goes on with itself: what repeats with a
/// period shorter than the draft is taken to go on repeating. Empty where no piece of kShortestMatch tokens recurs.
/// Source: Saxena, Prompt Lookup Decoding (2023); its matches of 3 tokens down to 1 were changed for the reason above.
std::vector<std::int32_t> draft_by_lookup(std::span<const std::int32_t> text, std::size_t most);

}  // namespace velollm::backend
