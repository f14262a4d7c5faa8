#pragma once

#include "cli/args.h"

namespace CLI {
class App;
}

namespace velollm::cli {

/// Adds the command `doctor` with its own options, which are put into `args`.
CLI::App* add_doctor(CLI::App& app, DoctorArgs& args);

}  // namespace velollm::cli
