#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string_view>

#include "hardware/limits.h"
#include "system/system.h"

namespace velollm::hardware {

/// The machine's memory from the text of /proc/meminfo; all zero when it has no MemTotal.
///
/// Where MemAvailable is missing, 0 or not below the total (Linux before 3.14, some containers), available is MemFree +
/// Buffers + Cached + SReclaimable - Shmem.
Memory parse_meminfo(std::string_view text);

/// The same, capped by the cgroups above this process.
Memory read_memory(const system::System& system, const CgroupChain& memory_cgroups);

}  // namespace velollm::hardware
