#include "cli/optimize_args.h"

#include <CLI/CLI.hpp>

#include "optimize/outputs.h"

namespace velollm::cli {
namespace {

CLI::Option* add_tuning(CLI::App& command, OptimizeArgs& args) {
    CLI::Option* tune =
        command.add_flag("--tune", args.tune, "Search by measuring, and confirm in pairs what it finds")
            ->group("Tuning");
    command
        .add_option("--budget", args.budget, "How long: quick (5 min), normal (20, default), thorough (60), or e.g. 8m")
        ->type_name("NAME|TIME")
        ->needs(tune)
        ->group("Tuning");
    command.add_option("--prompt", args.prompt, "What to measure with: speculation hangs on the kind of text")
        ->type_name("TEXT")
        ->needs(tune)
        ->group("Tuning");
    command
        .add_option("--draft", args.draft,
                    "Also try this smaller model as a draft: a GGUF file, or a name in the local Ollama store")
        ->type_name("MODEL")
        ->needs(tune)
        ->group("Tuning");
    command.add_flag("--fresh", args.fresh, "Search again what was searched before on this machine")
        ->needs(tune)
        ->group("Tuning");
    command.add_flag("--accept-tradeoffs", args.accept_tradeoffs, "Also where another measure gets worse by over 5 %")
        ->needs(tune)
        ->group("Tuning");
    command.add_option("--seed", args.seed, "Of the order; default: drawn, and told")
        ->type_name("N")
        ->needs(tune)
        ->group("Tuning");
    return tune;
}

}  // namespace

CLI::App* add_optimize(CLI::App& app, OptimizeArgs& args) {
    CLI::App& command =
        *app.add_subcommand("optimize", "Say which settings of an engine to change, why, and what to expect");
    command.footer("Example: velollm optimize -o velollm.sh");
    command
        .add_option("-m,--model,MODEL", args.model,
                    "A server's model name; default the one in its memory, else its newest, else llama3.2:3b.\n"
                    "llamacpp, embedded: also a GGUF file")
        ->type_name("NAME");
    command.add_option("-b,--backend", args.backend, "ollama (default), llamacpp, embedded")
        ->check(CLI::IsMember({"ollama", "llamacpp", "embedded"}).description(""))
        ->type_name("NAME");
    command
        .add_option("--url,--ollama-url", args.url,
                    "Server address; default $OLLAMA_HOST or http://localhost:11434; llamacpp: http://localhost:8080")
        ->type_name("URL");
    command.add_option("--profile", args.profile, "What it is used for: chat (default), agent, rag, batch")
        ->check(CLI::IsMember({"chat", "agent", "rag", "batch"}).description(""))
        ->type_name("NAME");
    command.add_option("--ctx", args.context, "Least context that is needed, tokens")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30U).description(""))
        ->type_name("N");
    command.add_option("--max-vram", args.max_vram, "Most GPU memory to use, e.g. 8G")->type_name("SIZE");
    command.add_flag("--allow-lossy", args.allow_lossy, "Also changes that may change the model's answers");
    CLI::Option* check =
        command.add_flag("--check", args.check, "Only compare what was set with what the running server does");
    CLI::Option* tune = add_tuning(command, args);
    CLI::Option* apply =
        command
            .add_flag("--apply", args.apply, "Write the change, restart, prove and measure it; go back if it is none")
            ->group("Acting");
    command
        .add_flag_function(
            "--dry-run", [](std::int64_t) {}, "Only print the plan: what happens without --apply, too")
        ->excludes(apply)
        ->group("Acting");
    command.add_flag("--yes", args.yes, "Don't ask before that")->needs(apply)->group("Acting");
    CLI::Option* status =
        command.add_flag("--status", args.status, "Whether what was applied is still in force")->group("Acting");
    CLI::Option* back = command
                            .add_option_function<std::string>(
                                "--rollback",
                                [&args](const std::string& id) {
                                    args.rollback = true;
                                    args.rollback_id = id;
                                },
                                "Put back what was applied, also after a crash")
                            ->expected(0, 1)
                            ->type_name("[ID]")
                            ->group("Acting");
    status->excludes(apply)->excludes(back);
    back->excludes(apply);
    check->excludes(apply)->excludes(status)->excludes(back);
    tune->excludes(check)->excludes(status)->excludes(back);
    std::string names;
    for (const std::string& name : optimize::format_names()) names += (names.empty() ? "" : ", ") + name;
    command
        .add_option(
            "--format", args.formats,
            "What to write, several with commas: " + names + ";\nby the file's name without it. Several go to a folder")
        ->delimiter(',')
        ->take_all()
        ->check(CLI::IsMember(optimize::format_names()).description(""))
        ->type_name("NAME[,NAME]")
        ->group("Output");
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

}  // namespace velollm::cli
