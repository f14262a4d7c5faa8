#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/limits.h"
#include "system/system.h"

namespace velollm::hardware {

/// The machine's memory from the text of /proc/meminfo; all zero when it has no MemTotal.
///
/// Where MemAvailable is missing, 0 or not below the total (Linux before 3.14, some containers), available is MemFree +
/// Buffers + Cached + SReclaimable - Shmem.
Memory parse_meminfo(std::string_view text);

/// The mode of transparent huge pages that "always [madvise] never" marks; empty when none is marked.
std::string parse_thp(std::string_view text);

/// The same, capped by the cgroups above this process, with huge pages and modules. `sources`: where each fact came
/// from is added.
Memory read_memory(const system::System& system, const CgroupChain& memory_cgroups, std::int64_t page_bytes,
                   std::vector<FactSource>& sources);

}  // namespace velollm::hardware
