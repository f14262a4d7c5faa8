#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::hardware {

/// Kernel CPU numbers, ascending, without repeats.
using CpuList = std::vector<int>;

/// The kernel's list format, "0-3,8,10-11".
std::string format_cpu_list(const CpuList& cpus);

/// Names of an ARM implementer ("ARM") and of its part ("Neoverse-N1"), by the numbers of MIDR_EL1 that /proc/cpuinfo
/// shows; empty when unknown. Numbers: arch/arm64/include/asm/cputype.h of Linux.
std::string arm_implementer(int implementer);
std::string arm_part(int implementer, int part);

/// What tells the speed of one physical core.
struct CoreFacts {
    CpuList cpus;                 ///< its online threads
    std::string part;             ///< its design, any text; empty: unknown
    std::optional<int> capacity;  ///< cpu_capacity, 1024 for the fastest
    std::optional<double> max_mhz;
};

/// CPUs that the kernel's counters of Intel's hybrid processors list; empty on other machines.
struct PmuLists {
    CpuList core;
    CpuList atom;
    CpuList low_power;
};

struct CoreKinds {
    std::vector<CoreKind> kinds;  ///< fastest first, at least one if there is a core
    std::string evidence;         ///< empty: all alike
    std::vector<bool> fast;       ///< for each core: of the kind "performance"
};

/// Tells performance and efficiency cores apart. The lists of Intel's counters are believed alone; else two signals
/// must agree on which cores are slow, since boost limits of single cores and virtual machines make one signal differ
/// on machines whose cores are alike: capacity below 75 % of the highest, clock below 85 %, one thread beside cores
/// with two, another part number.
CoreKinds core_kinds(const std::vector<CoreFacts>& cores, const PmuLists& pmu);

}  // namespace velollm::hardware
