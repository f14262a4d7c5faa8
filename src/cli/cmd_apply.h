#pragma once

#include "cli/args.h"
#include "optimize/observe.h"
#include "optimize/plan.h"
#include "report/console.h"

namespace velollm::cli {

/// `optimize --apply`: acts on a plan that was made from these facts.
int apply_plan(const OptimizeArgs& args, const report::Console& console, const optimize::Plan& plan,
               const optimize::Facts& facts, const system::System& system);

/// `optimize --status`: whether what was applied is still in force. Exit 1 where it isn't.
int apply_status(const report::Console& console, const system::System& system);

/// `optimize --rollback [ID]`.
int apply_rollback(const OptimizeArgs& args, const report::Console& console, const system::System& system);

}  // namespace velollm::cli
