#include "load/engine.h"

#include <gtest/gtest.h>

#include "load/schedule.h"
#include "support/fakes.h"

namespace velollm::load {
namespace engine_test {

using test::FakeBackend;
using test::FakeClock;
using namespace std::chrono_literals;

std::vector<Prompt> prompts(std::size_t n, std::int64_t tokens) {
    return std::vector<Prompt>(n, Prompt{.text = "p", .max_tokens = tokens});
}

/// Value below which 99 % of `values` lie (nearest rank).
Ns p99(std::vector<Ns> values) {
    std::sort(values.begin(), values.end());
    return values[(values.size() * 99 + 99) / 100 - 1];
}

TEST(Engine, AClosedLoopSendsTheNextRequestWhenTheLastHasEnded) {
    FakeClock clock;
    FakeBackend backend(clock);
    backend.ttft = 80ms;
    backend.gap = 10ms;
    const auto run = run_load(closed_loop(3, 1), prompts(3, 5), backend, clock, 10s, {});
    ASSERT_EQ(run.requests.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        const RequestRecord& r = run.requests[i];
        EXPECT_EQ(r.sent, Ns(i * 120ms)) << i;
        EXPECT_EQ(r.scheduled, r.sent) << "a closed loop is due when it sends";
        ASSERT_EQ(r.events.size(), 5u);
        EXPECT_EQ(r.events.front().at, Ns(80ms));
        EXPECT_EQ(r.events.back().at, Ns(120ms));
        EXPECT_EQ(r.done, Ns(120ms));
        EXPECT_EQ(r.outcome, Outcome::kOk);
    }
    EXPECT_EQ(run.wall, Ns(360ms));
    EXPECT_EQ(backend.most_open, 1);
}

TEST(Engine, ManyStreamsKeepTheirPlacesFull) {
    FakeClock clock;
    FakeBackend backend(clock);
    const auto run = run_load(closed_loop(64, 16), prompts(64, 1), backend, clock, 10s, {});
    EXPECT_EQ(run.requests.size(), 64u);
    EXPECT_EQ(backend.most_open, 16);
    EXPECT_EQ(run.wall, Ns(64 * 5ms));
}

TEST(Engine, LatencyFromTheScheduleShowsWhatLatencyFromSendingHides) {
    // Ten minutes at 50 requests a second against one slot of 5 ms that stalls for 30 s: with one request in flight the
    // requests that had to wait unsent look fast when counted from sending.
    FakeClock clock;
    FakeBackend backend(clock);
    backend.stall_from = clock.now() + 60s;
    backend.stall_to = clock.now() + 90s;
    Schedule schedule{.due = {}, .max_in_flight = 1, .closed_loop = false};
    for (int i = 0; i < 30'000; ++i) schedule.due.push_back(i * 20ms);
    const auto run = run_load(schedule, prompts(schedule.due.size(), 1), backend, clock, 60s, {});
    std::vector<Ns> from_sending;
    std::vector<Ns> from_schedule;
    for (const RequestRecord& r : run.requests) {
        from_sending.push_back(r.events.front().at);
        from_schedule.push_back(r.sent + r.events.front().at - r.scheduled);
    }
    EXPECT_EQ(p99(from_sending), Ns(5ms));
    EXPECT_GT(p99(from_schedule), Ns(25s));
    EXPECT_EQ(*std::max_element(from_schedule.begin(), from_schedule.end()), Ns(30s));
}

TEST(Engine, ASilentRequestIsGivenUpAndTheNextOneSent) {
    FakeClock clock;
    FakeBackend backend(clock);
    backend.ttft = 1h;
    const auto run = run_load(closed_loop(2, 1), prompts(2, 1), backend, clock, 3s, {});
    ASSERT_EQ(run.requests.size(), 2u);
    EXPECT_EQ(run.requests[0].outcome, Outcome::kTimeout);
    EXPECT_EQ(run.requests[0].done, Ns(3s));
    EXPECT_EQ(run.requests[1].sent, Ns(3s));
    EXPECT_FALSE(run.requests[0].error.hint.empty());
}

TEST(Engine, ATimeOutCountsFromTheLatestToken) {
    FakeClock clock;
    FakeBackend backend(clock);
    backend.ttft = 2s;
    backend.gap = 2s;
    const auto run = run_load(closed_loop(1, 1), prompts(1, 10), backend, clock, 3s, {});
    EXPECT_EQ(run.requests[0].outcome, Outcome::kOk);
    EXPECT_EQ(run.requests[0].done, Ns(20s));
}

TEST(Engine, AStopKeepsWhatIsFinishedAndMarksWhatIsNot) {
    FakeClock clock;
    FakeBackend backend(clock);
    backend.ttft = backend.gap = 1s;
    const TimePoint begin = clock.now();
    const Watch watch{.stop = [&] { return clock.now() >= begin + 2500ms; }};
    const auto run = run_load(closed_loop(5, 1), prompts(5, 2), backend, clock, 60s, watch);
    EXPECT_TRUE(run.interrupted);
    ASSERT_EQ(run.requests.size(), 2u);
    EXPECT_EQ(run.requests[0].outcome, Outcome::kOk);
    EXPECT_EQ(run.requests[1].outcome, Outcome::kCancelled);
    EXPECT_EQ(run.requests[1].events.size(), 0u);
}

TEST(Engine, EveryFinishedRequestIsReportedOnceAndInOrder) {
    FakeClock clock;
    FakeBackend backend(clock);
    std::vector<RequestId> seen;
    const Watch watch{.on_request_done = [&](const RequestRecord& r) { seen.push_back(r.id); }};
    backend.outcomes[1] = {Outcome::kError, {ErrorCode::kFailed, "no", ""}, {}};
    const auto run = run_load(closed_loop(3, 1), prompts(3, 1), backend, clock, 60s, watch);
    EXPECT_EQ(seen, (std::vector<RequestId>{0, 1, 2}));
    EXPECT_EQ(run.requests[1].error.message, "no");
}

TEST(Engine, EnoughEndsARunWithoutInterruptingIt) {
    FakeClock clock;
    FakeBackend backend(clock);
    int asked = 0;
    const Watch watch{.enough = [&](const std::vector<RequestRecord>& done) {
        ++asked;
        return done.size() >= 3;
    }};
    const auto run = run_load(closed_loop(10, 1), prompts(10, 2), backend, clock, 60s, watch);
    EXPECT_EQ(run.requests.size(), 3u);
    EXPECT_FALSE(run.interrupted);
    EXPECT_EQ(asked, 3) << "once a request: while tokens come, nothing else may work";
}

TEST(Engine, RequestsThatWaitForAPlaceAreCounted) {
    FakeClock clock;
    FakeBackend backend(clock);
    backend.ttft = 500ms;
    Schedule schedule{.due = {0ms, 100ms, 200ms, 5s}, .max_in_flight = 1, .closed_loop = false};
    const auto run = run_load(schedule, prompts(4, 1), backend, clock, 60s, {});
    EXPECT_FALSE(run.closed_loop);
    EXPECT_EQ(run.cap_reached, 2) << "the second and third were due before their place was free; the fourth was not";
}

}  // namespace engine_test
}  // namespace velollm::load
