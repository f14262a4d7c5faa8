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

/// Times between token events, in order.
std::vector<Ns> gaps(const RequestRecord& record);

/// The indices of the events that begin a step of the engine: speculative decoding and joined chunks bring several
/// events at once. An event that comes within a fifth of the mean gap belongs to the step before it. (The mean, since
/// among bursts the median gap is itself next to nothing.)
std::vector<std::size_t> step_begins(const RequestRecord& record);

/// Speed by the server's own clock, (n - 1) ÷ eval time: that time begins with the first token, which comes free.
/// Dividing all n by it, as Ollama's documentation does, reads 1 / (n - 1) too high.
std::optional<double> server_decode_speed(const RequestRecord& record);

}  // namespace velollm::metrics
