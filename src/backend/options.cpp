#include "backend/options.h"

#include <fmt/core.h>

#include <limits>

#include "base/text.h"

namespace velollm::backend {

Result<void> take_environment(TargetSpec& target, const system::System& system) {
    if (target.backend == "llamacpp" || target.backend == "openai") return {};
    EngineOptions& options = target.options;
    struct Row {
        const char* option;
        const char* variable;
        std::optional<int> EngineOptions::*field;
        int least;
    };
    for (const Row& row : {Row{"num_ctx", "OLLAMA_NUM_CTX", &EngineOptions::num_ctx, 1},
                           Row{"num_batch", "OLLAMA_NUM_BATCH", &EngineOptions::num_batch, 1},
                           Row{"num_gpu", "OLLAMA_NUM_GPU", &EngineOptions::num_gpu, -1},
                           Row{"num_thread", "OLLAMA_NUM_THREAD", &EngineOptions::num_thread, 1}}) {
        const auto text = system.variable(row.variable);
        if (!text || options.*row.field) continue;
        const auto number = base::parse_int(base::trim(*text));
        if (!number || *number < row.least || *number > std::numeric_limits<int>::max()) {
            return Error{
                ErrorCode::kUsage,
                fmt::format("{}={} is not a whole number from {} on", row.variable, base::one_line(*text), row.least),
                fmt::format("Set it to a number, or: unset {}", row.variable)};
        }
        options.*row.field = static_cast<int>(*number);
        options.origin[row.option] = row.variable;
    }
    if (const auto keep = system.variable("OLLAMA_KEEP_ALIVE"); keep && options.keep_alive.empty()) {
        options.keep_alive = base::trim(*keep);
        options.origin["keep_alive"] = "OLLAMA_KEEP_ALIVE";
    }
    return {};
}

bool takes_own_ollama(const TargetSpec& target) {
    return target.backend == "ollama" && target.url.empty() &&
           (!target.options.speculation.empty() || !target.server_env.empty());
}

}  // namespace velollm::backend
