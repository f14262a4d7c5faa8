#include "cli/doctor_args.h"

#include <CLI/CLI.hpp>

namespace velollm::cli {

CLI::App* add_doctor(CLI::App& app, DoctorArgs& args) {
    CLI::App& command = *app.add_subcommand("doctor", "Say why an engine is slow or doesn't answer, and what to do");
    command.footer(
        "Example: velollm doctor\nExit code: 0 nothing wrong (notes and warnings may be), 1 a problem was found");
    command
        .add_option("-m,--model,MODEL", args.model,
                    "A server's model name; default the one that it holds, else its newest.\n"
                    "llamacpp, embedded: also a GGUF file")
        ->type_name("NAME");
    command.add_option("-b,--backend", args.backend, "ollama (default), llamacpp, embedded")
        ->check(CLI::IsMember({"ollama", "llamacpp", "embedded"}).description(""))
        ->type_name("NAME");
    command
        .add_option("--url,--ollama-url", args.url,
                    "Server address; default $OLLAMA_HOST or http://localhost:11434; llamacpp: http://localhost:8080")
        ->type_name("URL");
    command.add_flag("--quick", args.quick,
                     "Don't watch the machine for a second: load, paging and heat stay unchecked");
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

}  // namespace velollm::cli
