#include <fmt/format.h>

#include "base/json_writer.h"
#include "mock/render.h"

namespace velollm::mock {
namespace {

bool chat(const StreamState& state) {
    return state.wire == Wire::kOllamaChat;
}

void append_start(std::string& out, const StreamState& state) {
    out += R"({"model":)";
    base::append_json_string(out, state.model);
    out += fmt::format(R"(,"created_at":"{}")", ollama_time(state.wall_ns + state.now_ns));
}

/// Text, or the members that stand for it.
void append_reply(std::string& out, const StreamState& state, StepKind kind) {
    const bool text = kind == StepKind::kContent;
    out += chat(state) ? R"(,"message":{"role":"assistant","content":)" : R"(,"response":)";
    base::append_json_string(out, text ? std::string_view(state.text) : std::string_view());
    if (kind == StepKind::kReasoning) {
        out += R"(,"thinking":)";
        base::append_json_string(out, state.text);
    }
    if (kind == StepKind::kTool && chat(state)) {
        out += R"(,"tool_calls":[{"function":{"name":"mock","arguments":{"text":)";
        base::append_json_string(out, state.text);
        out += "}}}]";
    }
    if (chat(state)) out += '}';
}

}  // namespace

void render_ollama(std::string& out, const StreamState& state, StepKind kind) {
    // The rest has no place in this protocol: its lines are records, all of one shape.
    if (kind != StepKind::kContent && kind != StepKind::kReasoning && kind != StepKind::kTool &&
        kind != StepKind::kEmpty)
        return;
    append_start(out, state);
    append_reply(out, state, kind);
    out += ",\"done\":false}\n";
}

std::vector<std::string> finish_ollama(const StreamState& state) {
    const FinishScript& finish = state.script->finish;
    if (!finish.done_marker) return {};
    std::string out;
    append_start(out, state);
    append_reply(out, state, StepKind::kEmpty);
    out += R"(,"done":true,"done_reason":)";
    base::append_json_string(out, finish.reason);
    if (finish.usage_at != UsageAt::kNone) {
        // The server leaves out what is zero.
        const auto field = [&out](const char* name, std::int64_t value) {
            if (value != 0) out += fmt::format(R"(,"{}":{})", name, value);
        };
        if (!chat(state)) out += R"(,"context":[1,2])";
        field("total_duration", state.now_ns);
        field("load_duration", state.load_ns);
        if (state.script->quirks.prompt_count) field("prompt_eval_count", state.prompt_tokens);
        field("prompt_eval_duration", state.prompt_ns);
        field("eval_count", state.tokens);
        field("eval_duration", state.now_ns - state.first_token_ns);
    }
    return {out + "}\n"};
}

}  // namespace velollm::mock
