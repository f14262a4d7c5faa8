#pragma once

#include <velollm/result.h>

#include <string>

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// What is read as text and sorted out once all of it is known.
struct AbWords {
    std::string delta;
    std::string budget;
    double timeout_seconds = 300.0;
    double quiet_seconds = 3.0;
};

/// Adds the command `ab` with its own options, which are put into `args`.
CLI::App* add_ab(CLI::App& app, AbArgs& args, AbWords& words);
Result<void> finish_ab(const AbWords& words, AbArgs& args);

/// "90", "90s", "5m", "1h": what `option` takes.
Result<Ns> read_time(const std::string& option, const std::string& text);

}  // namespace velollm::cli
