#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Adds the command `recommend` with its own options, which are put into `args`.
CLI::App* add_recommend(CLI::App& app, RecommendArgs& args);

}  // namespace velollm::cli
