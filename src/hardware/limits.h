#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/core_kinds.h"
#include "system/system.h"

namespace velollm::hardware {

/// Where a cgroup controller keeps the limits that bind this process: the folders of its own group and of every
/// ancestor that is mounted here, as the running system names them.
struct CgroupChain {
    bool v2 = false;
    std::vector<std::string> folders;
};

/// The chain of `controller` ("cpu", "memory") from the texts of /proc/self/cgroup and /proc/self/mountinfo. Version 1
/// wins when a line names the controller: the unified hierarchy doesn't hold it then.
///
/// In a container the mount's root may be the process's own group, so that only what lies below that root is appended
/// to the mount point (as Rust's std does: library/std/src/sys/thread/unix.rs). Format: proc_pid_mountinfo(5).
CgroupChain cgroup_chain(std::string_view self_cgroup, std::string_view mountinfo, std::string_view controller);

struct Cgroups {
    CgroupChain cpu;
    CgroupChain memory;
    CgroupChain cpuset;
    std::string version = {};  ///< v1, v2 or hybrid, by what is mounted; empty: none
};
Cgroups read_cgroups(const system::System& system);

/// Quota of version 2, "150000 100000" = 1.5 CPUs; nothing for "max 100000" or what isn't a quota.
std::optional<double> parse_cpu_max(std::string_view text);
/// Quota of version 1 from its two files; nothing for a quota of -1.
std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us);

/// CPUs that the cgroup of the controller "cpuset" lets its processes run on; empty when unknown. The kernel has
/// already taken the ancestors' sets into account.
CpuList read_cpuset(const system::System& system, const CgroupChain& cpuset);

/// Smallest CPU quota along the chain.
std::optional<double> read_cpu_quota(const system::System& system, const CgroupChain& cpu);

/// Smallest limit of swap along the chain of the controller "memory" (memory.swap.max; version 1 has none of swap
/// alone).
std::optional<std::int64_t> read_swap_limit(const system::System& system, const CgroupChain& memory);

/// What a memory cgroup leaves: its limit, and the room below it. Page cache counts as room: the kernel drops it first.
struct MemoryLimit {
    std::int64_t limit_bytes;
    std::int64_t room_bytes;
};
/// Smallest limit and smallest room along the chain, which may be of two different groups; nothing when no limit is
/// below `total_bytes`.
std::optional<MemoryLimit> read_memory_limit(const system::System& system, const CgroupChain& memory,
                                             std::int64_t total_bytes);

struct ThreadFacts {
    int online_cpus = 1;
    int physical_cores = 1;
    int allowed_cpus = 1;   ///< of the online ones
    int allowed_cores = 1;  ///< physical cores with an allowed CPU
    std::optional<double> quota_cpus;
    int fast_cores = 0;          ///< performance cores of the machine; 0: the cores are alike
    int allowed_fast_cores = 0;  ///< of these, with an allowed CPU
    bool cpuset = false;         ///< the allowed CPUs are those of the cgroup's set
};
/// Where the machine has slow cores too and a fast one is allowed, only fast ones count: a thread on a slow core holds
/// up all others at every barrier. A quota is rounded down: one thread more than it can run is throttled, and holds up
/// all others at every barrier.
UsableThreads usable_threads(const ThreadFacts& facts);

}  // namespace velollm::hardware
