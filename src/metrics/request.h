#pragma once

#include <velollm/run.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace velollm::metrics {

/// The tokens of each event are known: levels A and B of TokenSource.
bool every_event_counted(const RequestRecord& record);

/// Who counted the tokens of this request.
TokenSource token_source(const RequestRecord& record);

/// Generated tokens by the best source there is; absent when no token came.
std::optional<std::int64_t> output_tokens(const RequestRecord& record);

/// Tokens in the first token event: exact where the engine says it, else taken as 1.
std::int64_t first_event_tokens(const RequestRecord& record);

/// Tokens that the decode time produced: n - k1, without hidden ones at the end. Absent below 1.
std::optional<std::int64_t> decode_tokens(const RequestRecord& record);

/// From the first to the last token event; absent when they are the same.
std::optional<Ns> decode_time(const RequestRecord& record);

/// Calls what(index) for each event that begins a step of the engine: speculative decoding and joined chunks bring
/// several events at once. An event that comes within a fifth of the mean gap belongs to the step before it. (The mean,
/// since among bursts the median gap is itself next to nothing.)
template <typename What>
void for_each_step(const RequestRecord& record, What what) {
    constexpr std::int64_t kFifth = 5;
    if (record.events.empty()) return;
    what(std::size_t{0});
    const auto count = static_cast<std::int64_t>(record.events.size());
    const Ns whole = record.events.back().at - record.events.front().at;
    for (std::size_t i = 1; i < record.events.size(); ++i)
        if ((record.events[i].at - record.events[i - 1].at) * kFifth * (count - 1) >= whole) what(i);
}
std::size_t count_steps(const RequestRecord& record);

/// Speed by the server's own clock, (n - 1) ÷ eval time: that time begins with the first token, which comes free.
/// Dividing all n by it, as Ollama's documentation does, reads 1 / (n - 1) too high.
std::optional<double> server_decode_speed(const RequestRecord& record);

}  // namespace velollm::metrics
