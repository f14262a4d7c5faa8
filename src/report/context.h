#pragma once

#include <velollm/backend.h>
#include <velollm/benchmark.h>
#include <velollm/hardware.h>
#include <velollm/spec.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/cache_check.h"
#include "benchmark/loading.h"

namespace velollm::report {

/// What all benchmarks of one command share.
struct Context {
    TargetInfo target;
    LoadedModel loaded;
    EngineOptions options;
    Hardware hardware;
    std::vector<RequestRecord> warm_up;
    bool warm_up_steady = true;
    std::optional<benchmark::CacheCheck> cache;
    std::optional<HostReport> quiet;  ///< the machine before measuring
    std::optional<double> until;      ///< asked for: repeat until the interval is within +- this share
    bool quick = false;
    std::uint64_t seed = 0;
    std::string suite;       ///< "velollm.std/1", or "custom"
    std::string run_id;      ///< UUID version 7
    std::string started_at;  ///< UTC
    std::string tool_version;
    std::string tool_commit;
    std::vector<benchmark::LoadTime> loads;
    std::optional<Ns> resident;       ///< what a load took with the model in memory
    PathTimes path;                   ///< measured where several engines are
    std::vector<std::string> beside;  ///< backends that were measured in turn with this one
    std::string self_test;            ///< the kept one as JSON; empty: none
};

/// "ok", "partial" (stopped before its end), "failed" (no valid sample), "invalid" (not to be believed).
std::string_view status_of(const BenchmarkResult& result);

/// Name of an outcome in files and messages.
std::string_view outcome_name(Outcome outcome);

}  // namespace velollm::report
