#pragma once

#include <velollm/result.h>
#include <velollm/run.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "system/system.h"

namespace velollm::benchmark {

/// What is asked of the scripted server: the same request on so many connections at once, over and over.
struct SelfTestLoad {
    int streams = 1;
    std::int64_t requests = 10;  ///< in all
    double ttft_ms = 50.0;
    double gap_ms = 10.0;  ///< 0: as fast as the server can
    std::int64_t tokens = 32;
};

/// What this program says, minus what the server's log says.
struct ErrorSpread {
    std::size_t n = 0;
    double median = 0.0;        ///< with its sign: how far off the figures are on the whole
    double max = 0.0;           ///< largest size of an error
    std::optional<double> p95;  ///< of the sizes; absent where there are too few to say
    std::optional<double> p99;
};

struct SelfTestStreams {
    SelfTestLoad load;
    std::int64_t answered = 0;         ///< requests with exactly the tokens that were sent
    ErrorSpread ttft_ms;               ///< over the requests
    ErrorSpread gap_ms;                ///< over the gaps between events
    ErrorSpread decode_speed_percent;  ///< over the requests
    std::optional<double> cpu_share;   ///< own CPU time ÷ wall time
};

struct SelfTestSpeed {
    SelfTestLoad load;
    std::int64_t answered = 0;
    std::int64_t events = 0;
    double events_per_second = 0.0;  ///< server and network included: this program takes at least so many
    double cpu_us_per_event = 0.0;   ///< own CPU time alone
};

/// What error this program makes on this machine.
struct SelfTest {
    SelfTestStreams one;
    SelfTestStreams many;
    SelfTestSpeed full;
    Hiccups hiccups;  ///< of the machine during `one`
    std::int64_t peak_memory_bytes = 0;
};

struct SelfTestPlan {
    SelfTestLoad one;
    SelfTestLoad many{.streams = 64, .requests = 128, .ttft_ms = 200.0, .gap_ms = 20.0, .tokens = 32};
    SelfTestLoad full{.streams = 8, .requests = 8, .ttft_ms = 0.0, .gap_ms = 0.0, .tokens = 50'000};
};

/// The size of the errors in any order, and their median with its sign.
ErrorSpread error_spread(std::vector<double> errors);

/// Lets a scripted server run in a child process and measures it as any other, by the OpenAI dialect: the server knows
/// to the nanosecond what it sent when. Takes as long as the plan says. `stop`: true ends it, as kInterrupted.
Result<SelfTest> run_selftest(const SelfTestPlan& plan, const system::System& system,
                              const std::function<bool()>& stop);

}  // namespace velollm::benchmark
