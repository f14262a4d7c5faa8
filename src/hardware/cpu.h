#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/core_kinds.h"
#include "system/system.h"

namespace velollm::hardware {

/// The kernel's list format, "0-3,8,10-11". Empty when any piece isn't a number or a range, or beyond 65,535: half a
/// list would be a wrong count.
CpuList parse_cpu_list(std::string_view text);

/// What /proc/cpuinfo tells of use here. Ids are -1 and texts empty where the architecture's file has no such line.
struct CpuInfo {
    struct Processor {
        int cpu = -1;
        int socket = -1;       ///< "physical id"
        int core = -1;         ///< "core id", unique only within its socket
        int implementer = -1;  ///< "CPU implementer" (ARM)
        int part = -1;         ///< "CPU part" (ARM), unique only for its implementer
    };
    std::string model;
    std::string vendor;  ///< "vendor_id"
    std::string flags;   ///< "flags" (x86) or "Features" (ARM) of the first processor
    std::optional<double> mhz;
    std::vector<Processor> processors;
};
CpuInfo parse_cpuinfo(std::string_view text);

/// Of the kernel's `flags`, those that ggml chooses its kernels by, under ggml's names in lower case and a fixed order.
std::vector<std::string> inference_features(std::string_view flags);

/// Which CPUs run, and which of them are threads of one physical core.
struct CpuTopology {
    CpuList online;
    std::vector<CpuList> cores;  ///< online CPUs of each physical core
    int sockets = 1;
    bool from_sysfs = false;  ///< cores are the kernel's groups, not guessed from cpuinfo
};
/// From sysfs, else from cpuinfo, else one core for each of `allowed_cpus`.
CpuTopology read_topology(const system::System& system, const CpuInfo& info, const CpuList& allowed_cpus);

/// What is set from outside for the use of the processor.
struct CpuBounds {
    CpuList allowed;                   ///< sched_getaffinity of this process; empty: unknown
    std::optional<double> quota_cpus;  ///< see read_cpu_quota()
    CpuList cpuset;                    ///< CPUs of its cgroup, see read_cpuset(); empty: unknown
};
/// `sources`: where each fact came from is added.
Cpu read_cpu(const system::System& system, const std::string& arch, const CpuBounds& bounds,
             std::vector<FactSource>& sources);

}  // namespace velollm::hardware
