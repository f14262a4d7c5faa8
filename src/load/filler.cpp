#include "load/filler.h"

#include <array>
#include <string_view>
#include <vector>

#include "base/split_mix.h"
#include "base/text.h"

namespace velollm::load {
namespace {

using Words = std::array<std::string_view, 24>;

constexpr Words kPeople{"fisherman", "teacher",  "captain",   "baker",    "doctor",   "painter",
                        "farmer",    "widow",    "tailor",    "student",  "miller",   "sailor",
                        "clerk",     "gardener", "carpenter", "stranger", "watchman", "merchant",
                        "innkeeper", "musician", "printer",   "shepherd", "surgeon",  "neighbour"};
constexpr Words kThings{"lantern", "letter", "bridge",  "garden", "clock",  "boat",   "ladder", "basket",
                        "mirror",  "window", "kettle",  "wagon",  "ledger", "violin", "hammer", "blanket",
                        "orchard", "cellar", "harbour", "market", "tower",  "mill",   "road",   "river"};
constexpr Words kTraits{"old",    "quiet", "narrow", "broken",  "heavy",  "bright", "crooked", "warm",
                        "dusty",  "green", "lonely", "famous",  "gentle", "sudden", "hollow",  "pale",
                        "steady", "wild",  "early",  "distant", "silver", "plain",  "sharp",   "empty"};
constexpr Words kDeeds{"carried", "repaired", "found",   "painted",   "sold",     "watched", "forgot",  "described",
                       "crossed", "measured", "moved",   "inherited", "borrowed", "opened",  "cleaned", "counted",
                       "dropped", "followed", "guarded", "hid",       "kept",     "lifted",  "noticed", "returned"};
constexpr Words kTimes{"morning", "evening", "winter", "summer",  "Monday",  "Sunday",  "night",   "spring",
                       "noon",    "autumn",  "week",   "holiday", "harvest", "storm",   "century", "afternoon",
                       "dawn",    "month",   "year",   "season",  "Friday",  "weekend", "flood",   "frost"};

/// P, T, A, D and Z stand for a word of a list; everything else is itself.
constexpr std::array<std::string_view, 12> kPatterns{
    "The A P D the T before the Z was over.",
    "Nobody in the town remembered who had D the A T, but the P did.",
    "After the Z, a P and a P D a T together and said nothing about it.",
    "It was the A T that made the P stay until the next Z.",
    "When the Z came, the T stood where the P had left it, A and A as ever.",
    "She asked the P whether the T was worth the price, and he D it once more.",
    "There were seven T words in the letter, and the P D every one of them.",
    "In the end the P D both the A T and the A T, which surprised the P.",
    "By the T near the T, one could see how the P D what remained.",
    "Some said that a A Z would bring the P back; others D the T and waited.",
    "He D the T, she D the T, and the A P wrote it all down.",
    "Of all the things in the house, only the T and the A T were never D."};

const Words* list_of(char letter) {
    switch (letter) {
        case 'P': return &kPeople;
        case 'T': return &kThings;
        case 'A': return &kTraits;
        case 'D': return &kDeeds;
        case 'Z': return &kTimes;
        default: return nullptr;
    }
}

}  // namespace

std::string filler_text(std::size_t words, std::uint64_t seed) {
    base::SplitMix numbers(seed);
    std::string text;
    std::size_t made = 0;
    while (made < words) {
        for (const std::string_view word : base::split(kPatterns[numbers.below(kPatterns.size())], ' ')) {
            if (made == words) break;
            if (!text.empty()) text += ' ';
            // A letter of a list may be followed by punctuation; "A" and "D" as words of their own don't occur.
            const bool stands_for_one = word.size() == 1 || (word.size() == 2 && (word[1] < 'A' || word[1] > 'z'));
            const Words* list = stands_for_one ? list_of(word.front()) : nullptr;
            text += list != nullptr ? (*list)[numbers.below(list->size())] : word.substr(0, 1);
            text += word.substr(1);
            ++made;
        }
    }
    return text;
}

}  // namespace velollm::load
