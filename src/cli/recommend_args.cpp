#include "cli/recommend_args.h"

#include <CLI/CLI.hpp>

namespace velollm::cli {

CLI::App* add_recommend(CLI::App& app, RecommendArgs& args) {
    CLI::App& command =
        *app.add_subcommand("recommend", "Say which models fit this machine, and how fast they will be");
    command.footer("Example: velollm recommend --min-ctx 16384 --min-speed 10");
    command.add_option("--min-ctx", args.least_context, "Context that must fit, tokens; default 4096")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30U))
        ->type_name("N");
    command.add_option("--min-speed", args.least_tps, "Decode speed that is likely at least, tok/s; default 5")
        ->check(CLI::Range(0.0, 1e6))
        ->type_name("TPS");
    command.add_option("--kv-type", args.kv_type, "Type of the KV cache: f16 (default), q8_0, q4_0, ...")
        ->type_name("TYPE");
    command.add_option("-b,--backend", args.backend, "Engine whose speed is asked for; default embedded")
        ->check(CLI::IsMember({"embedded", "llamacpp", "ollama"}))
        ->type_name("NAME");
    command.add_flag("--bandwidth", args.bandwidth, "Measure how fast memory is read, one to three seconds");
    command.add_flag("--all", args.all, "Print every model, those that don't fit with the reason")->group("Output");
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

}  // namespace velollm::cli
