#pragma once

#include "cli/args.h"
#include "cli/plan.h"

namespace velollm::cli {

/// `velollm benchmark` with several backends: measures them in turn and says where the time goes in each.
int cmd_side_by_side(BenchmarkArgs args, Plan plan, const system::System& system);

}  // namespace velollm::cli
