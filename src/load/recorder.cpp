#include "load/recorder.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "load/engine.h"

namespace velollm::load {
namespace {

/// A limit is no promise: room for more is made when it comes.
constexpr std::int64_t kMostReserved = 1024;

}  // namespace

void Recorder::begin(RequestId id, Ns scheduled, std::int64_t max_tokens) {
    Open& open = open_[id];
    open.record.events.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(max_tokens, 0, kMostReserved)));
    open.record.id = id;
    open.record.scheduled = scheduled;
    open.record.sent = scheduled;  // until the backend says when it really was
    open.record.max_tokens = max_tokens;
    open.record.text_hash = base::kFnvStart;
    open.sent = open.progress = run_begin_ + scheduled;
    oldest_ = std::min(oldest_, open.progress);
    if (live_ != nullptr) {
        live_->events_in_request = 0;
        live_->since_first_token_ns = 0;
        live_->tokens_wanted = max_tokens;
    }
}

Recorder::Open* Recorder::find(RequestId id) {
    if (last_ != nullptr && last_id_ == id) return last_;
    const auto it = open_.find(id);
    if (it == open_.end()) return nullptr;
    last_id_ = id;
    return last_ = &it->second;
}

void Recorder::close(RequestId id) {
    last_ = nullptr;
    done_.push_back(std::move(open_.at(id).record));
    open_.erase(id);
}

void Recorder::give_up(RequestId id, TimePoint now, Outcome outcome) {
    Open* open = find(id);
    if (open == nullptr) return;
    open->record.done = now - open->sent;
    open->record.outcome = outcome;
    if (outcome == Outcome::kTimeout) {
        open->record.error = {ErrorCode::kFailed, "no new token within the time-out",
                              "Allow more with --timeout SECONDS, or look at the server's log."};
    }
    close(id);
}

std::vector<RequestId> Recorder::silent_since(TimePoint limit) {
    if (limit < oldest_) return {};
    std::vector<RequestId> ids;
    oldest_ = TimePoint::max();
    for (const auto& [id, open] : open_) {
        if (open.progress <= limit) {
            ids.push_back(id);
        } else {
            oldest_ = std::min(oldest_, open.progress);
        }
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::optional<TimePoint> Recorder::oldest_progress() const {
    return open_.empty() ? std::nullopt : std::optional(oldest_);
}

std::vector<RequestRecord> Recorder::take_done() {
    return std::exchange(done_, {});
}

void Recorder::on_sent(RequestId id, TimePoint at, std::optional<Ns> connecting) {
    Open* open = find(id);
    if (open == nullptr) return;
    open->sent = open->progress = at;
    open->record.sent = at - run_begin_;
    open->record.connect = connecting;
}

void Recorder::on_first_byte(RequestId id, TimePoint at) {
    Open* open = find(id);
    if (open == nullptr) return;
    open->record.first_byte = at - open->sent;
}

void Recorder::on_tokens(RequestId id, TimePoint at, const TokenEvent& event) {
    Open* open = find(id);
    if (open == nullptr) return;
    RequestRecord& record = open->record;
    open->progress = at;
    record.events.push_back({at - open->sent, event.tokens, event.kind, event.running_count});
    record.text_hash = base::fnv1a(event.text, record.text_hash);
    record.text_bytes += static_cast<std::int64_t>(event.text.size());
    if (keep_text_) record.text += event.text;
    if (live_ != nullptr) {
        const auto at_once = std::memory_order_relaxed;  // a display: nothing else hangs on the order
        live_->events_in_request.store(static_cast<std::int64_t>(record.events.size()), at_once);
        live_->since_first_token_ns.store((record.events.back().at - record.events.front().at).count(), at_once);
    }
}

void Recorder::on_done(RequestId id, TimePoint at, const Completion& completion) {
    Open* open = find(id);
    if (open == nullptr) return;
    open->record.done = at - open->sent;
    open->record.outcome = completion.outcome;
    open->record.error = completion.error;
    open->record.server = completion.server;
    close(id);
}

}  // namespace velollm::load
