#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Adds the command `optimize` with its own options, which are put into `args`.
CLI::App* add_optimize(CLI::App& app, OptimizeArgs& args);

}  // namespace velollm::cli
