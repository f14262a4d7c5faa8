#include "cli/selftest_args.h"

#include <CLI/CLI.hpp>

namespace velollm::cli {

CLI::App* add_selftest(CLI::App& app, SelfTestArgs& args) {
    CLI::App& command = *app.add_subcommand("selftest", "Measure the error that this program makes on this machine");
    command.footer("Example: velollm selftest");
    command.add_flag("--json", args.json, "Print JSON also on a terminal")->group("Output");
    return &command;
}

}  // namespace velollm::cli
