#include "metrics/validity.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "metrics/checks.h"
#include "metrics/request.h"
#include "stats/quantile.h"

namespace velollm::metrics {
namespace {

constexpr std::array kCodes = {
    Code{"errors", "suspect; invalid above 5 %", "Requests failed. They are in no average."},
    Code{"truncated_stream", "invalid (request)", "The stream ended without its final record."},
    Code{"reloaded", "invalid (request)",
         "The model was loaded during the request: load time above 50 ms + 3 x median."},
    Code{"cached_prompt", "invalid (request)", "The engine says that part of the prompt came from its cache."},
    Code{"cached_prompt_suspected", "suspect",
         "Prompt time per token below 60 % of the median: perhaps from a cache. Or: a repeated prompt came over 40 % "
         "sooner "
         "while preparing, and so did one with new words in front."},
    Code{"prompt_truncated", "invalid (request)", "The engine cut the prompt."},
    Code{"early_eos", "suspect", "The answer ended more than 2 % (and more than one token) before the limit."},
    Code{"over_length", "suspect", "The answer is longer than asked for."},
    Code{"tokens_estimated", "note",
         "The engine doesn't count tokens: the text was cut into tokens here, or every event taken for one."},
    Code{"first_chunk_unknown", "suspect",
         "Fewer events than tokens: the first may hold several. True speed within bounds."},
    Code{"client_server_mismatch", "suspect; note if explained",
         "Decode speed by the client's and by the engine's clock differ by over 2 %."},
    Code{"background_load", "suspect",
         "Other programs used over 10 % of the machine's CPU time while measuring or before, or waited over 5 % of the "
         "time for memory or disk before."},
    Code{"vm_steal", "suspect", "The host of this virtual machine took over 1 % of its CPU time."},
    Code{"quota_throttled", "suspect", "The engine's cgroup was stopped for its CPU quota for over 1 % of the time."},
    Code{"swap", "invalid", "Pages were read back from swap while measuring."},
    Code{"paging_weights", "suspect", "The engine waited for pages from the disk while measuring."},
    Code{"throttled_thermal", "suspect", "The CPU slowed down for heat, or a GPU for heat or by a power brake."},
    Code{"clock_drift", "suspect", "The CPU's clock in the last third is below 97 % of that in the first."},
    Code{"on_battery", "note", "The machine runs on its battery."},
    Code{"powersave", "suspect", "A CPU governor keeps the clock low."},
    Code{
        "host_hiccup", "suspect; note",
        "A delay of the whole machine is over 10 % of the TTFT or decode time it fell into. Note: waiting threads woke "
        "over 1 ms and over 5 % of a gap too late (p99)."},
    Code{"client_saturated", "invalid; suspect",
         "This program used over 80 % of a core: it may have been the limit. Suspect: it read over 1 ms and over 5 % "
         "of a "
         "gap late (p99, by the kernel's stamps), and the machine wasn't late."},
    Code{
        "not_steady", "suspect",
        "The warm-up didn't settle, decode speed has a trend (6 to 29 requests), or changed by over 2 % (from 30 on)."},
    Code{"send_lag", "suspect; invalid above 20 % of TTFT",
         "Open loop: requests were sent over 2 ms and over 5 % of TTFT after their time (p99)."},
    Code{"cap_reached", "note", "Open loop: requests were due while no place was free."},
    Code{"bursts", "note", "Over 10 % of the token events came with the one before: see tokens_per_step, step_gap_ms."},
    Code{"nagle_suspected", "note", "Over 10 % of the gaps are 40 ms among much shorter ones: a delay of TCP."},
    Code{"internal_error", "invalid", "Times that can't be. Never seen; a mistake of this program."},
    Code{"partial_offload", "suspect", "Part of the model is on the GPU, part isn't."},
    Code{"too_few", "note", "Fewer than 6 samples: no interval of the median can be given."},
};

using Findings = std::vector<Finding>;

void add(Findings& out, std::string code, Level level, std::string message, std::string remedy,
         std::optional<std::size_t> request = std::nullopt) {
    out.push_back({std::move(code), level, std::move(message), std::move(remedy), request});
}

bool ok(const RequestRecord& r) {
    return r.outcome == Outcome::kOk;
}

/// Median of what `of` gives over the good requests; nothing if it gives nothing.
template <typename Of>
std::optional<double> median_over(const Run& run, Of of) {
    std::vector<double> values;
    for (const RequestRecord& r : run.requests)
        if (const std::optional<double> value = ok(r) ? of(r) : std::nullopt) values.push_back(*value);
    if (values.empty()) return std::nullopt;
    return stats::median_of(std::move(values));
}

std::optional<double> load_ms(const RequestRecord& r) {
    return r.server.load ? std::optional(to_ms(*r.server.load)) : std::nullopt;
}

std::optional<double> prompt_ms_per_token(const RequestRecord& r) {
    const ServerReport& s = r.server;
    if (!s.prompt_eval || s.prompt_tokens.value_or(0) < 1 || s.cached_tokens) return std::nullopt;
    return to_ms(*s.prompt_eval) / static_cast<double>(*s.prompt_tokens);
}

/// Words of a text: no tokenizer in use makes fewer tokens than words.
std::int64_t count_words(std::string_view text) {
    std::int64_t words = 0;
    bool inside = false;
    for (const char c : text) {
        const bool letter = std::isspace(static_cast<unsigned char>(c)) == 0;
        words += letter && !inside ? 1 : 0;
        inside = letter;
    }
    return words;
}

void check_prompt(const RequestRecord& r, std::size_t i, const RunContext& context, std::int64_t words, Findings& out) {
    const auto tokens = r.server.prompt_tokens;
    if (r.server.prompt_truncated || (tokens && *tokens < words)) {
        add(out, "prompt_truncated", Level::kInvalid,
            fmt::format("request {}: {} used {} tokens of a prompt of at least {} words", i + 1, context.engine,
                        tokens.value_or(0), words),
            "Give it a larger context: --num-ctx 8192", i);
    }
    if (r.server.cached_tokens.value_or(0) > 0) {
        add(out, "cached_prompt", Level::kInvalid,
            fmt::format("request {}: {} of {} prompt tokens came from the cache", i + 1, *r.server.cached_tokens,
                        tokens.value_or(0)),
            "Switch the server's prompt cache off.", i);
    }
}

void check_length(const RequestRecord& r, std::size_t i, Findings& out) {
    const auto tokens = output_tokens(r);
    if (!tokens || r.max_tokens <= 0) return;
    const double allowed = std::max(1.0, kThresholds.length_tolerance * static_cast<double>(r.max_tokens));
    if (static_cast<double>(r.max_tokens - *tokens) > allowed) {
        add(out, "early_eos", Level::kSuspect,
            fmt::format("request {}: the answer ended after {} of {} tokens", i + 1, *tokens, r.max_tokens),
            "Compare decode speed only, or take a prompt that asks for a longer answer.", i);
    } else if (static_cast<double>(*tokens - r.max_tokens) > allowed) {
        add(out, "over_length", Level::kSuspect,
            fmt::format("request {}: {} tokens came where {} were asked for", i + 1, *tokens, r.max_tokens),
            "Compare decode speed only.", i);
    }
}

void check_first_event(const RequestRecord& r, std::size_t i, Findings& out) {
    if (token_source(r) != TokenSource::kServer && token_source(r) != TokenSource::kRetokenised) return;
    const std::int64_t visible = *r.server.output_tokens - r.server.hidden_tokens.value_or(0);
    const auto events = static_cast<double>(r.events.size());
    const auto time = decode_time(r);
    if (!time || events >= kThresholds.events_per_token * static_cast<double>(visible)) return;
    const double first = std::ceil(static_cast<double>(visible) / events);
    const double seconds = to_seconds(*time);
    add(out, "first_chunk_unknown", Level::kSuspect,
        fmt::format("request {}: {} tokens came in {} events; the true decode speed lies within {:.1f} .. {:.1f} tok/s",
                    i + 1, visible, r.events.size(), (static_cast<double>(visible) - first) / seconds,
                    static_cast<double>(visible - 1) / seconds),
        "Take a backend that counts every event: -b llamacpp or -b embedded.", i);
}

void check_requests(const Run& run, const RunContext& context, Findings& out) {
    const auto usual_load_ms = median_over(run, load_ms);
    const auto usual_prompt_ms = median_over(run, prompt_ms_per_token);
    const std::int64_t words = count_words(context.prompt);
    for (std::size_t i = 0; i < run.requests.size(); ++i) {
        const RequestRecord& r = run.requests[i];
        if (r.outcome == Outcome::kTruncated) {
            add(out, "truncated_stream", Level::kInvalid, fmt::format("request {}: {}", i + 1, r.error.message),
                r.error.hint, i);
        }
        if (!ok(r)) continue;
        if (const auto load = load_ms(r); load && *load > kThresholds.load_floor_ms + 3.0 * *usual_load_ms) {
            add(out, "reloaded", Level::kInvalid,
                fmt::format("request {}: the model was loaded during it ({:.0f}ms)", i + 1, *load),
                "Something else uses this server, or it unloads early: OLLAMA_KEEP_ALIVE=30m", i);
        }
        if (const auto ms = prompt_ms_per_token(r);
            ms && run.requests.size() >= 3 && *ms < kThresholds.cached_share_of_median * *usual_prompt_ms) {
            add(out, "cached_prompt_suspected", Level::kSuspect,
                fmt::format("request {}: its prompt took {:.0f} % of the usual time per token", i + 1,
                            100.0 * *ms / *usual_prompt_ms),
                "Don't read its TTFT; decode speed isn't touched.", i);
        }
        check_prompt(r, i, context, words, out);
        check_length(r, i, out);
        check_first_event(r, i, out);
    }
}

void check_errors(const Run& run, Findings& out) {
    std::size_t attempts = 0;
    std::size_t failed = 0;
    std::string remedy;
    for (const RequestRecord& r : run.requests) {
        if (r.outcome == Outcome::kCancelled) continue;
        ++attempts;
        if (ok(r)) continue;
        ++failed;
        if (remedy.empty()) remedy = r.error.hint.substr(0, r.error.hint.find('\n'));
    }
    if (failed == 0) return;
    const double share = static_cast<double>(failed) / static_cast<double>(attempts);
    add(out, "errors", share > kThresholds.errors_invalid ? Level::kInvalid : Level::kSuspect,
        fmt::format("{} of {} requests failed", failed, attempts),
        remedy.empty() ? "Look at the server's log." : remedy);
}

/// Time that the engine's own total leaves for generating, as a share of the time that the client saw.
std::optional<double> rest_of_total(const RequestRecord& r) {
    const ServerReport& s = r.server;
    const auto time = decode_time(r);
    if (!time || !s.total || !s.prompt_eval) return std::nullopt;
    return to_seconds(*s.total - s.load.value_or(Ns{0}) - *s.prompt_eval) / to_seconds(*time);
}

void check_against_server(const Run& run, const RunContext& context, Findings& out) {
    const auto ratio = median_over(run, [](const RequestRecord& r) -> std::optional<double> {
        const auto server = server_decode_speed(r);
        const auto tokens = decode_tokens(r);
        const auto time = decode_time(r);
        if (!server || !tokens || !time) return std::nullopt;
        return static_cast<double>(*tokens) / to_seconds(*time) / *server;
    });
    if (!ratio || std::abs(*ratio - 1.0) <= kThresholds.client_server_gap) return;
    // Ollama up to 0.24 takes the time for choosing tokens out of its eval_duration, and leaves it in total_duration.
    const auto rest = median_over(run, rest_of_total);
    if (*ratio < 1.0 && rest && std::abs(*rest - 1.0) <= kThresholds.client_server_gap) {
        add(out, "client_server_mismatch", Level::kNote,
            fmt::format(
                "{}'s own decode speed reads {:.1f} % higher: it leaves part of its time out; its total time agrees "
                "with this program's clock",
                context.engine, 100.0 * (1.0 / *ratio - 1.0)),
            "Read the decode speed given here; Ollama before 0.30 leaves its sampling out.");
        return;
    }
    add(out, "client_server_mismatch", Level::kSuspect,
        fmt::format("decode speed by this program's clock is {:+.1f} % against {}'s own", 100.0 * (*ratio - 1.0),
                    context.engine),
        "Other work on this machine delays one of them: close it and measure again.");
}

}  // namespace

std::span<const Code> code_table() {
    return kCodes;
}

std::vector<Finding> check_run(const Run& run, const RunContext& context) {
    Findings out;
    check_requests(run, context, out);
    check_errors(run, out);
    check_against_server(run, context, out);
    check_host(run, context, out);
    check_series(run, context, out);
    if (context.gpu_share && *context.gpu_share > 0.0 && *context.gpu_share < 1.0) {
        add(out, "partial_offload", Level::kSuspect,
            fmt::format("{:.0f} % of the model is on the GPU", 100.0 * *context.gpu_share),
            "Take a smaller model, quantisation or context, so that all of it fits.");
    }
    const auto any_counted_by = [&](TokenSource source) {
        return std::any_of(run.requests.begin(), run.requests.end(),
                           [&](const RequestRecord& r) { return ok(r) && token_source(r) == source; });
    };
    if (any_counted_by(TokenSource::kChunks)) {
        add(out, "tokens_estimated", Level::kNote, "the engine doesn't count tokens: each event was taken for one",
            "Read the speeds as estimates; --tokenizer MODEL counts the text.");
    } else if (any_counted_by(TokenSource::kRetokenised)) {
        add(out, "tokens_estimated", Level::kNote,
            "the engine doesn't count tokens: the text was cut into tokens here, perhaps not as it was generated",
            "Read the speeds as estimates.");
    }
    return out;
}

}  // namespace velollm::metrics
