#pragma once

#include "cli/args.h"

namespace velollm::cli {

/// Each runs one command and gives the exit code of cli.md.
int cmd_benchmark(BenchmarkArgs args, const system::System& system);
int cmd_detect(const DetectArgs& args, const system::System& system);

}  // namespace velollm::cli
