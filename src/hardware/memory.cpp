#include "hardware/memory.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "hardware/files.h"
#include "hardware/memory_modules.h"

namespace velollm::hardware {

Memory parse_meminfo(std::string_view text) {
    constexpr std::int64_t kMostKib = std::int64_t{1} << 50U;  // an exbibyte: more is garbage, and sums could overflow
    std::map<std::string_view, std::int64_t> bytes;
    std::map<std::string_view, std::int64_t> counts;  // of lines without a unit
    for (const std::string_view line : base::split(text, '\n')) {
        const auto [name, value] = name_and_value(line, ':');
        const auto kib = base::parse_int(value.substr(0, value.find(' ')));
        if (!kib || *kib < 0 || *kib > kMostKib) continue;
        bytes[name] = *kib * 1024;
        counts[name] = *kib;
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
    memory.huge_page_bytes = bytes["Hugepagesize"];
    memory.huge_pages_total = counts["HugePages_Total"];
    memory.huge_pages_free = std::min(counts["HugePages_Free"], memory.huge_pages_total);
    return memory;
}

std::string parse_thp(std::string_view text) {
    for (std::string_view word : base::split(base::trim(text), ' ')) {
        if (!word.starts_with('[') || !word.ends_with(']')) continue;
        word = word.substr(1, word.size() - 2);
        if (word == "always" || word == "madvise" || word == "never") return std::string(word);
    }
    return {};
}

Memory read_memory(const system::System& system, const CgroupChain& memory_cgroups, std::int64_t page_bytes,
                   std::vector<FactSource>& sources) {
    Memory memory = parse_meminfo(read_text(system, "/proc/meminfo"));
    if (memory.total_bytes > 0) sources.push_back({"memory.total_mb", "/proc/meminfo"});
    if (const auto limit = read_memory_limit(system, memory_cgroups, memory.total_bytes)) {
        memory.limit_bytes = limit->limit_bytes;
        memory.available_bytes = std::min(memory.available_bytes, limit->room_bytes);
        sources.push_back({"memory.limit_mb", memory_cgroups.v2 ? "cgroup v2: memory.max and memory.high"
                                                                : "cgroup v1: memory.limit_in_bytes"});
    }
    if (memory.swap_total_bytes > 0) {
        memory.swap_limit_bytes = read_swap_limit(system, memory_cgroups);
        if (memory.swap_limit_bytes && *memory.swap_limit_bytes >= memory.swap_total_bytes)
            memory.swap_limit_bytes.reset();
    }
    memory.page_bytes = page_bytes;
    constexpr std::string_view kThp = "/sys/kernel/mm/transparent_hugepage/enabled";
    memory.thp = parse_thp(read_text(system, kThp));
    if (!memory.thp.empty()) sources.push_back({"memory.thp", std::string(kThp)});
    Modules modules = read_modules(system);
    memory.modules = std::move(modules.modules);
    if (!memory.modules.empty()) sources.push_back({"memory.modules", modules.source});
    const Channels channels = infer_channels(memory.modules);
    memory.channels = channels.count;
    memory.theoretical_gbps = channels.gbps;
    if (channels.gbps) sources.push_back({"memory.bandwidth.theoretical_gbps", "width * transfers of memory.modules"});
    return memory;
}

}  // namespace velollm::hardware
