#include <fmt/format.h>

#include "base/json_writer.h"
#include "mock/render.h"

namespace velollm::mock {
namespace {

bool chat(const StreamState& state) {
    return state.wire == Wire::kOpenaiChat;
}

std::string usage(const StreamState& state) {
    return fmt::format(
        R"({{"completion_tokens":{},"prompt_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{}}}}})",
        state.tokens, state.prompt_tokens, state.prompt_tokens + state.tokens, state.cached_tokens);
}

/// What stands behind "choices" in each event, in llama-server's order, which differs between the two endpoints.
void append_tail(std::string& out, const StreamState& state, bool with_usage, bool with_timings) {
    out += fmt::format(R"(,"created":{})", state.wall_ns / 1'000'000'000);
    if (chat(state)) out += fmt::format(R"(,"id":"chatcmpl-{}")", state.id);
    out += R"(,"model":)";
    base::append_json_string(out, state.model);
    out += R"(,"system_fingerprint":"b1-mock","object":")";
    out += chat(state) ? "chat.completion.chunk\"" : "text_completion\"";
    if (with_usage) out += R"(,"usage":)" + usage(state);
    if (!chat(state)) out += fmt::format(R"(,"id":"chatcmpl-{}")", state.id);
    if (with_timings) out += R"(,"timings":)" + llama_timings(state);
    out += "}\n\n";
}

void append_choice(std::string& out, const StreamState& state, StepKind kind) {
    if (!chat(state)) {
        out += R"({"text":)";
        base::append_json_string(out, state.text);
        out += R"(,"index":0,"logprobs":null,"finish_reason":null})";
        return;
    }
    out += R"({"finish_reason":null,"index":0,"delta":{)";
    if (kind == StepKind::kRole) {
        out += R"("role":"assistant","content":null)";
    } else if (kind == StepKind::kTool) {
        out += R"("tool_calls":[{"index":0,"function":{"arguments":)";
        base::append_json_string(out, state.text);
        out += "}}]";
    } else {
        out += kind == StepKind::kReasoning ? R"("reasoning_content":)" : R"("content":)";
        base::append_json_string(out, state.text);
    }
    out += "}}";
}

bool wants_usage(const StreamState& state) {
    return state.script->finish.usage_at != UsageAt::kNone &&
           (state.asked->include_usage || state.script->finish.usage_at != UsageAt::kOwn);
}

}  // namespace

void render_openai(std::string& out, const StreamState& state, StepKind kind) {
    out += R"(data: {"choices":[)";
    const bool bare = kind == StepKind::kUsage || kind == StepKind::kTimings || kind == StepKind::kProgress;
    if (!bare) append_choice(out, state, kind);
    out += ']';
    const bool every = state.script->finish.usage_at == UsageAt::kEvery;
    append_tail(out, state, every || kind == StepKind::kUsage,
                kind == StepKind::kTimings || (state.asked->timings_per_token && !bare && kind != StepKind::kRole));
}

std::vector<std::string> finish_openai(const StreamState& state) {
    const FinishScript& finish = state.script->finish;
    const bool timings = state.script->quirks.openai_timings;
    const bool usage_wanted = wants_usage(state);
    // /v1/completions of llama-server has no usage event of its own: its last choice carries the usage.
    const bool own = usage_wanted && finish.usage_at == UsageAt::kOwn && chat(state);
    std::string last = R"(data: {"choices":[)";
    last += chat(state) ? R"({"finish_reason":)" : R"({"text":"","index":0,"logprobs":null,"finish_reason":)";
    base::append_json_string(last, finish.reason);
    last += chat(state) ? R"(,"index":0,"delta":{}})" : "}";
    last += ']';
    append_tail(last, state, usage_wanted && !own, timings && !own);
    if (own) {
        last += R"(data: {"choices":[])";
        append_tail(last, state, true, timings);
    }
    std::vector<std::string> chunks{std::move(last)};
    if (finish.done_marker) chunks.emplace_back("data: [DONE]\n\n");
    return chunks;
}

}  // namespace velollm::mock
