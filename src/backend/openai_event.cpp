#include "backend/dialect.h"
#include "backend/event_fields.h"

namespace velollm::backend {
namespace {

using wire::EventReader;

void read_usage(EventReader& json, ServerReport& report) {
    if (json.has(kUsage)) {
        report.prompt_tokens = json.integer(kUsagePromptTokens);
        report.output_tokens = json.integer(kUsageTokens);
        report.cached_tokens = json.integer(kUsageCachedTokens);
        if (!report.cached_tokens) report.cached_tokens = json.integer(kUsageCacheHits);  // DeepSeek
        report.reasoning_tokens = json.integer(kUsageReasoningTokens);
    }
    if (report.output_tokens) return;
    report.prompt_tokens = json.integer(kGroqPromptTokens);
    report.output_tokens = json.integer(kGroqTokens);
}

FinishReason finish_reason(std::string_view word) {
    if (word == "length") return FinishReason::kLength;
    return word == "stop" ? FinishReason::kStop : FinishReason::kOther;
}

std::optional<TokenEvent> read_tokens(EventReader& json) {
    struct Place {
        EventField field;
        TokenKind kind;
    };
    for (const Place& place :
         {Place{kDeltaContent, TokenKind::kContent}, Place{kChoiceText, TokenKind::kContent},
          Place{kDeltaReasoningContent, TokenKind::kReasoning}, Place{kDeltaReasoning, TokenKind::kReasoning},
          Place{kDeltaToolName, TokenKind::kToolCall}, Place{kDeltaToolArguments, TokenKind::kToolCall}}) {
        const auto text = json.text(place.field);
        if (text && !text->empty()) return TokenEvent{.kind = place.kind, .text = *text, .tokens = {}};
    }
    return std::nullopt;
}

}  // namespace

void read_openai_event(EventReader& json, EventMeaning& meaning) {
    if (json.has(kError) && json.json(kError) != "null") {
        meaning.error = json.json().value_or("");
        return;
    }
    read_usage(json, meaning.report);
    read_llama_timings(json, meaning.report);
    meaning.tokens = read_tokens(json);
    // Ollama writes zeros into all events but the last: that is no count.
    if (meaning.tokens && meaning.report.output_tokens == 0) meaning.report = {};
    if (meaning.tokens) meaning.running_tokens = meaning.report.output_tokens;
    if (const auto reason = json.text(kFinishReason); reason && !reason->empty()) {
        meaning.text_ended = true;
        meaning.report.finish = finish_reason(*reason);
    }
    meaning.part_of_report = meaning.report.prompt_tokens || meaning.report.output_tokens || meaning.text_ended ||
                             meaning.report.cached_tokens || meaning.report.reasoning_tokens;
}

}  // namespace velollm::backend
