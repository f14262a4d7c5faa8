#include <array>
#include <optional>
#include <set>
#include <tuple>

#include "backend/http_backend.h"
#include "fuzz.h"

// A whole reply through splitter, dialect and the counting of tokens: where the network cuts it changes nothing but
// the time of what it cut.

namespace {

using namespace velollm;
using fuzz::require;

/// Hands out bytes when it is told to, and no sooner.
struct HandTransport final : http::HttpTransport {
    http::ByteSink* sink = nullptr;

    http::StreamId start(const http::HttpRequest&, http::ByteSink& to) override {
        sink = &to;
        return 1;
    }
    void cancel(http::StreamId) override {}
    void poll(TimePoint) override {}
};

struct NoClock final : Clock {
    TimePoint now() override { return {}; }
};

struct SeenEvent {
    std::int64_t at = 0;
    TokenKind kind{};
    std::string text;
    std::optional<std::int64_t> tokens;
    bool running = false;

    auto same() const { return std::tie(kind, text, tokens, running); }
};

/// What came of a reply. Times are bytes: an event's is that of the piece which brought its last one.
struct Seen final : TokenSink {
    std::vector<SeenEvent> events;
    std::optional<Completion> end;

    void on_sent(RequestId, TimePoint, std::optional<Ns>) override {}
    void on_first_byte(RequestId, TimePoint) override {}
    void on_tokens(RequestId, TimePoint at, const TokenEvent& event) override {
        require(!end, "nothing comes after the end");
        events.push_back(
            {at.time_since_epoch().count(), event.kind, std::string(event.text), event.tokens, event.running_count});
    }
    void on_done(RequestId, TimePoint, const Completion& completion) override {
        require(!end, "there is one end");
        end = completion;
    }
};

/// What the last of `rounds` equal replies through one backend gives.
Seen replay(const backend::Dialect& dialect, int status, const std::vector<std::string_view>& pieces,
            RequestId rounds = 1) {
    NoClock clock;
    auto owned = std::make_unique<HandTransport>();
    HandTransport& transport = *owned;
    backend::Target target;
    target.base = {.host = "localhost", .port = 1};
    const auto backend = backend::make_http_backend(dialect, target, std::move(owned), clock);
    const auto at = [](std::size_t bytes) { return TimePoint(Ns(static_cast<std::int64_t>(bytes))); };
    Seen seen;
    for (RequestId id = 1; id <= rounds; ++id) {
        seen = {};
        backend->start(id, {.text = "hi", .max_tokens = 8}, seen);
        transport.sink->on_sending(id, at(0), std::nullopt);
        transport.sink->on_status(id, at(0), status);
        std::size_t bytes = 0;
        for (const std::string_view piece : pieces) transport.sink->on_bytes(id, at(bytes += piece.size()), piece);
        transport.sink->on_end(id, at(bytes + 1), {});
        backend->poll(at(bytes + 1));
    }
    return seen;
}

auto report_of(const Completion& end) {
    const ServerReport& r = end.server;
    return std::tuple(end.outcome, end.error.message, r.prompt_tokens, r.cached_tokens, r.output_tokens,
                      r.hidden_tokens, r.reasoning_tokens, r.draft_tokens, r.accepted_tokens, r.load, r.prompt_eval,
                      r.eval, r.total, r.finish, r.prompt_truncated);
}

void check_alone(const Seen& seen) {
    require(seen.end.has_value(), "a reply has an end");
    const bool failed = seen.end->outcome != Outcome::kOk && seen.end->outcome != Outcome::kEmpty;
    require(failed != seen.end->error.message.empty(), "a failure says why, and a success has no error");
    require(seen.end->outcome != Outcome::kOk || !seen.events.empty(), "a success has brought a token");
    const ServerReport& report = seen.end->server;
    for (const auto& count : {report.prompt_tokens, report.cached_tokens, report.output_tokens, report.hidden_tokens,
                              report.reasoning_tokens, report.draft_tokens, report.accepted_tokens})
        require(!count || *count >= 0, "a count is not negative");
    for (const SeenEvent& event : seen.events)
        require(!event.tokens || *event.tokens >= 0, "an event takes no token back");
}

/// `finest` came byte by byte: its times are those of the events' last bytes.
void check_cut(const Seen& finest, const Seen& cut, const std::vector<std::string_view>& pieces) {
    require(cut.events.size() == finest.events.size(), "any cut gives the same events");
    std::set<std::int64_t> ends;
    std::int64_t bytes = 0;
    for (const std::string_view piece : pieces) ends.insert(bytes += static_cast<std::int64_t>(piece.size()));
    ends.insert(bytes + 1);
    for (std::size_t i = 0; i < cut.events.size(); ++i) {
        require(cut.events[i].same() == finest.events[i].same(), "any cut gives the same tokens");
        require(cut.events[i].at == *ends.lower_bound(finest.events[i].at),
                "an event has the time of the piece that completed it");
    }
    require(report_of(*cut.end) == report_of(*finest.end), "any cut gives the same end");
}

}  // namespace

/// The first byte chooses dialect and status, the rest is a CutStream.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static const TargetSpec chat{.endpoint = "chat"};
    const std::array<const backend::Dialect*, 4> dialects{&backend::ollama_dialect(), &backend::llama_server_dialect(),
                                                          &backend::llama_server_dialect(chat),
                                                          &backend::openai_dialect()};
    const backend::Dialect& dialect = *dialects[data[0] % dialects.size()];
    const int status = data[0] < 128 ? 200 : 503;
    const fuzz::CutStream stream(fuzz::as_text(data + 1, size - 1));
    const auto single = stream.single_bytes();
    const Seen finest = replay(dialect, status, single);
    check_alone(finest);
    const std::vector<std::string_view> whole{stream.bytes};
    for (const auto& pieces : {whole, stream.pieces()}) check_cut(finest, replay(dialect, status, pieces), pieces);
    // Neither do earlier replies that were alike, though a backend may learn from them how to read faster.
    check_cut(finest, replay(dialect, status, whole, 3), whole);
    return 0;
}
