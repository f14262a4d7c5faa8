#include "load/filler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace velollm::load {
namespace filler_test {

TEST(Filler, HasExactlyTheWordsAskedFor) {
    for (const std::size_t words : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{5000}}) {
        const std::string text = filler_text(words, 3);
        EXPECT_EQ(words == 0 ? 0U : base::split(text, ' ').size(), words);
    }
}

TEST(Filler, IsTheSameForASeedAndAnotherForAnother) {
    EXPECT_EQ(filler_text(300, 1), filler_text(300, 1));
    EXPECT_NE(filler_text(300, 1), filler_text(300, 2));
    EXPECT_TRUE(filler_text(300, 1).starts_with(filler_text(100, 1)));
}

TEST(Filler, LeavesNoPlaceholderBehind) {
    for (const std::string_view word : base::split(filler_text(20000, 9), ' '))
        EXPECT_FALSE(word.size() <= 2 && std::string_view("PTADZ").find(word.front()) != std::string_view::npos)
            << word;
}

TEST(Filler, HardlyEverRepeatsASentence) {
    const std::string text = filler_text(10000, 5);
    std::multiset<std::string_view> sentences;
    for (const std::string_view sentence : base::split(text, '.')) sentences.insert(sentence);
    const auto twice =
        std::count_if(sentences.begin(), sentences.end(), [&](auto s) { return sentences.count(s) > 1; });
    EXPECT_LT(static_cast<double>(twice), 0.02 * static_cast<double>(sentences.size()));
}

}  // namespace filler_test
}  // namespace velollm::load
