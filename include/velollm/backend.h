#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm {

using RequestId = std::uint64_t;

/// One generation to ask for. Sampling is greedy (temperature 0) in every benchmark; `seed` is sent all the same
/// because some servers draw even then.
struct Prompt {
    std::string text;
    std::int64_t max_tokens = 0;
    std::uint64_t seed = 0;
};

enum class TokenKind { kContent, kReasoning, kToolCall };

/// An event of a stream that carried at least one token (method: an empty delta, a role or a ping is not one).
struct TokenEvent {
    TokenKind kind = TokenKind::kContent;
    std::string_view text;               ///< valid during the call
    std::optional<std::int64_t> tokens;  ///< exact number of tokens in this event, where the engine can say it
    bool running_count = false;          ///< `tokens` is the difference of a server's running count
};

enum class Outcome {
    kOk,
    kEmpty,      ///< the server said success and sent no token
    kError,      ///< refused, or failed before the end with a reason
    kTruncated,  ///< the stream ended without its final record
    kTimeout,    ///< no progress for the allowed time; cancelled by us
    kCancelled,  ///< stopped by the user
};

enum class FinishReason { kUnknown, kLength, kStop, kOther };

/// What the server says of one request. Absent means that it did not say; it is never 0 instead.
struct ServerReport {
    std::optional<std::int64_t> prompt_tokens;     ///< whole prompt, cached part included
    std::optional<std::int64_t> cached_tokens;     ///< part of it that was not evaluated again
    std::optional<std::int64_t> output_tokens;     ///< generated tokens, an end token included
    std::optional<std::int64_t> hidden_tokens;     ///< of them, at the end and carried by no event, e.g. the end token
    std::optional<std::int64_t> reasoning_tokens;  ///< of them, thought before the answer
    std::optional<std::int64_t> draft_tokens;      ///< proposed by speculative decoding
    std::optional<std::int64_t> accepted_tokens;   ///< of them, kept
    std::optional<Ns> load;                        ///< waiting for the model to be in memory
    std::optional<Ns> prompt_eval;
    std::optional<Ns> eval;  ///< from the first to the last generated token
    std::optional<Ns> total;
    FinishReason finish = FinishReason::kUnknown;
    bool prompt_truncated = false;  ///< the server says that it cut the prompt
};

struct Completion {
    Outcome outcome = Outcome::kOk;
    Error error;  ///< set unless the outcome is kOk or kEmpty
    ServerReport server;
};

/// Receives what happens to a request, on the thread that polls, in time order.
struct TokenSink {
    virtual ~TokenSink() = default;
    /// The request is about to be handed to the engine: connected, nothing sent yet. `connecting` is what making the
    /// connection took before; absent when a kept one is used or none is needed.
    virtual void on_sent(RequestId, TimePoint, std::optional<Ns> connecting) = 0;
    virtual void on_first_byte(RequestId, TimePoint) = 0;
    virtual void on_tokens(RequestId, TimePoint, const TokenEvent&) = 0;
    /// Exactly once per started request, as its last call. Not called for a cancelled one.
    virtual void on_done(RequestId, TimePoint, const Completion&) = 0;
};

/// The model in memory.
struct LoadedModel {
    Ns took{};                          ///< as the client saw it
    std::optional<bool> was_resident;   ///< it was in memory before: `took` is no load time
    std::optional<std::int64_t> bytes;  ///< weights, KV cache and buffers, as far as the engine tells
    std::optional<double> gpu_share;    ///< part of it on a GPU: 1 all, 0 none
    std::optional<std::int64_t> context_tokens;
    std::optional<int> threads;
    /// What the model's chat template puts around a user's words; both empty where that isn't known.
    std::string prompt_prefix;
    std::string prompt_suffix;
    std::optional<int> process_id;  ///< of the engine, where this program started it
};

/// Speculative decoding in force.
struct Speculation {
    std::string type;                 ///< the engine's name for it
    std::string draft_model;          ///< file of the model that drafts; empty: none
    std::optional<int> draft_tokens;  ///< most tokens drafted in a step; absent: the engine's own number
};

/// What is being measured. A field that the engine doesn't tell is empty.
struct TargetInfo {
    std::string kind;          ///< "ollama", "llama-server", "openai", "embedded"
    std::string display_name;  ///< "Ollama", "llama.cpp"
    std::string version;
    std::string address;  ///< URL, or path of the model file
    std::string file;     ///< of the weights, where it lies on this machine and is known
    std::string model;    ///< as asked for
    std::string family;
    std::string quantization;
    std::string digest;  ///< sha256 of the weights as the engine states it
    std::optional<std::int64_t> parameters;
    std::optional<std::int64_t> file_bytes;
    std::map<std::string, std::string> settings;  ///< options in force, by the engine's own names
    std::optional<Speculation> speculation;       ///< absent: none, or none that is known of
    std::vector<std::string> notes;               ///< one line each, for the reader
};

/// What parts of the way to an engine cost, measured by calls that do nothing else. Absent: there is no such call.
struct PathTimes {
    std::optional<Ns> round_trip;  ///< a call over HTTP that the server answers without work
    std::optional<Ns> tokenize;    ///< turning the prompt into tokens, beyond the round trip
};

/// How long bytes had lain in the kernel when they were read, by the kernel's own stamps, in a sample of the reads.
struct ReadLag {
    std::int64_t samples = 0;
    Ns p50{};
    Ns p99{};
    Ns max{};
};

/// How answers came in over a network.
struct ReadHealth {
    std::int64_t reads = 0;
    std::int64_t events = 0;     ///< with tokens or without
    std::int64_t coalesced = 0;  ///< of them, in one read with the event before: they share its stamp
    std::optional<ReadLag> lag;  ///< absent where the kernel doesn't say
};

/// An engine that streams tokens. One thread uses it.
struct Backend {
    virtual ~Backend() = default;
    /// Finds out whether the engine answers and has the model. Fails within seconds, with the way out in the hint.
    /// An engine that this program has to start is started here, which takes as long as its model takes to load.
    virtual Result<TargetInfo> describe() = 0;
    /// Brings the model into memory and says what it took and how it lies there. Idempotent.
    virtual Result<LoadedModel> load() = 0;
    /// Takes the model out of memory again, so that the next load() is a real one.
    virtual Result<void> unload() = 0;
    /// Never blocks; what happens is told to the sink from poll().
    virtual void start(RequestId, const Prompt&, TokenSink&) = 0;
    virtual void cancel(RequestId) = 0;
    /// Works, or waits for something to happen, until `until` at the latest. The only place that waits.
    virtual void poll(TimePoint until) = 0;
    /// Makes such calls, a few of each. Only between requests.
    virtual PathTimes path_times(const Prompt&) { return {}; }
    /// How reading went since the last time this was asked. Nothing where no network is in between.
    virtual std::optional<ReadHealth> take_read_health() { return std::nullopt; }
};

}  // namespace velollm
