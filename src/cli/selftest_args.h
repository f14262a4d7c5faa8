#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Adds the command `selftest` with its own options, which are put into `args`.
CLI::App* add_selftest(CLI::App& app, SelfTestArgs& args);

}  // namespace velollm::cli
