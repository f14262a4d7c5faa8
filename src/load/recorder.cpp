#include "load/recorder.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "load/engine.h"

namespace velollm::load {

void Recorder::begin(RequestId id, Ns scheduled, std::int64_t max_tokens) {
    Open& open = open_[id];
    open.record.id = id;
    open.record.scheduled = scheduled;
    open.record.sent = scheduled;  // until the backend says when it really was
    open.record.max_tokens = max_tokens;
    open.record.text_hash = base::kFnvStart;
    open.sent = open.progress = run_begin_ + scheduled;
    if (live_ != nullptr) {
        live_->events_in_request = 0;
        live_->since_first_token_ns = 0;
        live_->tokens_wanted = max_tokens;
    }
}

Recorder::Open* Recorder::find(RequestId id) {
    const auto it = open_.find(id);
    return it == open_.end() ? nullptr : &it->second;
}

void Recorder::close(RequestId id) {
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

std::vector<RequestId> Recorder::silent_since(TimePoint limit) const {
    std::vector<RequestId> ids;
    for (const auto& [id, open] : open_)
        if (open.progress <= limit) ids.push_back(id);
    return ids;
}

std::optional<TimePoint> Recorder::oldest_progress() const {
    std::optional<TimePoint> oldest;
    for (const auto& [id, open] : open_) oldest = oldest ? std::min(*oldest, open.progress) : open.progress;
    return oldest;
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
    if (live_ != nullptr) {
        live_->events_in_request = static_cast<std::int64_t>(record.events.size());
        live_->since_first_token_ns = (record.events.back().at - record.events.front().at).count();
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
