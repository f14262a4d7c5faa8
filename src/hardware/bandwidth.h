#pragma once

#include <velollm/hardware.h>
#include <velollm/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "hardware/core_kinds.h"
#include "hardware/detect.h"
#include "system/system.h"

namespace velollm::hardware {

/// One timed window: work a second over all threads, and the smallest share of a CPU that a thread had.
struct Repetition {
    double rate = 0;
    double cpu_share = 0;
};

/// What repetitions are worth. Those count in which every thread had its CPU for 98.5 % of the time: what a neighbour
/// took shows as a slower machine otherwise.
struct Judgement {
    bool valid = false;
    std::string reason;  ///< why not
    double rate = 0;     ///< median of the clean ones
    double cv_percent = 0;
    int clean = 0;
    double cpu_share_min = 0;
};
/// Valid with at least three clean repetitions whose standard deviation is at most 5 % of their mean.
Judgement judge(const std::vector<Repetition>& repetitions);

/// Whether memory was measured, or a cache: reading half of the buffer must not be more than 5 % faster.
bool cache_suspect(double full_rate, double half_rate);

/// What a probe will do: which CPUs its threads stand on, how many are tried, how much each reads.
struct ProbePlan {
    std::string refusal;             ///< why nothing can be measured; the rest is empty then
    CpuList cpus;                    ///< one for each usable thread: of different, fast cores where there are enough
    std::vector<int> thread_counts;  ///< 1, 2, 4 ... usable
    std::int64_t buffer_bytes = 0;   ///< of all threads together; a multiple of 4 MiB for each
};
/// 8 times the L3, at least 256 MiB a thread, at most 2 GiB and a quarter of what is available in all.
ProbePlan plan_probe(const Hardware& hardware, const CpuTopology& topology, const CpuList& allowed);

struct Probes {
    BandwidthProbe bandwidth;
    ComputePeak peak;
};
/// Measures for about a second, three at most, on as many threads as are usable; never raises its own priority. Writes
/// reasons instead of figures that can't be trusted.
Probes run_probes(const system::System& system, const KernelAnswers& kernel, const Hardware& hardware);

}  // namespace velollm::hardware
