#pragma once

#include <velollm/backend.h>
#include <velollm/run.h>

#include <optional>
#include <unordered_map>
#include <vector>

namespace velollm::load {

struct LiveCounters;

/// Turns what a backend tells into records. Only writes down; judges nothing.
class Recorder final : public TokenSink {
public:
    Recorder(TimePoint run_begin, LiveCounters* live, bool keep_text = false)
        : run_begin_(run_begin), live_(live), keep_text_(keep_text) {}

    void begin(RequestId id, Ns scheduled, std::int64_t max_tokens);
    /// Closes a request that was cancelled.
    void give_up(RequestId id, TimePoint now, Outcome outcome);

    std::size_t open() const { return open_.size(); }
    /// Open requests that have had no news since `limit`, in the order of their numbers. The caller gives them up.
    std::vector<RequestId> silent_since(TimePoint limit);
    /// No open request has been without news for longer than since then. Not always the very instant of the oldest
    /// news, but never after it: who waits for a time-out may look too early, and not too late.
    std::optional<TimePoint> oldest_progress() const;
    std::vector<RequestRecord> take_done();

    void on_sent(RequestId, TimePoint, std::optional<Ns> connecting) override;
    void on_first_byte(RequestId, TimePoint) override;
    void on_tokens(RequestId, TimePoint, const TokenEvent&) override;
    void on_done(RequestId, TimePoint, const Completion&) override;

private:
    struct Open {
        RequestRecord record;
        TimePoint sent;
        TimePoint progress;
    };

    Open* find(RequestId id);
    void close(RequestId id);

    TimePoint run_begin_;
    LiveCounters* live_;
    bool keep_text_;
    std::unordered_map<RequestId, Open> open_;
    // The last one asked for: events of one request come in rows.
    RequestId last_id_ = 0;
    Open* last_ = nullptr;
    // Not after the progress of any open request. News only ever move that forward, so it needs no keeping up.
    TimePoint oldest_ = TimePoint::max();
    std::vector<RequestRecord> done_;
};

}  // namespace velollm::load
