#include "metrics/request.h"

#include <algorithm>

namespace velollm::metrics {
bool every_event_counted(const RequestRecord& record) {
    return !record.events.empty() && std::all_of(record.events.begin(), record.events.end(),
                                                 [](const TokenStamp& event) { return event.tokens.has_value(); });
}

TokenSource token_source(const RequestRecord& record) {
    if (every_event_counted(record))
        return record.events.front().running_count ? TokenSource::kRunningCount : TokenSource::kPerEvent;
    if (record.server.output_tokens) return TokenSource::kServer;
    if (record.events.empty()) return TokenSource::kNone;
    return record.retokenised ? TokenSource::kRetokenised : TokenSource::kChunks;
}

std::optional<std::int64_t> output_tokens(const RequestRecord& record) {
    if (record.server.output_tokens) return record.server.output_tokens;
    if (record.events.empty()) return std::nullopt;
    if (record.retokenised && !every_event_counted(record)) return record.retokenised;
    std::int64_t sum = 0;
    for (const TokenStamp& event : record.events) sum += event.tokens.value_or(1);
    return sum;
}

std::int64_t first_event_tokens(const RequestRecord& record) {
    return record.events.empty() ? 0 : record.events.front().tokens.value_or(1);
}

std::optional<std::int64_t> decode_tokens(const RequestRecord& record) {
    const auto all = output_tokens(record);
    if (!all) return std::nullopt;
    const std::int64_t tokens = *all - first_event_tokens(record) - record.server.hidden_tokens.value_or(0);
    return tokens >= 1 ? std::optional(tokens) : std::nullopt;
}

std::optional<Ns> decode_time(const RequestRecord& record) {
    if (record.events.size() < 2) return std::nullopt;
    const Ns time = record.events.back().at - record.events.front().at;
    return time > Ns{0} ? std::optional(time) : std::nullopt;
}

std::size_t count_steps(const RequestRecord& record) {
    std::size_t count = 0;
    for_each_step(record, [&](std::size_t) { ++count; });
    return count;
}

std::optional<double> server_decode_speed(const RequestRecord& record) {
    const ServerReport& server = record.server;
    if (!server.output_tokens || *server.output_tokens < 2 || !server.eval || *server.eval <= Ns{0})
        return std::nullopt;
    return static_cast<double>(*server.output_tokens - 1) / to_seconds(*server.eval);
}

}  // namespace velollm::metrics
