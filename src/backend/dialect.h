#pragma once

#include <velollm/backend.h>
#include <velollm/spec.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/json_writer.h"
#include "http/transport.h"
#include "wire/event_reader.h"
#include "wire/json_reader.h"
#include "wire/url.h"

namespace velollm::backend {

/// Fields of an OpenAI request that not every server takes, as far as is known.
struct AcceptedFields {
    bool extras = true;                  ///< ignore_eos, min_tokens, continuous_usage_stats: vLLM, SGLang, llama-server
    bool usage = true;                   ///< stream_options
    bool temperature = true;             ///< not taken by OpenAI's reasoning models
    bool max_completion_tokens = false;  ///< which they want instead of max_tokens
};

/// A server as one dialect needs to know it. `describe` fills the second part in.
struct Target {
    TargetSpec spec;
    wire::Url base;

    std::string prompt_prefix;  ///< what the model's chat template puts before a user's words, where we apply it
    std::string prompt_suffix;
    AcceptedFields accepted;
    bool is_llama_server = false;  ///< behind /v1: it has an own switch for its cache, and closes kept connections

    /// Sent to this server and nowhere else; in no result, no message.
    std::string api_key;
};

enum class Framing { kNdjson, kServerSentEvents };

/// What one event of a reply means. Several of the fields may be set.
struct EventMeaning {
    std::optional<TokenEvent> tokens;            ///< its text is valid as long as the event's JSON
    std::optional<std::int64_t> running_tokens;  ///< generated so far, this event included: the difference is its count
    bool final = false;                          ///< the server's own end: `report` is complete
    ServerReport report;
    bool part_of_report = false;       ///< what `report` has replaces what it had in earlier events
    bool text_ended = false;           ///< no token follows, and the stream may end here; counts may still come
    std::optional<std::string> error;  ///< the server gave up inside the stream
};

/// Everything that differs between servers. A new server is one such value, in a file of its own.
struct Dialect {
    std::string_view kind;          ///< as the result file names it
    std::string_view display_name;  ///< as a message names it
    Framing framing;

    http::HttpRequest (*generate)(const Target&, const Prompt&);
    void (*read_event)(wire::EventReader&, EventMeaning&);  ///< by the numbers of event_fields.h
    /// A refusal: the reply had another status than 200.
    Error (*refusal)(const Target&, int status, std::string_view body);
    Result<TargetInfo> (*describe)(Target&, const http::Caller&);
    Result<LoadedModel> (*load)(const Target&, const http::Caller&);
    Result<void> (*unload)(const Target&, const http::Caller&);
    /// Path of something that the server says without work; empty where none is known.
    std::string_view idle_path = {};
    /// Asks for the tokens of a prompt as `generate` sends it; null where the server can't be asked.
    http::HttpRequest (*tokenize)(const Target&, const Prompt&) = nullptr;
};

const Dialect& ollama_dialect();
/// For the endpoint that `spec` names: its own (/completion), or that of OpenAI's chat.
const Dialect& llama_server_dialect(const TargetSpec& spec = {});
const Dialect& openai_dialect();

/// The address that the endpoints are appended to: with /v1, whether or not the user wrote it.
wire::Url openai_base(wire::Url url);

/// An event of /v1/chat/completions or /v1/completions, wherever the server puts its counts.
void read_openai_event(wire::EventReader& json, EventMeaning& meaning);

inline constexpr Ns kShortAnswer = std::chrono::seconds(5);
/// Loading may take this many time-outs: by default half an hour, enough for 100 GB from a slow disk.
inline constexpr int kLoadPatience = 6;

http::HttpRequest get(const Target& target, std::string_view path);
http::HttpRequest post(const Target& target, std::string_view path, const base::JsonWriter& body);

/// "messages": what the user says, and nothing before it.
void write_user_message(base::JsonWriter& json, std::string_view text);

/// A server's words with the key blotted out, should it repeat it.
std::string without_key(const Target& target, std::string_view text);

/// The words of a server's refusal: {"error":"text"}, {"error":{"message":"text"}}, or such an object as a string
/// inside the first form. Anything else: the body itself, on one line.
std::string error_text(std::string_view body);

/// The count or the nanoseconds that a server states, absent when it can be neither: below 0, or above 2^53.
std::optional<std::int64_t> possible_count(std::optional<std::int64_t> stated);
std::optional<Ns> possible_time(std::optional<Ns> stated);

/// llama-server's own measurements of a request, "timings", on its native and its /v1 endpoints. Counts that the report
/// has already stay.
void read_llama_timings(wire::EventReader& json, ServerReport& report);

/// A request that failed before any status came, in the words of cli.md: what was tried, what came back, what to do.
Error transport_error(const Target& target, std::string_view display_name, const http::HttpResponse& response);

/// The hint of a "model not found", a line each: how to get it (may be empty), what is nearest, how to list them.
std::string model_hint(std::string_view get_it, const std::vector<std::string>& names, const std::string& wanted);

}  // namespace velollm::backend
