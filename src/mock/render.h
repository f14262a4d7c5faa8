#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mock/asked.h"
#include "serde/mock_script.h"

namespace velollm::mock {

/// Everything that the text of an event depends on. Times are planned ones, so that what a server reports about itself
/// is known beforehand.
struct StreamState {
    const Script* script = nullptr;
    const Asked* asked = nullptr;
    Wire wire = Wire::kOpenaiChat;
    std::string model;
    std::string id;                  ///< of this answer
    std::int64_t wall_ns = 0;        ///< since 1970, when the request had been read
    std::int64_t prompt_tokens = 0;  ///< as reported
    std::int64_t cached_tokens = 0;
    std::int64_t load_ns = 0;
    std::int64_t prompt_ns = 0;       ///< reported prompt time
    std::int64_t first_token_ns = 0;  ///< offsets from the request
    std::int64_t now_ns = 0;
    std::int64_t tokens = 0;  ///< so far, with those of the event at hand
    std::string text;         ///< of the event at hand
};

/// Appends one event as the dialect frames it. Nothing for a kind that the dialect doesn't have.
void render_event(std::string& out, const StreamState& state, StepKind kind);

/// The chunks after the last step: reason, counters, end marker.
std::vector<std::string> render_finish(const StreamState& state);

/// An error inside the stream.
std::string render_stream_error(Wire wire);

/// Body of an answer that is no stream.
std::string error_body(Wire wire, int status, std::string_view message);

/// Header of an answer, with the empty line. `length` below zero: none is told.
std::string render_head(Wire wire, int status, std::string_view content_type, std::int64_t length, bool chunked,
                        bool keep_alive);
std::string_view stream_type(Wire wire);
std::string_view reason_phrase(int status);
bool is_ollama(Wire wire);

/// "2026-11-24T03:28:20.495178252Z", as Ollama writes it.
std::string ollama_time(std::int64_t wall_ns);

/// {"cache_n":..., ...}: llama-server's own figures.
std::string llama_timings(const StreamState& state);

void render_openai(std::string& out, const StreamState& state, StepKind kind);
void render_llama(std::string& out, const StreamState& state, StepKind kind);
void render_ollama(std::string& out, const StreamState& state, StepKind kind);
std::vector<std::string> finish_openai(const StreamState& state);
std::vector<std::string> finish_llama(const StreamState& state);
std::vector<std::string> finish_ollama(const StreamState& state);

}  // namespace velollm::mock
