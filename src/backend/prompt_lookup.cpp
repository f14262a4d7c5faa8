#include "backend/prompt_lookup.h"

#include <algorithm>

namespace velollm::backend {
namespace {

/// How many tokens before `end` equal those before the end of the text, at most kLongestMatch.
std::size_t match_length(std::span<const std::int32_t> text, std::size_t end) {
    const std::size_t most = std::min(kLongestMatch, end);
    std::size_t length = 0;
    while (length < most && text[end - 1 - length] == text[text.size() - 1 - length]) ++length;
    return length;
}

}  // namespace

std::vector<std::int32_t> draft_by_lookup(std::span<const std::int32_t> text, std::size_t most) {
    std::size_t longest = 0;
    std::size_t begin = 0;  // of what followed
    for (std::size_t end = text.size(); end-- > kShortestMatch && longest < kLongestMatch;) {
        const std::size_t length = match_length(text, end);
        if (length <= longest) continue;
        longest = length;
        begin = end;
    }
    std::vector<std::int32_t> draft;
    if (longest < kShortestMatch) return draft;
    const std::size_t period = text.size() - begin;
    const std::size_t count = std::min(most, longest);
    for (std::size_t i = 0; i < count; ++i) draft.push_back(i < period ? text[begin + i] : draft[i - period]);
    return draft;
}

}  // namespace velollm::backend
