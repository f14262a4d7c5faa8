#include "hardware/caches.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "hardware/cpu.h"
#include "hardware/files.h"

namespace velollm::hardware {
namespace {

constexpr int kMaxIndex = 16;                                // of cache folders: the kernel makes four or five
constexpr std::int64_t kMostBytes = std::int64_t{1} << 40U;  // a tebibyte of cache is garbage

struct Entry {
    int level = 0;
    std::string type;
    std::int64_t size_bytes = 0;
    CpuList shared;  // online CPUs
};

std::optional<Entry> read_entry(const system::System& system, int cpu, int index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/cache/index{}/", cpu, index);
    const auto level = base::parse_int(read_word(system, folder + "level"));
    if (!level || *level < 1 || *level > 9) return std::nullopt;
    Entry entry;
    entry.level = static_cast<int>(*level);
    entry.type = base::lower(read_word(system, folder + "type"));
    if (entry.type != "data" && entry.type != "instruction" && entry.type != "unified") return std::nullopt;
    entry.size_bytes = parse_size(read_word(system, folder + "size")).value_or(0);
    entry.shared = parse_cpu_list(read_text(system, folder + "shared_cpu_list"));
    if (!std::binary_search(entry.shared.begin(), entry.shared.end(), cpu)) entry.shared = {cpu};
    return entry;
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
    std::int64_t factor = 1;
    if (text.ends_with('K')) factor = std::int64_t{1} << 10U;
    if (text.ends_with('M')) factor = std::int64_t{1} << 20U;
    if (factor > 1) text.remove_suffix(1);
    const auto number = base::parse_int(text);
    if (!number || *number <= 0 || *number > kMostBytes / factor) return std::nullopt;
    return *number * factor;
}

std::vector<Cache> read_caches(const system::System& system, const std::vector<CpuList>& cores) {
    using Key = std::tuple<int, std::string, std::int64_t, int>;  // level, type, size, CPUs that share one
    std::map<Key, int> instances;
    std::map<int, std::set<int>> covered;  // by index: CPUs whose cache of that index is counted
    for (const CpuList& core : cores) {
        const int cpu = core.front();
        for (int index = 0; index < kMaxIndex; ++index) {
            if (covered[index].contains(cpu)) continue;
            const auto entry = read_entry(system, cpu, index);
            if (!entry) break;
            covered[index].insert(entry->shared.begin(), entry->shared.end());
            if (entry->size_bytes > 0)
                ++instances[{entry->level, entry->type, entry->size_bytes, static_cast<int>(entry->shared.size())}];
        }
        if (instances.empty()) break;  // no caches here: don't ask a hundred cores more
    }
    std::vector<Cache> caches;
    for (const auto& [key, count] : instances) {
        const auto& [level, type, size_bytes, shared_by] = key;
        caches.push_back({level, type, size_bytes, count, shared_by});
    }
    return caches;
}

std::vector<NumaNode> read_numa(const system::System& system) {
    std::vector<NumaNode> nodes;
    for (const int number : parse_cpu_list(read_text(system, "/sys/devices/system/node/online"))) {
        const std::string folder = fmt::format("/sys/devices/system/node/node{}/", number);
        NumaNode node;
        node.node = number;
        node.cpus = format_cpu_list(parse_cpu_list(read_text(system, folder + "cpulist")));
        const std::string meminfo = read_text(system, folder + "meminfo");
        for (const std::string_view line : base::split(meminfo, '\n')) {  // "Node 0 MemTotal:  8026112 kB"
            const std::size_t at = line.find("MemTotal:");
            if (at == std::string_view::npos) continue;
            const std::string_view value = base::trim(line.substr(at + 9));
            const auto kib = base::parse_int(value.substr(0, value.find(' ')));
            if (kib && *kib > 0 && *kib < (std::int64_t{1} << 50U)) node.memory_bytes = *kib * 1024;
            break;
        }
        if (!node.cpus.empty() || node.memory_bytes) nodes.push_back(std::move(node));
        if (nodes.size() >= 1024) break;  // the kernel's most
    }
    return nodes;
}

}  // namespace velollm::hardware
