#include <algorithm>

#include "http/transport.h"

namespace velollm::http {
namespace {

/// Longest wait between two looks at the stop question.
constexpr Ns kMaxWait = std::chrono::milliseconds(100);

struct Collector final : ByteSink {
    explicit Collector(std::size_t most) : most_bytes(most) {}

    std::size_t most_bytes;
    HttpResponse response;
    bool ended = false;

    void on_sending(StreamId, TimePoint, std::optional<Ns>) override {}
    void on_status(StreamId, TimePoint, int status) override { response.status = status; }
    void on_bytes(StreamId, TimePoint, std::string_view bytes) override {
        if (response.body.size() + bytes.size() > most_bytes) {
            response.too_large = true;
        } else {
            response.body += bytes;
        }
    }
    void on_end(StreamId, TimePoint, const TransportEnd& end) override {
        response.end = end;
        ended = true;
    }
};

}  // namespace

HttpResponse Caller::operator()(const HttpRequest& request, Ns timeout) const {
    Collector collector(request.longest_answer);
    const TimePoint deadline = clock_.now() + timeout;
    const StreamId id = transport_.start(request, collector);
    while (!collector.ended) {
        if (stop_ && stop_()) {
            transport_.cancel(id);
            collector.response.interrupted = true;
            break;
        }
        if (clock_.now() >= deadline || collector.response.too_large) {
            transport_.cancel(id);
            collector.response.timed_out = !collector.response.too_large;
            break;
        }
        transport_.poll(std::min(deadline, clock_.now() + kMaxWait));
    }
    return collector.response;
}

void Caller::wait(Ns time) const {
    const TimePoint end = clock_.now() + time;
    while (clock_.now() < end && !(stop_ && stop_())) transport_.poll(end);
}

}  // namespace velollm::http
