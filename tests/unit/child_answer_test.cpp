#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "system/child_answer.h"

namespace velollm::system::child_answer_test {
namespace {

constexpr auto kLong = std::chrono::seconds(60);
constexpr std::size_t kMuch = std::size_t{1} << 20U;

TEST(ChildAnswer, HasWhatTheChildWrote) {
    int mine = 1;
    const auto answer = ask_child(
        [&](const Write& write) {
            mine = 2;
            write("one\n");
            write(std::string(100'000, 'x'));
        },
        kLong, kMuch);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer->complete);
    EXPECT_EQ(answer->text, "one\n" + std::string(100'000, 'x'));
    EXPECT_EQ(mine, 1);
}

TEST(ChildAnswer, OfOneThatEndsTheProcessIsWhatCameBefore) {
    const auto answer = ask_child(
        [](const Write& write) {
            write("before");
            std::_Exit(3);
        },
        kLong, kMuch);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_FALSE(answer->complete);
    EXPECT_EQ(answer->text, "before");
}

TEST(ChildAnswer, TouchesNothingThatThisProcessPrints) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    std::fputs("not yet written", stdout);
    const auto answer = ask_child(
        [](const Write&) {
            std::fputs(" a last word", stdout);
            std::fputs("a complaint", stderr);
            std::fflush(stdout);
            std::abort();
        },
        kLong, kMuch);
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "not yet written");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    ASSERT_TRUE(answer);
    EXPECT_FALSE(answer->complete);
}

TEST(ChildAnswer, OfOneThatNeverEndsIsCutOff) {
    const auto forever = [](const Write& write) {
        for (;;) write("more and more");
    };
    const auto much = ask_child(forever, kLong, 1000);
    ASSERT_TRUE(much);
    EXPECT_FALSE(much->complete);
    EXPECT_GT(much->text.size(), 1000u);
    const auto silent = ask_child(
        [](const Write& write) {
            write("first");
            for (volatile bool go = true; go;) {}
        },
        std::chrono::milliseconds(100), kMuch);
    ASSERT_TRUE(silent);
    EXPECT_FALSE(silent->complete);
}

}  // namespace
}  // namespace velollm::system::child_answer_test
