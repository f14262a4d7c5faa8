#include "backend/http_backend.h"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backend/event_fields.h"
#include "base/text.h"
#include "wire/ndjson.h"
#include "wire/sse.h"

namespace velollm::backend {
namespace {

constexpr std::size_t kMaxRefusalBytes = std::size_t{64} << 10U;

/// What `later` has takes the place of what there was.
void replace_parts(ServerReport& report, const ServerReport& later) {
    const auto take = [](auto& into, const auto& from) {
        if (from) into = from;
    };
    take(report.prompt_tokens, later.prompt_tokens);
    take(report.cached_tokens, later.cached_tokens);
    take(report.output_tokens, later.output_tokens);
    take(report.reasoning_tokens, later.reasoning_tokens);
    take(report.draft_tokens, later.draft_tokens);
    take(report.accepted_tokens, later.accepted_tokens);
    take(report.prompt_eval, later.prompt_eval);
    take(report.eval, later.eval);
    if (later.finish != FinishReason::kUnknown) report.finish = later.finish;
}

/// Whatever a server writes, what is reckoned with its numbers stays a number.
void drop_impossible(EventMeaning& meaning) {
    meaning.running_tokens = possible_count(meaning.running_tokens);
    ServerReport& report = meaning.report;
    for (std::optional<std::int64_t>* count :
         {&report.prompt_tokens, &report.cached_tokens, &report.output_tokens, &report.hidden_tokens,
          &report.reasoning_tokens, &report.draft_tokens, &report.accepted_tokens})
        *count = possible_count(*count);
    for (std::optional<Ns>* time : {&report.load, &report.prompt_eval, &report.eval, &report.total})
        *time = possible_time(*time);
}

/// What all replies of a backend use.
struct Shared {
    wire::EventReader events{kEventFields};  // their events are alike
    std::int64_t event_count = 0;
    std::int64_t coalesced = 0;
    std::vector<RequestId> ended;
};

/// One reply on its way in. Reads events, tells the sink, and at the end says how it went.
class Reply final : public http::ByteSink {
public:
    Reply(const Dialect& dialect, const Target& target, Shared& shared, RequestId id, TokenSink& sink)
        : dialect_(dialect), target_(target), json_(shared.events), shared_(shared), id_(id), sink_(sink) {}

    void on_sending(http::StreamId, TimePoint at, std::optional<Ns> connecting) override {
        sink_.on_sent(id_, at, connecting);
    }

    void on_status(http::StreamId, TimePoint at, int status) override {
        status_ = status;
        sink_.on_first_byte(id_, at);
    }

    void on_bytes(http::StreamId, TimePoint at, std::string_view bytes) override {
        if (status_ != 200) {
            refusal_body_.append(bytes.substr(0, kMaxRefusalBytes - std::min(kMaxRefusalBytes, refusal_body_.size())));
            return;
        }
        const auto event = [&](std::string_view json) { read(json, at); };
        if (dialect_.framing == Framing::kNdjson) {
            ndjson_.feed(bytes, event);
        } else {
            sse_.feed(bytes, event);
        }
    }

    void on_end(http::StreamId, TimePoint at, const http::TransportEnd& end) override {
        // The last line of a whole reply may lack its line feed.
        if (dialect_.framing == Framing::kNdjson && !final_ && !ndjson_.pending().empty())
            read(std::string(ndjson_.pending()), at);
        // A server may leave out the mark at its end, once the text has come to an end.
        final_ = final_ || (text_ended_ && !stream_error_);
        // The server's own end is the end; the connection's comes a little later.
        sink_.on_done(id_, final_ ? final_at_ : at, judge(end));
        shared_.ended.push_back(id_);
    }

private:
    void read(std::string_view json, TimePoint at) {
        if (final_ || stream_error_) return;
        ++shared_.event_count;
        if (std::exchange(last_read_, at) == at) ++shared_.coalesced;
        if (json == "[DONE]") {
            final_ = true;
            return;
        }
        EventMeaning meaning;
        if (!json_.parse(json)) {
            stream_error_ =
                fmt::format("an event that is not JSON: {}", base::one_line(without_key(target_, json), 60));
            return;
        }
        dialect_.read_event(json_, meaning);
        drop_impossible(meaning);
        if (meaning.tokens) {
            any_token_ = true;
            ++events_;
            // A count that comes late is the sum of all events so far: no part of it is this one's.
            all_counted_ = all_counted_ && meaning.running_tokens && *meaning.running_tokens >= counted_;
            if (all_counted_) {
                meaning.tokens->tokens = *meaning.running_tokens - counted_;
                meaning.tokens->running_count = true;
                counted_ = *meaning.running_tokens;
            }
            sink_.on_tokens(id_, at, *meaning.tokens);
        }
        if (meaning.error) stream_error_ = error_text(without_key(target_, *meaning.error));
        if (meaning.part_of_report) replace_parts(report_, meaning.report);
        text_ended_ = text_ended_ || meaning.text_ended;
        final_at_ = at;
        if (meaning.final) {
            final_ = true;
            report_ = meaning.report;
        }
    }

    ServerReport report() const {
        ServerReport report = report_;
        if (all_counted_ && counted_ > 0 && report.output_tokens >= counted_)
            report.hidden_tokens = *report.output_tokens - counted_;
        // One event a token, and one token more than events at a natural stop: that is the end token.
        if (!report.hidden_tokens && report.finish == FinishReason::kStop && report.output_tokens == events_ + 1)
            report.hidden_tokens = 1;
        return report;
    }

    Completion judge(const http::TransportEnd& end) const {
        if (final_) return {any_token_ ? Outcome::kOk : Outcome::kEmpty, {}, report()};
        if (stream_error_) {
            return {Outcome::kError,
                    {ErrorCode::kFailed, fmt::format("{} gave up: {}", dialect_.display_name, *stream_error_),
                     "Look at the server's log."},
                    {}};
        }
        if (end.failure != http::TransportFailure::kNone) {
            const http::HttpResponse response{.status = status_, .body = {}, .end = end};
            const bool begun = status_ == 200;
            return {begun ? Outcome::kTruncated : Outcome::kError,
                    transport_error(target_, dialect_.display_name, response),
                    {}};
        }
        if (status_ != 200) return {Outcome::kError, dialect_.refusal(target_, status_, refusal_body_), {}};
        return {Outcome::kTruncated,
                {ErrorCode::kFailed, "the stream ended without its final record",
                 "The server stopped in the middle of the answer; Ollama does so after 30 equal tokens. See its log."},
                {}};
    }

    const Dialect& dialect_;
    const Target& target_;
    wire::EventReader& json_;
    Shared& shared_;
    RequestId id_;
    TokenSink& sink_;
    int status_ = 0;
    std::string refusal_body_;
    wire::NdjsonSplitter ndjson_;
    wire::SseSplitter sse_;
    bool any_token_ = false;
    std::int64_t counted_ = 0;  // tokens in the events so far, where the server keeps count
    std::int64_t events_ = 0;   // that carried tokens
    bool all_counted_ = true;
    bool text_ended_ = false;
    bool final_ = false;
    TimePoint final_at_{};
    ServerReport report_;
    std::optional<std::string> stream_error_;
    TimePoint last_read_{};
};

class HttpBackend final : public Backend {
public:
    HttpBackend(const Dialect& dialect, Target target, std::unique_ptr<http::HttpTransport> transport, Clock& clock,
                std::function<bool()> stop)
        : dialect_(dialect),
          target_(std::move(target)),
          transport_(std::move(transport)),
          clock_(clock),
          stop_(std::move(stop)) {}

    Result<TargetInfo> describe() override { return dialect_.describe(target_, ask()); }

    Result<LoadedModel> load() override {
        const TimePoint begin = clock_.now();
        auto loaded = dialect_.load(target_, ask());
        if (loaded) loaded->took = clock_.now() - begin;
        return loaded;
    }

    Result<void> unload() override { return dialect_.unload(target_, ask()); }

    void start(RequestId id, const Prompt& prompt, TokenSink& sink) override {
        auto reply = std::make_unique<Reply>(dialect_, target_, shared_, id, sink);
        http::HttpRequest request = dialect_.generate(target_, prompt);
        request.once = true;
        const http::StreamId stream = transport_->start(request, *reply);
        open_[id] = {stream, std::move(reply)};
    }

    void cancel(RequestId id) override {
        const auto it = open_.find(id);
        if (it == open_.end()) return;
        transport_->cancel(it->second.stream);
        open_.erase(it);
    }

    void poll(TimePoint until) override {
        transport_->poll(until);
        for (const RequestId id : shared_.ended) open_.erase(id);
        shared_.ended.clear();
    }

    std::optional<ReadHealth> take_read_health() override {
        const http::TransportHealth health = transport_->take_health();
        return ReadHealth{.reads = health.reads,
                          .events = std::exchange(shared_.event_count, 0),
                          .coalesced = std::exchange(shared_.coalesced, 0),
                          .lag = health.lag};
    }

    PathTimes path_times(const Prompt& prompt) override {
        PathTimes times;
        if (dialect_.idle_path.empty()) return times;
        times.round_trip = time_of([&] { return get(target_, dialect_.idle_path); });
        if (times.round_trip && dialect_.tokenize != nullptr) {
            if (const auto asked = time_of([&] { return dialect_.tokenize(target_, prompt); }))
                times.tokenize = std::max(*asked - *times.round_trip, Ns{0});
        }
        return times;
    }

private:
    /// Median of a few calls after a first one that connects; nothing when one fails.
    template <class MakeRequest>
    std::optional<Ns> time_of(const MakeRequest& request) {
        constexpr std::size_t kCalls = 5;
        std::vector<Ns> times;
        for (std::size_t i = 0; i <= kCalls; ++i) {
            const TimePoint begin = clock_.now();
            if (ask()(request(), kShortAnswer).status != 200) return std::nullopt;
            if (i > 0) times.push_back(clock_.now() - begin);
        }
        std::sort(times.begin(), times.end());
        return times[kCalls / 2];
    }

    struct Open {
        http::StreamId stream = 0;
        std::unique_ptr<Reply> reply;
    };

    http::Caller ask() { return {*transport_, clock_, stop_}; }

    const Dialect& dialect_;
    Target target_;
    std::unique_ptr<http::HttpTransport> transport_;
    Clock& clock_;
    std::function<bool()> stop_;
    Shared shared_;
    std::unordered_map<RequestId, Open> open_;
};

}  // namespace

std::unique_ptr<Backend> make_http_backend(const Dialect& dialect, Target target,
                                           std::unique_ptr<http::HttpTransport> transport, Clock& clock,
                                           std::function<bool()> stop) {
    return std::make_unique<HttpBackend>(dialect, std::move(target), std::move(transport), clock, std::move(stop));
}

}  // namespace velollm::backend
