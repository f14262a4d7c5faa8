// What the client knows about its own reading: counts, shared stamps, lateness by the kernel's stamps.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "http/curl_transport.h"
#include "http/read_lag.h"
#include "load/engine.h"
#include "load/recorder.h"
#include "mock/server.h"
#include "serde/mock_script.h"
#include "support/trace.h"
#include "system/socket_stamp.h"
#include "system/system.h"
#include "wire/url.h"

namespace velollm::http {
namespace read_health_test {

using test::FakeClock;
using namespace std::chrono_literals;

TEST(ReadLag, LooksAtFewReadsAndTakesTurnsAmongThoseOfAWakeUp) {
    ReadLagSampler sampler([](int) { return std::optional<Ns>(1ms); });
    const TimePoint start(1h);
    EXPECT_EQ(sampler.choose(start, 0), std::nullopt);
    EXPECT_EQ(sampler.choose(start, 3), 0u);
    EXPECT_EQ(sampler.choose(start + 19ms, 3), std::nullopt) << "at most 50 a second";
    EXPECT_EQ(sampler.choose(start + 20ms, 3), 1u);
    EXPECT_EQ(sampler.choose(start + 40ms, 3), 2u);
    EXPECT_EQ(sampler.choose(start + 60ms, 3), 0u);
}

TEST(ReadLag, IsSummedUpByNearestRanksAndForgotten) {
    Ns next{0};
    ReadLagSampler sampler([&](int) { return std::optional(next += 1ms); });
    for (int i = 0; i < 200; ++i) sampler.look(0);
    const auto lag = sampler.take();
    ASSERT_TRUE(lag);
    EXPECT_EQ(lag->samples, 200);
    EXPECT_EQ(lag->p50, Ns(100ms));
    EXPECT_EQ(lag->p99, Ns(198ms));
    EXPECT_EQ(lag->max, Ns(200ms));
    EXPECT_FALSE(sampler.take());
}

TEST(ReadLag, OfALongRunEverySecondSampleIsKept) {
    Ns next{0};
    ReadLagSampler sampler([&](int) { return std::optional(next += 1ms); });
    for (int i = 0; i < 100'000; ++i) sampler.look(0);
    const auto lag = sampler.take();
    ASSERT_TRUE(lag);
    EXPECT_LT(lag->samples, 16'384);
    EXPECT_GT(lag->samples, 8000);
    EXPECT_TRUE(sampler.choose(TimePoint(1h), 1));
    EXPECT_TRUE(sampler.choose(TimePoint(1h + 20ms), 1)) << "and the next run is looked at as often as the first";
}

TEST(ReadLag, WhereTheKernelDoesNotTellItIsNotAskedForever) {
    int asked = 0;
    ReadLagSampler sampler([&](int) {
        ++asked;
        return std::optional<Ns>();
    });
    TimePoint now(1h);
    for (int i = 0; i < 1000; ++i, now += 20ms)
        if (sampler.choose(now, 1)) sampler.look(0);
    EXPECT_EQ(asked, 32);
    EXPECT_FALSE(sampler.take());
}

TEST(ReadHealth, EventsThatCameInOneReadAreCounted) {
    const std::string event =
        "data: {\"index\":0,\"content\":\"a\",\"tokens\":[1],\"stop\":false,\"tokens_predicted\":1}\n\n";
    const std::string end = "data: {\"content\":\"\",\"tokens\":[],\"stop\":true,\"tokens_predicted\":4}\n\n";
    FakeClock clock;
    auto transport = std::make_unique<test::FakeTransport>(clock);
    transport->script.push_back({.chunks = {{5ms, event + event + event}, {9ms, event}, {9ms, end}}});
    const auto backend = backend::make_http_backend(
        backend::llama_server_dialect(), test::target_of(backend::llama_server_dialect()), std::move(transport), clock);
    const auto run =
        load::run_load(load::closed_loop(1, 1), {{.text = "hi", .max_tokens = 4}}, *backend, clock, 60s, {});
    ASSERT_TRUE(run.client.reads);
    EXPECT_EQ(run.client.reads->events, 5);
    EXPECT_EQ(run.client.reads->coalesced, 3) << "two of the first read, one of the second";
    EXPECT_FALSE(run.client.reads->lag);
    EXPECT_EQ(backend->take_read_health()->events, 0) << "told once";
}

/// Against the scripted server, over real sockets.
Run run_against_mock(const char* script, std::size_t requests, int streams) {
    auto program = serde::read_mock_script(script, "test");
    auto server = mock::Server::open(std::move(*program), {.compact = true});
    std::thread thread([&] { (*server)->run(); });
    system::SteadyClock clock;
    backend::Target target{.spec = {.backend = "openai", .model = "m", .endpoint = "chat"}};
    target.base = wire::parse_url((*server)->url() + "/v1", 0).value();
    Run run;
    {
        const auto backend =
            backend::make_http_backend(backend::openai_dialect(), target, make_curl_transport(clock, ""), clock);
        run = load::run_load(load::closed_loop(requests, streams),
                             std::vector<Prompt>(requests, Prompt{.text = "hi", .max_tokens = 64}), *backend, clock,
                             30s, {});
    }
    (*server)->stop();
    thread.join();
    return run;
}

TEST(ReadHealth, TheKernelSaysHowLateReadsAre) {
    const auto run = run_against_mock(R"({"steps": [{"dt_ms": 6, "repeat": 12}]})", 2, 1);
    for (const RequestRecord& r : run.requests) EXPECT_EQ(r.events.size(), 12u) << r.error.message;
    ASSERT_TRUE(run.client.reads);
    EXPECT_GE(run.client.reads->reads, 2) << "at least one a request";
    EXPECT_LE(run.client.reads->reads, 2 * 40);
    EXPECT_GE(run.client.reads->events, 24);
    ASSERT_TRUE(run.client.reads->lag);
    EXPECT_GE(run.client.reads->lag->samples, 1);
    EXPECT_LE(run.client.reads->lag->p50, run.client.reads->lag->max);
    EXPECT_LT(run.client.reads->lag->p50, Ns(5s)) << "the same clock on both sides";
}

TEST(ReadHealth, EventsOfOneReadShareItsStamp) {
    // A thousand events in few writes: libcurl hands them over one by one.
    const auto run = run_against_mock(R"({"steps": [{"repeat": 1000}]})", 1, 1);
    ASSERT_EQ(run.requests.at(0).events.size(), 1000u);
    ASSERT_TRUE(run.client.reads);
    EXPECT_LT(run.client.reads->reads, 500);
    std::int64_t stamps = 1;
    const auto& events = run.requests[0].events;
    for (std::size_t i = 1; i < events.size(); ++i) {
        EXPECT_GE(events[i].at, events[i - 1].at);
        stamps += events[i].at > events[i - 1].at ? 1 : 0;
    }
    EXPECT_LE(stamps, run.client.reads->reads);
    EXPECT_GE(run.client.reads->coalesced, 1000 - stamps);
}

TEST(ReadHealth, ManyStreamsKeepTheirConnections) {
    const auto run = run_against_mock(R"({"steps": [{"dt_ms": 5}, {"dt_ms": 1, "repeat": 3}]})", 120, 40);
    ASSERT_EQ(run.requests.size(), 120u);
    int connected = 0;
    for (const RequestRecord& r : run.requests) {
        EXPECT_EQ(r.outcome, Outcome::kOk) << r.error.message;
        EXPECT_EQ(r.events.size(), 4u);
        connected += r.connect ? 1 : 0;
    }
    EXPECT_LE(connected, 40) << "one for each stream, and none is closed in between";
}

TEST(SocketStamp, SaysHowLongBytesHaveWaitedWithoutReadingThem) {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
    EXPECT_FALSE(system::time_waiting(pair[0])) << "nothing waits";
    ASSERT_EQ(::send(pair[1], "x", 1, 0), 1);
    EXPECT_FALSE(system::time_waiting(pair[0])) << "and nobody has asked for stamps";
    char byte = 0;
    EXPECT_EQ(::recv(pair[0], &byte, 1, MSG_DONTWAIT), 1);
    ::close(pair[0]);
    ::close(pair[1]);
}

TEST(Recorder, TheSilentAreFoundAtTheirTimeAmongOthersThatAreNot) {
    const TimePoint begin(1h);
    load::Recorder recorder(begin, nullptr);
    for (RequestId id = 0; id < 3; ++id) recorder.begin(id, Ns{0}, 10);
    EXPECT_EQ(recorder.oldest_progress(), begin);
    recorder.on_tokens(1, begin + 5s, {.text = "a"});
    EXPECT_TRUE(recorder.silent_since(begin - 1ns).empty());
    EXPECT_EQ(recorder.silent_since(begin), (std::vector<RequestId>{0, 2}));
    recorder.give_up(0, begin + 6s, Outcome::kTimeout);
    recorder.give_up(2, begin + 6s, Outcome::kTimeout);
    EXPECT_EQ(recorder.oldest_progress(), begin + 5s);
    recorder.begin(7, 6s, 10);
    recorder.on_tokens(1, begin + 9s, {.text = "b"});
    ASSERT_TRUE(recorder.oldest_progress());
    EXPECT_LE(*recorder.oldest_progress(), begin + 6s) << "never after the oldest news";
    EXPECT_EQ(recorder.silent_since(begin + 6s), (std::vector<RequestId>{7}));
    recorder.give_up(7, begin + 9s, Outcome::kTimeout);
    EXPECT_EQ(recorder.silent_since(begin + 8s), (std::vector<RequestId>{}));
    EXPECT_EQ(recorder.silent_since(begin + 9s), (std::vector<RequestId>{1}));
    const auto done = recorder.take_done();
    ASSERT_EQ(done.size(), 3u);
    EXPECT_EQ(recorder.open(), 1u);
}

}  // namespace read_health_test
}  // namespace velollm::http
