#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Adds the command `detect` with its own options, which are put into `args`.
CLI::App* add_detect(CLI::App& app, DetectArgs& args);

}  // namespace velollm::cli
