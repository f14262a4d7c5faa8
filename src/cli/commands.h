#pragma once

#include "cli/args.h"

namespace velollm::cli {

/// Each runs one command and gives the exit code of cli.md.
int cmd_ab(const AbArgs& args, const system::System& system);
int cmd_benchmark(BenchmarkArgs args, const system::System& system);
int cmd_compare(const CompareArgs& args, const system::System& system);
int cmd_detect(const DetectArgs& args, const system::System& system);
int cmd_doctor(const DoctorArgs& args, const system::System& system);
int cmd_optimize(const OptimizeArgs& args, const system::System& system);
int cmd_predict(const PredictArgs& args, const system::System& system);
int cmd_recommend(const RecommendArgs& args, const system::System& system);
int cmd_selftest(const SelfTestArgs& args, const system::System& system);

/// The self-test that is kept of this machine, as JSON without white space; empty when there is none.
std::string last_selftest(const system::System& system);

}  // namespace velollm::cli
