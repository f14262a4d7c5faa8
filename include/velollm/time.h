#pragma once

#include <chrono>

namespace velollm {

using Ns = std::chrono::nanoseconds;

/// A reading of the steady clock, in nanoseconds. Wall time is a label on a result, never part of a duration.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Ns>;

/// The one source of time. Real programs pass the steady clock, tests one that they turn by hand.
struct Clock {
    virtual ~Clock() = default;
    virtual TimePoint now() = 0;
};

constexpr double to_ms(Ns t) {
    return static_cast<double>(t.count()) / 1e6;
}
constexpr double to_seconds(Ns t) {
    return static_cast<double>(t.count()) / 1e9;
}

}  // namespace velollm
