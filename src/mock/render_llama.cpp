#include <fmt/format.h>

#include "base/json_writer.h"
#include "mock/render.h"

namespace velollm::mock {

void render_llama(std::string& out, const StreamState& state, StepKind kind) {
    out += R"(data: {"index":0,"content":)";
    const bool progress = kind == StepKind::kProgress;
    const bool silent = progress || kind == StepKind::kRole || kind == StepKind::kEmpty || kind == StepKind::kUsage ||
                        kind == StepKind::kTimings;
    base::append_json_string(out, silent ? std::string_view() : state.text);
    // Held-back tokens show the id of the last one only, as the server does it.
    out += fmt::format(R"(,"tokens":[{}],"stop":false,"id_slot":-1,"tokens_predicted":{},"tokens_evaluated":{})",
                       progress ? "0"
                       : silent ? ""
                                : "198",
                       progress ? 0 : state.tokens, state.prompt_tokens);
    if (state.asked->timings_per_token || kind == StepKind::kTimings || progress)
        out += R"(,"timings":)" + llama_timings(state);
    if (progress)
        out += fmt::format(R"(,"prompt_progress":{{"total":{0},"cache":{1},"processed":{2},"time_ms":{3}}})",
                           state.prompt_tokens, state.cached_tokens, state.cached_tokens, state.now_ns / 1'000'000);
    out += "}\n\n";
}

std::vector<std::string> finish_llama(const StreamState& state) {
    const FinishScript& finish = state.script->finish;
    const std::int64_t limit = state.asked->max_tokens.value_or(-1);
    std::string out = R"(data: {"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":)";
    base::append_json_string(out, state.model);
    out += fmt::format(R"(,"tokens_predicted":{},"tokens_evaluated":{})", state.tokens, state.prompt_tokens);
    out += fmt::format(R"(,"generation_settings":{{"max_tokens":{0},"n_predict":{0},"stream":true}},"prompt":)", limit);
    base::append_json_string(out, state.asked->prompt);
    out += R"(,"has_new_line":false,"truncated":false,"stop_type":)";
    base::append_json_string(out, finish.reason == "length" ? "limit"
                                  : finish.reason == "stop" ? "eos"
                                                            : finish.reason);
    out += fmt::format(R"(,"stopping_word":"","tokens_cached":{})", state.prompt_tokens + state.tokens - 1);
    if (finish.usage_at != UsageAt::kNone) out += R"(,"timings":)" + llama_timings(state);
    return {out + "}\n\n"};
}

}  // namespace velollm::mock
