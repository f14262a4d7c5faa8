#pragma once

#include <velollm/backend.h>
#include <velollm/time.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "http/transport.h"

namespace velollm::test {

using namespace std::chrono_literals;

/// Time stands still until somebody turns it.
struct FakeClock final : Clock {
    TimePoint time{1h};
    TimePoint now() override { return time; }
};

/// Things that will happen, in time order; equal times in the order they were planned.
class Agenda {
public:
    void plan(TimePoint at, std::uint64_t owner, std::function<void()> what) {
        entries_.push_back({at, owner, next_++, std::move(what)});
    }
    void forget(std::uint64_t owner) {
        std::erase_if(entries_, [&](const Entry& e) { return e.owner == owner; });
    }
    /// Turns the clock to the next entry and lets it happen; to `until` when none comes before.
    void step(FakeClock& clock, TimePoint until) {
        const auto first = std::min_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
            return std::pair(a.at, a.order) < std::pair(b.at, b.order);
        });
        if (first == entries_.end() || first->at > until) {
            clock.time = std::max(clock.time, until);
            return;
        }
        const Entry entry = std::move(*first);
        entries_.erase(first);
        clock.time = std::max(clock.time, entry.at);
        entry.what();
    }

private:
    struct Entry {
        TimePoint at;
        std::uint64_t owner;
        std::uint64_t order;
        std::function<void()> what;
    };
    std::vector<Entry> entries_;
    std::uint64_t next_ = 0;
};

/// What a scripted server does with one exchange; times are counted from the request's start.
struct Exchange {
    int status = 200;
    Ns sending{0};
    Ns header{0};
    std::vector<std::pair<Ns, std::string>> chunks;
    Ns end{0};  ///< 0: with the last chunk
    http::TransportEnd how;
    bool never_ends = false;
};

/// A transport whose replies are scripts, taken one after the other. Remembers the requests.
class FakeTransport final : public http::HttpTransport {
public:
    explicit FakeTransport(FakeClock& clock) : clock_(clock) {}

    std::deque<Exchange> script;
    std::vector<http::HttpRequest> requests;

    http::StreamId start(const http::HttpRequest& request, http::ByteSink& sink) override {
        requests.push_back(request);
        const http::StreamId id = ++last_;
        Exchange exchange;
        exchange.how = {http::TransportFailure::kRefused, "the script is over"};
        exchange.status = 0;
        if (!script.empty()) {
            exchange = script.front();
            script.pop_front();
        }
        const TimePoint begin = clock_.now();
        const auto at = [&](Ns offset, std::function<void(TimePoint)> what) {
            agenda_.plan(begin + offset, id, [this, what = std::move(what)] { what(clock_.now()); });
        };
        Ns last = exchange.header;
        at(exchange.sending, [id, &sink](TimePoint t) { sink.on_sending(id, t, std::nullopt); });
        if (exchange.status != 0)
            at(exchange.header, [id, &sink, s = exchange.status](TimePoint t) { sink.on_status(id, t, s); });
        for (const auto& [offset, bytes] : exchange.chunks) {
            at(offset, [id, &sink, bytes = bytes](TimePoint t) { sink.on_bytes(id, t, bytes); });
            last = std::max(last, offset);
        }
        if (!exchange.never_ends)
            at(std::max(exchange.end, last), [id, &sink, how = exchange.how](TimePoint t) { sink.on_end(id, t, how); });
        return id;
    }
    void cancel(http::StreamId id) override { agenda_.forget(id); }
    void poll(TimePoint until) override { agenda_.step(clock_, until); }

private:
    FakeClock& clock_;
    Agenda agenda_;
    http::StreamId last_ = 0;
};

/// An engine with one slot: a request waits for those before it, then takes `ttft`, then `gap` for each further token.
/// Between `stall_from` and `stall_to` it does nothing.
class FakeBackend final : public Backend {
public:
    explicit FakeBackend(FakeClock& clock) : clock_(clock) {}

    Ns ttft = 5ms;
    Ns gap = 0ms;
    TimePoint stall_from{};
    TimePoint stall_to{};
    std::map<RequestId, Completion> outcomes;  ///< for requests that don't end well
    std::vector<std::string> prompts;
    int most_open = 0;

    Result<TargetInfo> describe() override { return TargetInfo{.kind = "fake"}; }
    Result<LoadedModel> load() override { return LoadedModel{}; }
    Result<void> unload() override { return {}; }

    void start(RequestId id, const Prompt& prompt, TokenSink& sink) override {
        prompts.push_back(prompt.text);
        most_open = std::max(most_open, ++open_);
        const TimePoint now = clock_.now();
        TimePoint t = std::max(now, free_at_);
        agenda_.plan(now, id, [id, &sink, now] { sink.on_sent(id, now, std::nullopt); });
        for (std::int64_t i = 0; i < prompt.max_tokens; ++i) {
            t += i == 0 ? ttft : gap;
            if (t > stall_from && t < stall_to) t = stall_to;
            agenda_.plan(t, id, [this, id, &sink] { sink.on_tokens(id, clock_.now(), {.text = "x", .tokens = 1}); });
        }
        free_at_ = t;
        Completion completion;
        completion.server.output_tokens = prompt.max_tokens;
        if (outcomes.contains(id)) completion = outcomes.at(id);
        agenda_.plan(t, id, [this, id, &sink, completion] {
            --open_;
            sink.on_done(id, clock_.now(), completion);
        });
    }
    void cancel(RequestId id) override {
        agenda_.forget(id);
        --open_;
    }
    void poll(TimePoint until) override { agenda_.step(clock_, until); }

private:
    FakeClock& clock_;
    Agenda agenda_;
    TimePoint free_at_{};
    int open_ = 0;
};

}  // namespace velollm::test
