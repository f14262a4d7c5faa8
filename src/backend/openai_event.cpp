#include "backend/dialect.h"

namespace velollm::backend {
namespace {

using wire::JsonReader;

void read_usage(const JsonReader& json, ServerReport& report) {
    report.prompt_tokens = json.integer("/usage/prompt_tokens");
    report.output_tokens = json.integer("/usage/completion_tokens");
    report.cached_tokens = json.integer("/usage/prompt_tokens_details/cached_tokens");
    if (!report.cached_tokens) report.cached_tokens = json.integer("/usage/prompt_cache_hit_tokens");  // DeepSeek
    report.reasoning_tokens = json.integer("/usage/completion_tokens_details/reasoning_tokens");
    if (report.output_tokens) return;
    report.prompt_tokens = json.integer("/x_groq/usage/prompt_tokens");
    report.output_tokens = json.integer("/x_groq/usage/completion_tokens");
}

FinishReason finish_reason(std::string_view word) {
    if (word == "length") return FinishReason::kLength;
    return word == "stop" ? FinishReason::kStop : FinishReason::kOther;
}

std::optional<TokenEvent> read_tokens(const JsonReader& json) {
    struct Place {
        const char* pointer;
        TokenKind kind;
    };
    for (const Place& place :
         {Place{"/choices/0/delta/content", TokenKind::kContent}, Place{"/choices/0/text", TokenKind::kContent},
          Place{"/choices/0/delta/reasoning_content", TokenKind::kReasoning},
          Place{"/choices/0/delta/reasoning", TokenKind::kReasoning},
          Place{"/choices/0/delta/tool_calls/0/function/name", TokenKind::kToolCall},
          Place{"/choices/0/delta/tool_calls/0/function/arguments", TokenKind::kToolCall}}) {
        const auto text = json.text(place.pointer);
        if (text && !text->empty()) return TokenEvent{.kind = place.kind, .text = *text, .tokens = {}};
    }
    return std::nullopt;
}

}  // namespace

void read_openai_event(const JsonReader& json, EventMeaning& meaning) {
    if (json.has("/error") && json.json("/error") != "null") {
        meaning.error = json.json("").value_or("");
        return;
    }
    meaning.part_of_report = true;
    read_usage(json, meaning.report);
    read_llama_timings(json, meaning.report);
    meaning.tokens = read_tokens(json);
    // Ollama writes zeros into all events but the last: that is no count.
    if (meaning.tokens && meaning.report.output_tokens == 0) meaning.report = {};
    if (meaning.tokens) meaning.running_tokens = meaning.report.output_tokens;
    if (const auto reason = json.text("/choices/0/finish_reason"); reason && !reason->empty()) {
        meaning.text_ended = true;
        meaning.report.finish = finish_reason(*reason);
    }
}

}  // namespace velollm::backend
