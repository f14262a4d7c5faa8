#pragma once

#include "cli/args.h"
#include "optimize/observe.h"
#include "optimize/plan.h"
#include "optimize/tune.h"

namespace velollm::cli {

/// "quick", "normal", "thorough", or a time as of --budget of `ab`.
Result<optimize::TuneBudget> read_tune_budget(const std::string& text);

/// `optimize --tune`: searches by measuring, and gives the plan that it ends in: with changes where they are confirmed
/// to help, else without. What it says on the way goes to standard error.
Result<optimize::Plan> tune(const OptimizeArgs& args, const optimize::TuneBudget& budget, const optimize::Facts& facts,
                            const system::System& system);

}  // namespace velollm::cli
