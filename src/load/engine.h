#pragma once

#include <velollm/backend.h>
#include <velollm/run.h>
#include <velollm/spec.h>

#include <atomic>
#include <functional>
#include <vector>

namespace velollm::load {

/// What a display may read while a run goes on. The engine only ever adds to it.
struct LiveCounters {
    std::atomic<std::int64_t> events_in_request{0};     ///< token events of the request in flight
    std::atomic<std::int64_t> tokens_wanted{0};         ///< its token limit
    std::atomic<std::int64_t> since_first_token_ns{0};  ///< from its first to its latest token
};

/// How the outside takes part in a run. Every member may be empty.
struct Watch {
    std::function<bool()> stop;  ///< asked all the time: true ends the run, keeping what is finished
    /// Asked once for each request that ends, with all that have: true sends no more, and is no interruption. It may
    /// take its time, since with one stream no request is on its way then.
    std::function<bool(const std::vector<RequestRecord>&)> enough;
    std::function<void(const RequestRecord&)> on_request_done;  ///< called when no measured work is going on
    LiveCounters* live = nullptr;
    bool keep_text = false;  ///< RequestRecord::text
};

/// Sends `prompts[i]` when `schedule.due[i]` comes and a place is free, and writes down what happens.
///
/// A request that brings nothing new for `idle_timeout` is cancelled and recorded as a time-out. Requests that the
/// user's stop interrupts are recorded as cancelled. `prompts` has as many entries as `schedule.due`.
Run run_load(const Schedule& schedule, const std::vector<Prompt>& prompts, Backend& backend, Clock& clock,
             Ns idle_timeout, const Watch& watch);

}  // namespace velollm::load
