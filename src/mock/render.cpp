#include "mock/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_writer.h"
#include "system/system.h"

namespace velollm::mock {

bool is_ollama(Wire wire) {
    return wire == Wire::kOllamaGenerate || wire == Wire::kOllamaChat;
}

void render_event(std::string& out, const StreamState& state, StepKind kind) {
    if (kind == StepKind::kSilent) return;
    if (is_ollama(state.wire)) return render_ollama(out, state, kind);
    if (kind == StepKind::kPing) {
        out += ": ping\n\n";
    } else if (kind == StepKind::kComment) {
        out += fmt::format(": {}\n\n", state.text);
    } else if (state.wire == Wire::kLlamaCompletion) {
        render_llama(out, state, kind);
    } else {
        render_openai(out, state, kind);
    }
}

std::vector<std::string> render_finish(const StreamState& state) {
    if (is_ollama(state.wire)) return finish_ollama(state);
    return state.wire == Wire::kLlamaCompletion ? finish_llama(state) : finish_openai(state);
}

std::string error_body(Wire wire, int status, std::string_view message) {
    base::JsonWriter json;
    json.begin_object();
    if (is_ollama(wire)) {
        json.field("error", message);
    } else {
        const char* type = status == 503   ? "unavailable_error"
                           : status == 404 ? "not_found_error"
                           : status < 500  ? "invalid_request_error"
                                           : "server_error";
        json.key("error").begin_object();
        json.field("message", message).field("type", type).field("code", status).end_object();
    }
    return json.end_object().text();
}

std::string render_stream_error(Wire wire) {
    const std::string body = error_body(wire, 500, "the mock was told to fail here");
    return is_ollama(wire) ? body + "\n" : fmt::format("data: {}\n\n", body);
}

std::string_view stream_type(Wire wire) {
    return is_ollama(wire) ? "application/x-ndjson" : "text/event-stream";
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 404: return "Not Found";
        case 429: return "Too Many Requests";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 503: return "Service Unavailable";
        default: return "Scripted";
    }
}

std::string render_head(Wire wire, int status, std::string_view content_type, std::int64_t length, bool chunked,
                        bool keep_alive) {
    std::string out = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
    if (!is_ollama(wire)) out += "Server: llama.cpp\r\nAccess-Control-Allow-Origin: \r\n";
    if (!is_ollama(wire) && content_type == "text/event-stream") out += "X-Accel-Buffering: no\r\n";
    out += fmt::format("Content-Type: {}\r\n", content_type);
    if (chunked) out += "Transfer-Encoding: chunked\r\n";
    if (length >= 0) out += fmt::format("Content-Length: {}\r\n", length);
    if (!keep_alive) {
        out += "Connection: close\r\n";
    } else if (!is_ollama(wire)) {
        out += "Keep-Alive: timeout=5, max=100\r\n";
    }
    return out + "\r\n";
}

std::string ollama_time(std::int64_t wall_ns) {
    std::string seconds = system::utc_timestamp(wall_ns / 1'000'000'000);
    seconds.pop_back();
    return fmt::format("{}.{:09}Z", seconds, wall_ns % 1'000'000'000);
}

std::string llama_timings(const StreamState& state) {
    const std::int64_t prompt_n = std::max<std::int64_t>(state.prompt_tokens - state.cached_tokens, 0);
    const double prompt_ms = static_cast<double>(state.prompt_ns) / 1e6;
    const std::int64_t predicted_n = state.tokens;
    // The server measures from the end of the prompt, at which the first token comes out.
    const double predicted_ms =
        static_cast<double>(std::max<std::int64_t>(state.now_ns - state.first_token_ns, 0)) / 1e6;
    const bool old = state.script->quirks.old_rate;
    const double counted = static_cast<double>(old ? predicted_n : predicted_n - 1);
    const auto ratio = [](double a, double b) { return b > 0 && a > 0 ? a / b : 0.0; };
    base::JsonWriter json;
    json.begin_object().field("cache_n", state.cached_tokens).field("prompt_n", prompt_n);
    json.field("prompt_ms", prompt_ms);
    json.field("prompt_per_token_ms", ratio(prompt_ms, static_cast<double>(prompt_n)));
    json.field("prompt_per_second", ratio(static_cast<double>(prompt_n) * 1e3, prompt_ms));
    json.field("predicted_n", predicted_n).field("predicted_ms", predicted_ms);
    json.field("predicted_per_token_ms", ratio(predicted_ms, counted));
    json.field("predicted_per_second", ratio(counted * 1e3, predicted_ms));
    return json.end_object().text();
}

}  // namespace velollm::mock
