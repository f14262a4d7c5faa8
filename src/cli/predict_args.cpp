#include "cli/predict_args.h"

#include <CLI/CLI.hpp>

namespace velollm::cli {

CLI::App* add_predict(CLI::App& app, PredictArgs& args) {
    // More tokens than any memory holds; the sum of all sizes stays below 2^63.
    const CLI::Range tokens(std::int64_t{1}, std::int64_t{1} << 30U);
    CLI::App& command = *app.add_subcommand("predict", "Say what memory a model takes, and how fast it will be");
    command.footer("Example: velollm predict llama3.1:70b");
    command.add_option("MODEL", args.model, "A known model's name, a GGUF file, or a name in the local Ollama store")
        ->required()
        ->type_name("");
    command.add_option("--num-ctx", args.context, "Context, tokens; default 4096")->check(tokens)->type_name("N");
    command.add_option("--kv-type", args.kv_type, "Type of the KV cache: f16 (default), q8_0, q4_0, ...")
        ->type_name("TYPE");
    command.add_option("--quantization", args.mix, "Of a model that isn't here, e.g. Q8_0; default its usual one")
        ->type_name("NAME");
    command.add_option("--depth", args.depth, "Tokens in the context when the speed is asked for; default 0")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 30U))
        ->type_name("N");
    command.add_flag("--measure", args.measure,
                     "Time a file of the model's shape with noise for weights; minutes, and its size on disk");
    command.add_flag("--verify", args.verify, "Compare the formulas for memory with the engine's own account, no more");
    command.add_flag("--bandwidth", args.bandwidth, "Measure how fast memory is read, one to three seconds");
    command.add_option("-b,--backend", args.backend, "Engine whose speed is asked for; default embedded")
        ->check(CLI::IsMember({"embedded", "llamacpp", "ollama"}))
        ->type_name("NAME");
    command.add_option("--num-thread", args.threads, "Threads; default as many as are usable")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

}  // namespace velollm::cli
