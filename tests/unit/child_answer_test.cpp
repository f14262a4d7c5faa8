#include "system/child_answer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "system/system.h"

namespace velollm::system::child_answer_test {

using std::chrono::milliseconds;
using std::chrono::seconds;

ChildAnswer ask(const std::function<std::string()>& body, Ns limit = seconds(60), std::size_t max_bytes = 1 << 20) {
    SteadyClock clock;
    auto question = ChildQuestion::ask(body);
    EXPECT_TRUE(question);
    return question->answer(clock, clock.now() + limit, max_bytes);
}

TEST(ChildAnswers, AreWholeBeyondWhatAPipeHolds) {
    const std::string long_text(300'000, 'x');
    const ChildAnswer answer = ask([&] { return long_text; });
    EXPECT_TRUE(answer.good());
    EXPECT_EQ(answer.text, long_text);
    EXPECT_EQ(ask([] { return std::string(); }).text, "");
}

TEST(ChildAnswers, HoldWhatWasWrittenBeforeTheChildDied) {
    SteadyClock clock;
    auto question = ChildQuestion::ask_in_pieces([](const ChildQuestion::Write& write) {
        write("first ");
        write("second");
        std::_Exit(1);
    });
    ASSERT_TRUE(question);
    const ChildAnswer answer = question->answer(clock, clock.now() + seconds(60), 1 << 20);
    EXPECT_EQ(answer.text, "first second");
    EXPECT_FALSE(answer.good());
}

TEST(ChildAnswers, SayHowItEnded) {
    EXPECT_EQ(ask([]() -> std::string { std::abort(); }).end.signal, 6);
    EXPECT_EQ(ask([]() -> std::string { std::_Exit(3); }).end.exit_code, 3);
    EXPECT_FALSE(ask([]() -> std::string { std::_Exit(3); }).good());
}

TEST(ChildAnswers, EndAtTheDeadline) {
    const ChildAnswer answer = ask(
        []() -> std::string {
            for (;;) ::pause();
        },
        milliseconds(20));
    EXPECT_FALSE(answer.in_time);
    EXPECT_FALSE(answer.good());
    EXPECT_EQ(answer.end.signal, 0);
}

TEST(ChildAnswers, EndAtTheLimitOfBytes) {
    const ChildAnswer answer = ask([] { return std::string(5000, 'x'); }, seconds(60), 4999);
    EXPECT_FALSE(answer.in_size);
    EXPECT_TRUE(answer.in_time);
    EXPECT_TRUE(ask([] { return std::string(5000, 'x'); }, seconds(60), 5000).good());
}

TEST(ChildAnswers, DontWaitForWhatTheChildStarted) {
    const ChildAnswer answer = ask([]() -> std::string {
        if (::fork() == 0)
            for (;;) ::pause();
        return "here";
    });
    EXPECT_TRUE(answer.good());
    EXPECT_EQ(answer.text, "here");
}

TEST(ChildAnswers, KeepTheChildsWordsOffOurOutput) {
    ::testing::internal::CaptureStdout();
    ask([]() -> std::string {
        std::puts("from the child");
        std::fflush(stdout);
        return {};
    });
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
}

}  // namespace velollm::system::child_answer_test
