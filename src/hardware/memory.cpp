#include "hardware/memory.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "hardware/files.h"

namespace velollm::hardware {

Memory parse_meminfo(std::string_view text) {
    constexpr std::int64_t kMostKib = std::int64_t{1} << 50U;  // an exbibyte: more is garbage, and sums could overflow
    std::map<std::string_view, std::int64_t> bytes;
    for (const std::string_view line : base::split(text, '\n')) {
        const auto [name, value] = name_and_value(line, ':');
        const auto kib = base::parse_int(value.substr(0, value.find(' ')));
        if (kib && *kib >= 0 && *kib <= kMostKib) bytes[name] = *kib * 1024;
    }

    Memory memory;
    memory.total_bytes = bytes["MemTotal"];
    if (memory.total_bytes == 0) return {};
    std::int64_t available = bytes["MemAvailable"];
    if (available == 0 || available >= memory.total_bytes)
        available = bytes["MemFree"] + bytes["Buffers"] + bytes["Cached"] + bytes["SReclaimable"] - bytes["Shmem"];
    memory.available_bytes = std::clamp<std::int64_t>(available, 0, memory.total_bytes);
    memory.used_bytes = memory.total_bytes - memory.available_bytes;
    memory.swap_total_bytes = bytes["SwapTotal"];
    memory.swap_free_bytes = std::min(bytes["SwapFree"], memory.swap_total_bytes);
    return memory;
}

Memory read_memory(const system::System& system, const CgroupChain& memory_cgroups) {
    Memory memory = parse_meminfo(read_text(system, "/proc/meminfo"));
    if (const auto limit = read_memory_limit(system, memory_cgroups, memory.total_bytes)) {
        memory.limit_bytes = limit->limit_bytes;
        memory.available_bytes = std::min(memory.available_bytes, limit->room_bytes);
    }
    return memory;
}

}  // namespace velollm::hardware
