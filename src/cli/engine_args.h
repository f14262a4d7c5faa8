#pragma once

#include <velollm/spec.h>

namespace CLI {
class App;
}

namespace velollm::cli {

/// Options of `benchmark` for the engine: its settings, and whether its model is loaded anew.
void add_engine(CLI::App& command, TargetSpec& target, bool& reload);

}  // namespace velollm::cli
