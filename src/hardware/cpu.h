#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// Kernel CPU numbers, ascending, without repeats.
using CpuList = std::vector<int>;

/// The kernel's list format, "0-3,8,10-11". Empty when any piece isn't a number or a range, or beyond 65,535: half a
/// list would be a wrong count.
CpuList parse_cpu_list(std::string_view text);

/// What /proc/cpuinfo tells of use here. Ids are -1 and texts empty where the architecture's file has no such line.
struct CpuInfo {
    struct Processor {
        int cpu = -1;
        int socket = -1;  ///< "physical id"
        int core = -1;    ///< "core id", unique only within its socket
    };
    std::string model;
    std::string flags;  ///< "flags" (x86) or "Features" (ARM) of the first processor
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
};
/// From sysfs, else from cpuinfo, else one core for each of `allowed_cpus`.
CpuTopology read_topology(const system::System& system, const CpuInfo& info, const CpuList& allowed_cpus);

/// `allowed_cpus`: sched_getaffinity of this process, empty when unknown; `quota_cpus`: see read_cpu_quota().
Cpu read_cpu(const system::System& system, const std::string& arch, const CpuList& allowed_cpus,
             std::optional<double> quota_cpus);

}  // namespace velollm::hardware
