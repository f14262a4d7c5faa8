#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace velollm::load {

/// English prose of exactly `words` words, to fill a context with: made of patterns and everyday words, so that it has
/// any length and never repeats itself for long (repeated or random tokens would flatter or hurt speculative decoding
/// and the routing of experts). The same `seed` gives the same text, a shorter one being its beginning up to the last
/// word's punctuation.
std::string filler_text(std::size_t words, std::uint64_t seed);

}  // namespace velollm::load
