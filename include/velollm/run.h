#pragma once

#include <velollm/backend.h>
#include <velollm/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velollm {

/// Who counted the output tokens, best first (method 1.2).
enum class TokenSource {
    kNone,
    kPerEvent,      ///< A: exact for every event, the engine's own tokens
    kRunningCount,  ///< B: exact for every event, differences of the server's running count
    kServer,        ///< C: exact total from the final record
    kRetokenized,   ///< D: the answer's text cut into tokens again; an estimate
    kChunks,        ///< E: number of token events; an estimate
};

/// One event that carried tokens, `at` after the request was sent.
struct TokenStamp {
    Ns at{};
    std::optional<std::int64_t> tokens;
    TokenKind kind = TokenKind::kContent;
    bool running_count = false;  ///< `tokens` is a difference of the server's running count
};

/// What happened to one request, raw. Times are offsets from `sent`; absent means that it never happened.
struct RequestRecord {
    RequestId id = 0;
    Ns scheduled{};             ///< offset from the start of the run: when the plan said "send"
    Ns sent{};                  ///< offset from the start of the run: when it was sent
    std::optional<Ns> connect;  ///< what connecting took, before `sent`; absent on a kept connection
    std::optional<Ns> first_byte;
    std::vector<TokenStamp> events;
    std::optional<Ns> done;
    Outcome outcome = Outcome::kOk;
    Error error;
    ServerReport server;
    std::int64_t max_tokens = 0;
    std::string nonce;
    std::uint64_t text_hash = 0;  ///< FNV-1a of the visible text: equal prompts may be checked for equal answers
    std::int64_t text_bytes = 0;
};

/// How the measuring program itself fared during a run.
struct ClientHealth {
    std::optional<double> cpu_share;  ///< own CPU time ÷ wall time; absent where the engine runs in this process
    /// CPU time that others used, as a share of all CPUs; only where the engine runs in this process, so that "others"
    /// are neither the engine nor this program.
    std::optional<double> other_cpu_share;
    std::optional<Ns> worst_poll_lag;  ///< longest the loop took to come back from a poll past its limit
    std::int64_t peak_memory_bytes = 0;
};

/// Everything that was observed while a schedule was carried out.
struct Run {
    std::vector<RequestRecord> requests;
    Ns wall{};
    ClientHealth client;
    bool interrupted = false;  ///< stopped before the plan was carried out
};

}  // namespace velollm
