#include "mock/asked.h"

#include <fmt/core.h>

#include "wire/json_reader.h"

namespace velollm::mock {
namespace {

void read_prompt(const wire::JsonReader& json, Asked& asked) {
    if (const auto text = json.text("/prompt")) {
        asked.prompt = *text;
        asked.has_prompt = !text->empty();
        return;
    }
    const auto messages = json.size("/messages");
    if (!messages) return;
    for (std::size_t i = 0; i < *messages; ++i) {
        if (i > 0) asked.prompt += ' ';
        asked.prompt += json.text(fmt::format("/messages/{}/content", i)).value_or("");
    }
    asked.has_prompt = *messages > 0;
}

bool ollama(Wire wire) {
    return wire == Wire::kOllamaGenerate || wire == Wire::kOllamaChat;
}

}  // namespace

std::optional<Wire> wire_of_path(std::string_view path) {
    if (path == "/v1/chat/completions") return Wire::kOpenaiChat;
    if (path == "/v1/completions") return Wire::kOpenaiCompletions;
    if (path == "/completion" || path == "/completions") return Wire::kLlamaCompletion;
    if (path == "/api/generate") return Wire::kOllamaGenerate;
    if (path == "/api/chat") return Wire::kOllamaChat;
    return std::nullopt;
}

std::optional<Asked> read_asked(Wire wire, std::string_view body) {
    wire::JsonReader json;
    if (!json.parse(body)) return std::nullopt;
    Asked asked;
    asked.model = json.text("/model").value_or("");
    read_prompt(json, asked);
    asked.stream = json.boolean("/stream").value_or(ollama(wire));
    for (const char* key : {"/n_predict", "/max_completion_tokens", "/max_tokens", "/options/num_predict"})
        if (const auto limit = json.integer(key); limit && *limit >= 0) asked.max_tokens = *limit;
    asked.include_usage = json.boolean("/stream_options/include_usage").value_or(false);
    asked.timings_per_token = json.boolean("/timings_per_token").value_or(false);
    asked.return_progress = json.boolean("/return_progress").value_or(false);
    asked.unload = ollama(wire) && json.integer("/keep_alive") == 0;
    return asked;
}

std::int64_t count_words(std::string_view text) {
    std::int64_t words = 0;
    bool inside = false;
    for (const char c : text) {
        const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
        if (!blank && !inside) ++words;
        inside = !blank;
    }
    return words;
}

}  // namespace velollm::mock
