#pragma once

#include <velollm/run.h>

namespace velollm::test {

/// A request that went well: `tokens` events, the first after `ttft`, the others `gap` apart, counted by the server.
inline RequestRecord good_request(std::int64_t tokens, Ns ttft, Ns gap) {
    RequestRecord r;
    r.max_tokens = tokens;
    r.first_byte = ttft;
    for (std::int64_t i = 0; i < tokens; ++i) r.events.push_back({ttft + i * gap, std::nullopt, TokenKind::kContent});
    r.done = r.events.empty() ? ttft : r.events.back().at;
    r.server.output_tokens = tokens;
    r.server.hidden_tokens = 0;
    r.server.prompt_tokens = 40;
    r.server.finish = FinishReason::kLength;
    r.server.load = std::chrono::milliseconds(1);
    if (tokens > 1) r.server.eval = (tokens - 1) * gap;
    return r;
}

inline Run run_of(std::vector<RequestRecord> requests) {
    Run run;
    run.requests = std::move(requests);
    for (std::size_t i = 0; i < run.requests.size(); ++i) run.requests[i].id = i;
    return run;
}

}  // namespace velollm::test
