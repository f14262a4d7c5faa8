#include "metrics/table.h"

#include <algorithm>
#include <array>

#include "metrics/request.h"

namespace velollm::metrics {
namespace {

constexpr std::string_view kNoToken = "no token came";
constexpr std::string_view kOneEvent = "fewer than two token events";
constexpr std::int64_t kMinPrefillTokens = 64;  // below it the fixed cost of a request outweighs the prompt

MetricValue decode_tps(const RequestRecord& r) {
    const auto tokens = decode_tokens(r);
    const auto time = decode_time(r);
    if (!tokens || !time) return {{}, kOneEvent};
    return {static_cast<double>(*tokens) / to_seconds(*time), {}};
}

MetricValue tpot_ms(const RequestRecord& r) {
    const auto tokens = decode_tokens(r);
    const auto time = decode_time(r);
    if (!tokens || !time) return {{}, kOneEvent};
    return {to_ms(*time) / static_cast<double>(*tokens), {}};
}

MetricValue ttft_ms(const RequestRecord& r) {
    if (r.events.empty()) return {{}, kNoToken};
    return {to_ms(r.events.front().at), {}};
}

MetricValue ttfo_ms(const RequestRecord& r) {
    for (const TokenStamp& event : r.events)
        if (event.kind == TokenKind::kContent) return {to_ms(event.at), {}};
    return {{}, "no visible token came"};
}

MetricValue ttfb_ms(const RequestRecord& r) {
    if (!r.first_byte) return {{}, "no answer came"};
    return {to_ms(*r.first_byte), {}};
}

MetricValue e2e_ms(const RequestRecord& r) {
    if (r.events.empty()) return {{}, kNoToken};
    return {to_ms(r.events.back().at), {}};
}

MetricValue e2e_tps(const RequestRecord& r) {
    const auto tokens = output_tokens(r);
    if (!tokens || r.events.empty() || r.events.back().at <= Ns{0}) return {{}, kNoToken};
    return {static_cast<double>(*tokens) / to_seconds(r.events.back().at), {}};
}

MetricValue prefill_tps(const RequestRecord& r) {
    const ServerReport& s = r.server;
    if (!s.prompt_eval || *s.prompt_eval <= Ns{0}) return {{}, "the engine doesn't state its prompt time"};
    if (!s.prompt_tokens) return {{}, "the engine doesn't state the prompt's length"};
    if (!s.cached_tokens) return {{}, "the engine doesn't state how much of the prompt was cached"};
    const std::int64_t processed = *s.prompt_tokens - *s.cached_tokens;
    if (processed < kMinPrefillTokens) return {{}, "fewer than 64 prompt tokens were processed"};
    return {static_cast<double>(processed) / to_seconds(*s.prompt_eval), {}};
}

MetricValue prefill_bound_tps(const RequestRecord& r) {
    const ServerReport& s = r.server;
    if (r.events.empty() || r.events.front().at <= Ns{0}) return {{}, kNoToken};
    if (!s.prompt_tokens) return {{}, "the engine doesn't state the prompt's length"};
    if (!s.cached_tokens) return {{}, "the engine doesn't state how much of the prompt was cached"};
    const std::int64_t processed = *s.prompt_tokens - *s.cached_tokens;
    if (processed < kMinPrefillTokens) return {{}, "fewer than 64 prompt tokens were processed"};
    return {static_cast<double>(processed) / to_seconds(r.events.front().at), {}};
}

MetricValue server_decode_tps(const RequestRecord& r) {
    const auto speed = server_decode_speed(r);
    if (!speed) return {{}, "the engine doesn't state its generation time"};
    return {*speed, {}};
}

MetricValue stall_ms(const RequestRecord& r) {
    if (r.events.size() < 2) return {{}, kOneEvent};
    Ns longest{0};
    for (std::size_t i = 1; i < r.events.size(); ++i) longest = std::max(longest, r.events[i].at - r.events[i - 1].at);
    return {to_ms(longest), {}};
}

void gaps_ms(const RequestRecord& r, std::vector<double>& out) {
    for (std::size_t i = 1; i < r.events.size(); ++i) out.push_back(to_ms(r.events[i].at - r.events[i - 1].at));
}

MetricValue tokens_per_step(const RequestRecord& r) {
    const auto tokens = decode_tokens(r);
    const std::size_t steps = count_steps(r);
    if (!tokens || steps < 2) return {{}, kOneEvent};
    return {static_cast<double>(*tokens) / static_cast<double>(steps - 1), {}};
}

void step_gaps_ms(const RequestRecord& r, std::vector<double>& out) {
    std::size_t before = 0;
    for_each_step(r, [&](std::size_t begin) {
        if (begin > 0) out.push_back(to_ms(r.events[begin].at - r.events[before].at));
        before = begin;
    });
}

MetricValue reasoning_tokens(const RequestRecord& r) {
    if (r.server.reasoning_tokens) return {static_cast<double>(*r.server.reasoning_tokens), {}};
    std::int64_t sum = 0;
    bool any = false;
    for (const TokenStamp& event : r.events) {
        if (event.kind != TokenKind::kReasoning) continue;
        if (!event.tokens) return {{}, "the engine doesn't count its reasoning tokens"};
        any = true;
        sum += *event.tokens;
    }
    if (!any) return {{}, "no reasoning came"};
    return {static_cast<double>(sum), {}};
}

MetricValue connect_ms(const RequestRecord& r) {
    if (!r.connect) return {{}, "no connection was made for it"};
    return {to_ms(*r.connect), {}};
}

MetricValue has_gaps(const RequestRecord& r) {
    return {{}, r.events.size() < 2 ? kOneEvent : std::string_view{}};
}

/// A gap of k tokens is k gaps of a k-th each; only where the engine counts every event.
void token_gaps_ms(const RequestRecord& r, std::vector<double>& out) {
    if (!every_event_counted(r)) return;
    for (std::size_t i = 1; i < r.events.size(); ++i) {
        const std::int64_t tokens = *r.events[i].tokens;
        const double gap =
            to_ms(r.events[i].at - r.events[i - 1].at) / static_cast<double>(std::max<std::int64_t>(tokens, 1));
        out.insert(out.end(), static_cast<std::size_t>(std::max<std::int64_t>(tokens, 0)), gap);
    }
}

MetricValue has_token_gaps(const RequestRecord& r) {
    if (!every_event_counted(r)) return {{}, "the engine doesn't count the tokens of each event"};
    return has_gaps(r);
}

constexpr std::array kTable = {
    Metric{"decode_tps", "Decode", "tok/s", 1, Better::kHigher, "(n - k1 - h) / (t_L - t_1)",
           "Speed of generation alone, by the client's clock. The headline.", decode_tps},
    Metric{"ttft_ms", "TTFT", "ms", 1, Better::kLower, "t_1 - t_send",
           "Until the first event that carries a token: content, reasoning or a tool call.", ttft_ms},
    Metric{"tpot_ms", "TPOT", "ms", 2, Better::kLower, "(t_L - t_1) / (n - k1 - h)",
           "Time per output token, the inverse of decode speed.", tpot_ms},
    Metric{"e2e_ms", "E2E", "ms", 1, Better::kLower, "t_L - t_send", "Until the last token.", e2e_ms},
    Metric{"e2e_tps", "Overall", "tok/s", 1, Better::kHigher, "n / (t_L - t_send)",
           "Prompt time included: never a speed of generation.", e2e_tps},
    Metric{"prefill_tps", "Prefill", "tok/s", 1, Better::kHigher, "(N - N_c) / prompt time of the engine",
           "Only where the engine states the cached part, and from 64 processed tokens on.", prefill_tps},
    Metric{"prefill_bound_tps", "Prefill at least", "tok/s", 1, Better::kHigher, "(N - N_c) / TTFT",
           "A lower bound by the client's clock.", prefill_bound_tps},
    Metric{"server_decode_tps", "Decode by the engine", "tok/s", 1, Better::kHigher,
           "(n - 1) / eval time of the engine", "For comparison with decode_tps: a difference of over 2 % is reported.",
           server_decode_tps},
    Metric{"ttfo_ms", "TTFO", "ms", 1, Better::kLower, "t_o - t_send",
           "Until the first visible token; differs from TTFT for a model that reasons first.", ttfo_ms},
    Metric{"ttfb_ms", "TTFB", "ms", 1, Better::kLower, "t_hdr - t_send", "Until the first byte; for diagnosis only.",
           ttfb_ms},
    Metric{"stall_ms", "Longest gap", "ms", 1, Better::kLower, "max(t_i - t_(i-1))",
           "Longest wait between two token events.", stall_ms},
    Metric{"tokens_per_step", "Tokens per step", "", 2, Better::kHigher, "(n - k1) / steps after the first",
           "Events within a fifth of the mean gap are one step: above 1 with speculative decoding or joined chunks.",
           tokens_per_step},
    Metric{"reasoning_tokens", "Reasoning", "tokens", 0, Better::kLower, "n_reason",
           "Tokens thought before the answer; they are part of n.", reasoning_tokens},
    Metric{"connect_ms", "Connecting", "ms", 2, Better::kLower, "c1 - c0",
           "Name, TCP and TLS, before the request is sent; in no other metric.", connect_ms},
    Metric{"step_gap_ms", "Step gap", "ms", 2, Better::kLower, "time between the first events of two steps",
           "Pooled; the engine's real rhythm where tokens come in bursts.", has_gaps, step_gaps_ms},
    Metric{"icl_ms", "ICL", "ms", 2, Better::kLower, "t_i - t_(i-1)",
           "Inter-chunk latency, pooled over all token events; vLLM calls it ITL.", has_gaps, gaps_ms},
    Metric{"itl_ms", "ITL", "ms", 2, Better::kLower, "(t_i - t_(i-1)) / k_i, entered k_i times",
           "Inter-token latency, pooled; only where the engine counts the tokens of each event.", has_token_gaps,
           token_gaps_ms},
};

}  // namespace

std::span<const Metric> metric_table() {
    return kTable;
}

}  // namespace velollm::metrics
