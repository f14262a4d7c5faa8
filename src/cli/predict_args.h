#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Adds the command `predict` with its own options, which are put into `args`.
CLI::App* add_predict(CLI::App& app, PredictArgs& args);

}  // namespace velollm::cli
