#include "benchmark/selftest.h"

#include <gtest/gtest.h>

#include <thread>

#include "report/selftest_report.h"
#include "support/approve.h"
#include "system/forked_child.h"

namespace velollm {
namespace selftest_test {

using benchmark::error_spread;
using benchmark::SelfTest;
using namespace std::chrono_literals;

/// Short enough for a test; the server and the client are the real ones.
benchmark::SelfTestPlan small_plan() {
    return {.one = {.streams = 1, .requests = 2, .ttft_ms = 20.0, .gap_ms = 5.0, .tokens = 8},
            .many = {.streams = 4, .requests = 8, .ttft_ms = 20.0, .gap_ms = 5.0, .tokens = 8},
            .full = {.streams = 2, .requests = 2, .ttft_ms = 0.0, .gap_ms = 0.0, .tokens = 500}};
}

SelfTest made_up() {
    SelfTest test;
    test.one = {.load = {},
                .answered = 10,
                .ttft_ms = {.n = 10, .median = 0.112, .max = 0.142},
                .gap_ms = {.n = 310, .median = -0.001, .max = 0.162, .p95 = 0.05, .p99 = 0.068},
                .decode_speed_percent = {.n = 10, .median = -0.004, .max = 0.018},
                .cpu_share = 0.009};
    test.many = {.load = {.streams = 64, .requests = 128, .ttft_ms = 200.0, .gap_ms = 20.0, .tokens = 32},
                 .answered = 128,
                 .ttft_ms = {.n = 128, .median = 2.711, .max = 3.422, .p95 = 3.4},
                 .gap_ms = {.n = 3968, .median = 0.0, .max = 2.309, .p95 = 1.0, .p99 = 1.878},
                 .decode_speed_percent = {.n = 128, .median = 0.009, .max = 0.369, .p95 = 0.311},
                 .cpu_share = 0.0488};
    test.full = {.load = {.streams = 8, .requests = 8, .ttft_ms = 0.0, .gap_ms = 0.0, .tokens = 50'000},
                 .answered = 8,
                 .events = 400'000,
                 .events_per_second = 730'000.0,
                 .cpu_us_per_event = 1.11};
    test.hiccups = {.naps = 360, .nap = 10ms, .p50 = 60us, .p99 = 160us, .max = 1680us, .longest = {}};
    test.peak_memory_bytes = 20'000'000;
    return test;
}

const report::SelfTestOrigin kOrigin{
    .tool_version = "0.1.0", .tool_commit = "abc", .hardware_key = std::string(64, 'a'), .at = "2025-01-15T10:30:00Z"};

TEST(SelfTest, TheMedianOfErrorsKeepsItsSignAndTheRestAreSizes) {
    const auto spread = error_spread({-3.0, -1.0, 2.0});
    EXPECT_EQ(spread.n, 3U);
    EXPECT_DOUBLE_EQ(spread.median, -1.0);
    EXPECT_DOUBLE_EQ(spread.max, 3.0);
    EXPECT_FALSE(spread.p95);
}

TEST(SelfTest, PercentilesNeedTheirNumberOfErrors) {
    std::vector<double> errors;
    for (int i = 1; i <= 100; ++i) errors.push_back(i % 2 == 0 ? i : -i);
    const auto spread = error_spread(errors);
    EXPECT_EQ(spread.p95, 95.0);
    EXPECT_FALSE(spread.p99);
}

TEST(SelfTest, NoErrorsAreNoSpread) {
    EXPECT_EQ(error_spread({}).n, 0U);
}

TEST(SelfTest, MeasuresTheRealServerWhole) {
    const auto test = benchmark::run_selftest(small_plan(), system::this_system(), {});
    ASSERT_TRUE(test) << test.error().message;
    EXPECT_EQ(test->one.answered, 2);
    EXPECT_EQ(test->one.ttft_ms.n, 2U);
    EXPECT_EQ(test->one.gap_ms.n, 14U);
    EXPECT_EQ(test->many.answered, 8);
    EXPECT_EQ(test->full.answered, 2);
    EXPECT_EQ(test->full.events, 1000);
    EXPECT_GT(test->full.events_per_second, 0.0);
    // Nobody sees a token before it is sent.
    EXPECT_GT(test->one.ttft_ms.median, 0.0);
}

TEST(SelfTest, StopsWhenAsked) {
    const auto test = benchmark::run_selftest(small_plan(), system::this_system(), [] { return true; });
    ASSERT_FALSE(test);
    EXPECT_EQ(test.error().code, ErrorCode::kInterrupted);
}

TEST(SelfTest, TextAndFileAreAsApproved) {
    test::approve(report::selftest_text(made_up()), "selftest.txt");
    test::approve(report::selftest_json(made_up(), kOrigin, 2) + "\n", "selftest.json");
}

TEST(SelfTest, ALostAnswerOrALargeErrorIsNotTrusted) {
    EXPECT_TRUE(report::trustworthy(made_up()));
    SelfTest test = made_up();
    test.many.answered = 127;
    EXPECT_FALSE(report::trustworthy(test));
    EXPECT_NE(report::selftest_text(test).find("Only 127 of them arrived whole"), std::string::npos);
    test = made_up();
    test.one.ttft_ms.median = -0.6;
    EXPECT_FALSE(report::trustworthy(test));
    test = made_up();
    test.one.gap_ms.median = 0.06;
    EXPECT_FALSE(report::trustworthy(test));
    test = made_up();
    test.one.decode_speed_percent.median = 0.11;
    EXPECT_FALSE(report::trustworthy(test));
    test = made_up();
    test.full.answered = 7;
    EXPECT_FALSE(report::trustworthy(test));
}

TEST(SelfTest, ABusyMachineIsNamed) {
    SelfTest test = made_up();
    EXPECT_FALSE(report::too_noisy(test.hiccups));
    test.hiccups.p99 = 1ms;
    EXPECT_TRUE(report::too_noisy(test.hiccups));
    EXPECT_NE(report::selftest_text(test).find("It was busy"), std::string::npos);
    test.hiccups = {.max = 5ms};
    EXPECT_TRUE(report::too_noisy(test.hiccups));
}

TEST(SelfTest, OnlyADocumentOfThisKindGoesIntoAResult) {
    const std::string kept = report::selftest_json(made_up(), kOrigin, 2);
    EXPECT_EQ(report::selftest_within(kept), report::selftest_json(made_up(), kOrigin, 0));
    EXPECT_EQ(report::selftest_within("{\"schema\": \"velollm.selftest/2.0\"}"), "");
    EXPECT_EQ(report::selftest_within("{\"schema\": "), "");
    EXPECT_EQ(report::selftest_within(""), "");
    EXPECT_EQ(report::selftest_line(kept), "2025-01-15, TTFT +0.112 ms, decode speed -0.004%");
    EXPECT_EQ(report::selftest_line(""), "none: velollm selftest");
}

TEST(ForkedChild, RunsBesideAndEndsWithItsObject) {
    int pid = 0;
    {
        auto child = system::ForkedChild::start([] {
            for (;;) std::this_thread::yield();
            return 0;
        });
        ASSERT_TRUE(child);
        pid = child->pid();
        const auto status = system::read_file("/proc/" + std::to_string(pid) + "/stat");
        ASSERT_TRUE(status);
        const auto moved = std::move(*child);
        EXPECT_EQ(moved.pid(), pid);
    }
    EXPECT_FALSE(system::read_file("/proc/" + std::to_string(pid) + "/stat"));
}

}  // namespace selftest_test
}  // namespace velollm
