#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::mock {

/// Whose stream a script speaks. kAny: that of the path that was asked, all paths being served.
enum class Wire { kAny, kOpenaiChat, kOpenaiCompletions, kLlamaCompletion, kOllamaGenerate, kOllamaChat };

enum class Framing { kChunked, kLength, kClose };

/// What one event is. kEmpty is an event without text, kSilent no event at all: its tokens were made and are held back.
enum class StepKind {
    kRole,
    kContent,
    kReasoning,
    kTool,
    kEmpty,
    kSilent,
    kPing,
    kComment,
    kUsage,
    kTimings,
    kProgress
};

/// One event, `dt_ms` after the planned instant of the one before it; the first counts from the request.
struct Step {
    StepKind kind = StepKind::kContent;
    double dt_ms = 0;
    std::int64_t k = 1;       ///< tokens in it
    std::int64_t repeat = 1;  ///< so many steps like this
    bool join = false;        ///< in the same HTTP chunk, and so the same instant, as the step before
    std::string text;         ///< empty: a made-up word per token
    std::string bytes;        ///< not empty: written as they are in place of the rendered event
};

struct HttpScript {
    Framing framing = Framing::kChunked;
    bool header_with_first = false;  ///< the header leaves together with the first event
    std::optional<double>
        header_delay_ms;  ///< absent: as the dialect does it, at once or (Ollama) with the first event
    int status = 200;     ///< another one: no stream, an error in the words of the dialect
    bool keep_alive = true;
};

struct TcpScript {
    bool nodelay = true;
    std::int64_t split_every = 0;        ///< cut each HTTP chunk after every so many bytes; 0: don't
    std::vector<std::int64_t> split_at;  ///< or at these offsets
    double split_gap_ms = 0;             ///< between the pieces
    double hold_ms = 0;                  ///< every hold_every-th write leaves so much later
    std::int64_t hold_every = 8;
};

struct PromptScript {
    std::optional<std::int64_t> n;         ///< tokens; absent: the words of the prompt
    std::optional<std::int64_t> reported;  ///< what the server says they are; absent: the truth
    std::int64_t cached = 0;
    std::int64_t cached_from = 0;  ///< from this request on, counted from 0
};

enum class UsageAt { kNone, kLastChoice, kOwn, kEvery };

/// How a stream ends. The *_after count the steps that went out before; absent: never.
struct FinishScript {
    std::string reason = "length";
    UsageAt usage_at = UsageAt::kOwn;
    bool done_marker = true;
    std::int64_t hidden_tokens = 0;  ///< counted by the server without an event, as an end token is
    std::optional<std::int64_t> rst_after;
    std::optional<std::int64_t> close_after;
    std::optional<std::int64_t> error_after;
    std::optional<std::int64_t> stall_after;
};

/// Makes the steps from what was asked. The speed at a context of c tokens is tg_tok_s / (1 + tg_slope * c / 1000).
struct RateModel {
    double pp_tok_s = 1000;
    double tg_tok_s = 50;
    double tg_slope = 0;
    std::int64_t draft_k = 0;     ///< drafted tokens a step; 0: no draft model
    double draft_p_accept = 0.7;  ///< chance of each drafted token, given that the one before it was taken
    std::int64_t draft_seed = 1;
};

/// Multiplies every dt_ms of request i.
struct DriftScript {
    double per_request = 0;  ///< 1 + per_request * i
    std::int64_t slow_first = 0;
    double slow_factor = 1;  ///< for the first slow_first requests
    std::optional<std::int64_t> step_at;
    double step_factor = 1;  ///< from request step_at on
};

struct QuirkScript {
    bool prompt_count = true;     ///< Ollama: prompt_eval_count in the last record
    bool old_rate = false;        ///< llama timings: predicted_per_second = n / t, not (n - 1) / t
    bool openai_timings = false;  ///< llama-server's "timings" beside "usage"
};

/// How one request is answered.
struct Script {
    Wire wire = Wire::kAny;
    HttpScript http;
    TcpScript tcp;
    PromptScript prompt;
    double load_ms = 0;        ///< before everything else, and reported as load_duration
    double fixed_cost_ms = 0;  ///< before the prompt; belongs to nothing that is reported
    std::vector<Step> steps;
    std::optional<RateModel> rate_model;  ///< in place of steps
    FinishScript finish;
    DriftScript drift;
    QuirkScript quirks;
};

/// What the whole server takes on at once.
struct CapacityScript {
    std::int64_t slots = 0;          ///< generations at a time; 0: no limit
    std::int64_t queue = 1'000'000;  ///< requests that wait for a slot; one more is answered 503
    double loading_until_ms = 0;     ///< 503 "Loading model" for so long after the start
};

/// What a server does: request i is answered by requests[i % size].
struct Program {
    std::string model = "mock:1b";
    CapacityScript capacity;
    std::vector<Script> requests{Script{}};
};

}  // namespace velollm::mock

namespace velollm::serde {

/// The script that is used where none is given, as JSON: every dialect, 2000 tok/s prompt, 50 tok/s reply.
std::string_view default_mock_script();

/// Reads a script (docs/mock.md). `source` names the text in messages; an error names the key and what is allowed.
Result<mock::Program> read_mock_script(std::string_view json, const std::string& source);

}  // namespace velollm::serde
