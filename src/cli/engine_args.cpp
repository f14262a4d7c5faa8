#include "cli/engine_args.h"

#include <CLI/CLI.hpp>
#include <limits>

namespace velollm::cli {

void add_engine(CLI::App& command, TargetSpec& target, bool& reload) {
    EngineOptions& options = target.options;
    const char* group = "Engine";
    const CLI::Validator count = CLI::Range(1, std::numeric_limits<int>::max()).description("");
    command.add_option("--num-ctx", options.num_ctx, "Context, tokens")->check(count)->type_name("N")->group(group);
    command.add_option("--num-batch", options.num_batch, "Prompt tokens evaluated at once")
        ->check(count)
        ->type_name("N")
        ->group(group);
    command.add_option("--num-gpu", options.num_gpu, "Layers on the GPU")
        ->check(CLI::Range(0, std::numeric_limits<int>::max()).description(""))
        ->type_name("N")
        ->group(group);
    command.add_option("--num-thread", options.num_thread, "Threads")->check(count)->type_name("N")->group(group);
    command.add_option("--keep-alive", options.keep_alive, "Ollama: keep the model in memory, e.g. 5m")
        ->type_name("TIME")
        ->group(group);
    command.add_option("--flash-attn", options.flash_attention, "embedded, llamacpp -m FILE: on, off, auto")
        ->type_name("X")
        ->group(group);
    command.add_option("--kv-type", options.kv_type, "embedded, llamacpp -m FILE: type of the KV cache, e.g. q8_0")
        ->type_name("TYPE")
        ->group(group);
    command
        .add_option("--draft", target.draft,
                    "embedded, llamacpp -m FILE: small model for speculative decoding; a file, or a name as for -m")
        ->type_name("MODEL")
        ->group(group);
    command
        .add_option("--speculation", options.speculation,
                    "embedded, llamacpp -m FILE, an Ollama that is started for it: off, ngram,\n"
                    "or the engine's own name for a kind of speculative decoding")
        ->type_name("NAME")
        ->group(group);
    command.add_option("--draft-tokens", options.draft_tokens, "Most tokens drafted in a step")
        ->check(count)
        ->type_name("N")
        ->group(group);
    command.add_flag("--reload", reload, "Unload the model first, so that loading is measured")->group(group);
}

}  // namespace velollm::cli
