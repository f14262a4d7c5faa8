#pragma once

#include <velollm/benchmark.h>
#include <velollm/hardware.h>

#include <string>
#include <vector>

#include "cli/args.h"
#include "report/context.h"

namespace velollm::cli {

/// The benchmarks to run, and the name of the suite that they make up.
struct Plan {
    std::string suite;
    std::vector<BenchmarkConfig> configs;
};

/// From --suite, --prompt and what changes them.
Result<Plan> make_plan(const BenchmarkArgs& args);

/// Asks for a context that holds the deepest benchmark, where the user asked for none and the engine takes the request.
void make_room(TargetSpec& target, const Plan& plan);

/// What all results of a command share, before any engine is known.
report::Context first_context(const BenchmarkArgs& args, const Plan& plan, const Hardware& hardware,
                              const system::System& system);

/// What came out of preparing an engine.
void add_preparation(report::Context& context, const benchmark::Preparation& prepared);

/// What an engine is called before it has answered.
std::string engine_name(const std::string& backend);

}  // namespace velollm::cli
