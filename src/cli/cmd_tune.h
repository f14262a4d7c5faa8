#pragma once

#include "cli/args.h"
#include "optimize/observe.h"
#include "optimize/plan.h"
#include "report/console.h"

namespace velollm::cli {

/// `optimize --tune`: searches by measuring, and gives the plan that it ends in: with changes where they are confirmed
/// to help, else without. What it says on the way goes to standard error.
Result<optimize::Plan> tune(const OptimizeArgs& args, const report::Console& console, const optimize::Facts& facts,
                            const system::System& system);

}  // namespace velollm::cli
