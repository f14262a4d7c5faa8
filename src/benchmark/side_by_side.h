#pragma once

#include <velollm/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "benchmark/session.h"
#include "system/system.h"

namespace velollm::benchmark {

/// What a display hears of: `record` is of engine number `engine` in round number `round`, both from 0.
using OnTurn = std::function<void(std::size_t round, std::size_t engine, const RequestRecord& record)>;

/// What is put around every prompt, so that engines that take bare text all read one form of the chat template.
struct PromptFrame {
    std::string prefix;
    std::string suffix;
};

/// Measures several prepared engines in turn: config.iterations rounds, in each of which every engine gets the same
/// prompt once, in an order drawn anew. What the machine does in the meantime so falls on all of them alike; measured
/// one after the other, a drift of 5 % makes equal engines look different nearly always (method 2.5).
///
/// Gives one result an engine, in the order of `sessions`. Requests with the same id had the same prompt, and `sent`
/// counts from the begin of all rounds, so that the order can be read from it. One report on the machine serves all.
/// Ends early when `stop` says so, or an engine goes away (Session::lost).
std::vector<BenchmarkResult> measure_side_by_side(const std::vector<Session*>& sessions, const BenchmarkConfig& config,
                                                  const PromptFrame& frame, const system::System& system, Clock& clock,
                                                  const std::function<bool()>& stop, const OnTurn& on_turn);

}  // namespace velollm::benchmark
