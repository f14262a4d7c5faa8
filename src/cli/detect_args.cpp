#include "cli/detect_args.h"

#include <CLI/CLI.hpp>

namespace velollm::cli {

CLI::App* add_detect(CLI::App& app, DetectArgs& args) {
    CLI::App& command = *app.add_subcommand("detect", "Show the hardware and what limits its use");
    command.footer("Example: velollm detect > hardware.json");
    command.add_flag("--bandwidth", args.bandwidth,
                     "Measure memory bandwidth and peak arithmetic too: one to three seconds on all usable threads");
    command
        .add_option("--engine", args.engine,
                    "Ask an engine what it finds here and would do by itself: ollama or llamacpp")
        ->type_name("NAME")
        ->check(CLI::IsMember({"ollama", "llamacpp"}));
    command.add_flag("--timings", args.timings, "Show how long each part of detection took")->group("Output");
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

}  // namespace velollm::cli
