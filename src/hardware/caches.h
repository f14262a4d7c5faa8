#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string_view>
#include <vector>

#include "hardware/core_kinds.h"
#include "system/system.h"

namespace velollm::hardware {

/// Size of a cache or page as sysfs writes it, "32768K", "2M" or "512"; nothing for what isn't a size.
std::optional<std::int64_t> parse_size(std::string_view text);

/// Caches that the online CPUs of `cores` use, from sysfs. Empty where it has none: CPUID is not asked instead, because
/// virtual machines answer it with the host's sizes.
std::vector<Cache> read_caches(const system::System& system, const std::vector<CpuList>& cores);

/// Nodes of sysfs with CPUs or memory.
std::vector<NumaNode> read_numa(const system::System& system);

}  // namespace velollm::hardware
