#include "hardware/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "hardware/cpu.h"
#include "hardware/files.h"

namespace velollm::hardware {
namespace {

bool lists(std::string_view comma_separated, std::string_view word) {
    const auto words = base::split(comma_separated, ',');
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// mountinfo writes blank, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
    std::string out;
    const auto digit = [](char c) { return c >= '0' && c <= '7'; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '\\' && i + 3 < text.size() && text[i + 1] <= '3' && digit(text[i + 1]) &&
                             digit(text[i + 2]) && digit(text[i + 3]);
        if (!escaped) {
            out += text[i];
            continue;
        }
        out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
        i += 3;
    }
    return out;
}

struct Mount {
    std::string root;   // the part of the hierarchy that is mounted
    std::string point;  // where
    std::string type;
    std::string options;  // of the hierarchy; version 1 lists its controllers here
};

std::optional<Mount> parse_mount(std::string_view line) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return std::nullopt;
    const auto before = base::split(line.substr(0, dash), ' ');
    const auto after = base::split(line.substr(dash + 3), ' ');
    if (before.size() < 6 || after.size() < 3) return std::nullopt;
    return Mount{unescape(before[3]), unescape(before[4]), std::string(after[0]), std::string(after[2])};
}

struct Membership {
    bool v2 = false;
    std::string path;
};

/// Lines are "hierarchy:controllers:path"; version 2 has no controllers.
std::optional<Membership> membership(std::string_view self_cgroup, std::string_view controller) {
    std::optional<Membership> found;
    for (const std::string_view line : base::split(self_cgroup, '\n')) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const std::string_view path = line.substr(second + 1);
        if (lists(controllers, controller)) return Membership{false, std::string(path)};
        if (controllers.empty()) found = Membership{true, std::string(path)};
    }
    return found;
}

bool climbs(std::string_view path) {
    const auto parts = base::split(path, '/');
    return std::find(parts.begin(), parts.end(), "..") != parts.end();
}

/// The part of `group` below `root`, "" for the root itself; nothing when this mount doesn't show the group.
std::optional<std::string> below(std::string_view group, std::string_view root) {
    // Seen from inside a cgroup namespace, ".." is outside: a group there can't be found by name, but a mount whose
    // root is there holds an ancestor of every group inside.
    if (climbs(group)) return std::nullopt;
    if (climbs(root)) return "";
    if (root == "/") root = "";
    if (!group.starts_with(root)) return std::nullopt;
    std::string_view rest = group.substr(root.size());
    if (!rest.empty() && rest.front() != '/') return std::nullopt;
    while (rest.ends_with('/')) rest.remove_suffix(1);
    return std::string(rest);
}

std::optional<std::int64_t> parse_positive(std::string_view text) {
    const auto number = base::parse_int(base::trim(text));
    return number && *number > 0 ? number : std::nullopt;
}

std::optional<std::int64_t> read_positive(const system::System& system, const std::string& folder,
                                          std::string_view name) {
    return parse_positive(read_text(system, fmt::format("{}/{}", folder, name)));
}

/// Bytes of page cache that the group and its descendants hold.
std::int64_t cached_bytes(std::string_view stat, bool v2) {
    std::int64_t sum = 0;
    for (const std::string_view line : base::split(stat, '\n')) {
        const auto [name, value] = name_and_value(line, ' ');
        const bool file = v2 ? name == "inactive_file" || name == "active_file"
                             : name == "total_inactive_file" || name == "total_active_file";
        if (!file) continue;
        std::int64_t next = 0;
        if (!__builtin_add_overflow(sum, std::max<std::int64_t>(0, base::parse_int(value).value_or(0)), &next))
            sum = next;
    }
    return sum;
}

std::optional<std::int64_t> read_group_limit(const system::System& system, const std::string& folder, bool v2) {
    if (!v2) return read_positive(system, folder, "memory.limit_in_bytes");
    const auto max = read_positive(system, folder, "memory.max");
    const auto high = read_positive(system, folder, "memory.high");  // the kernel throttles what grows beyond
    return max && high ? std::min(*max, *high) : max ? max : high;
}

std::int64_t read_room(const system::System& system, const std::string& folder, bool v2, std::int64_t limit_bytes) {
    const auto current = read_positive(system, folder, v2 ? "memory.current" : "memory.usage_in_bytes").value_or(0);
    const std::int64_t cached = cached_bytes(read_text(system, folder + "/memory.stat"), v2);
    const std::int64_t used = current - std::min(current, cached);
    return limit_bytes - std::min(limit_bytes, used);
}

std::string cgroup_version(std::string_view mountinfo) {
    bool v1 = false;
    bool v2 = false;
    for (const std::string_view line : base::split(mountinfo, '\n')) {
        const auto mount = parse_mount(line);
        v1 = v1 || (mount && mount->type == "cgroup");
        v2 = v2 || (mount && mount->type == "cgroup2");
    }
    return v1 && v2 ? "hybrid" : v1 ? "v1" : v2 ? "v2" : "";
}

std::string cores_text(int cores) {
    return fmt::format("{} physical core{}", cores, cores == 1 ? "" : "s");
}

}  // namespace

CgroupChain cgroup_chain(std::string_view self_cgroup, std::string_view mountinfo, std::string_view controller) {
    const auto member = membership(self_cgroup, controller);
    if (!member) return {};
    CgroupChain chain{.v2 = member->v2, .folders = {}};
    for (const std::string_view line : base::split(mountinfo, '\n')) {
        const auto mount = parse_mount(line);
        if (!mount || mount->type != (member->v2 ? "cgroup2" : "cgroup")) continue;
        if (!member->v2 && !lists(mount->options, controller)) continue;
        auto rest = below(member->path, mount->root);
        if (!rest) continue;
        // A group that is named but not there (a stale path, a mount of the namespace's root only) costs one failed
        // read; its ancestors still count.
        for (; !rest->empty(); rest->resize(rest->rfind('/'))) chain.folders.push_back(mount->point + *rest);
        chain.folders.push_back(mount->point);
    }
    return chain;
}

Cgroups read_cgroups(const system::System& system) {
    const std::string self_cgroup = read_text(system, "/proc/self/cgroup");
    const std::string mountinfo = read_text(system, "/proc/self/mountinfo");
    return {cgroup_chain(self_cgroup, mountinfo, "cpu"), cgroup_chain(self_cgroup, mountinfo, "memory"),
            cgroup_chain(self_cgroup, mountinfo, "cpuset"), cgroup_version(mountinfo)};
}

std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us) {
    const auto quota = parse_positive(quota_us);
    const auto period = parse_positive(period_us);
    if (!quota || !period) return std::nullopt;
    return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> parse_cpu_max(std::string_view text) {
    const auto [quota_us, period_us] = name_and_value(base::trim(text), ' ');
    return parse_cfs_quota(quota_us, period_us);
}

std::optional<double> read_cpu_quota(const system::System& system, const CgroupChain& cpu) {
    std::optional<double> smallest;
    for (const std::string& folder : cpu.folders) {
        const auto quota = cpu.v2 ? parse_cpu_max(read_text(system, folder + "/cpu.max"))
                                  : parse_cfs_quota(read_text(system, folder + "/cpu.cfs_quota_us"),
                                                    read_text(system, folder + "/cpu.cfs_period_us"));
        if (quota) smallest = std::min(*quota, smallest.value_or(*quota));
    }
    return smallest;
}

std::optional<MemoryLimit> read_memory_limit(const system::System& system, const CgroupChain& memory,
                                             std::int64_t total_bytes) {
    std::optional<MemoryLimit> tightest;
    for (const std::string& folder : memory.folders) {
        const auto limit = read_group_limit(system, folder, memory.v2);
        if (!limit || *limit >= total_bytes) continue;
        const std::int64_t room = read_room(system, folder, memory.v2, *limit);
        const MemoryLimit before = tightest.value_or(MemoryLimit{*limit, room});
        tightest = MemoryLimit{std::min(*limit, before.limit_bytes), std::min(room, before.room_bytes)};
    }
    return tightest;
}

CpuList read_cpuset(const system::System& system, const CgroupChain& cpuset) {
    for (const std::string& folder : cpuset.folders) {
        for (const std::string_view name : {"/cpuset.cpus.effective", "/cpuset.effective_cpus", "/cpuset.cpus"}) {
            CpuList cpus = parse_cpu_list(read_text(system, folder + std::string(name)));
            if (!cpus.empty()) return cpus;
        }
    }
    return {};
}

std::optional<std::int64_t> read_swap_limit(const system::System& system, const CgroupChain& memory) {
    if (!memory.v2) return std::nullopt;
    std::optional<std::int64_t> smallest;
    for (const std::string& folder : memory.folders) {
        const auto limit = base::parse_int(read_word(system, folder + "/memory.swap.max"));  // "max", or 0: no swap
        if (limit && *limit >= 0) smallest = std::min(*limit, smallest.value_or(*limit));
    }
    return smallest;
}

UsableThreads usable_threads(const ThreadFacts& facts) {
    UsableThreads usable;
    usable.online_cpus = facts.online_cpus;
    usable.physical_cores = facts.physical_cores;
    usable.affinity_cpus = facts.allowed_cpus;
    usable.quota_cpus = facts.quota_cpus;

    const bool hybrid = facts.fast_cores > 0 && facts.fast_cores < facts.physical_cores;
    const bool fast_only = hybrid && facts.allowed_fast_cores > 0;
    const int cores = fast_only ? facts.allowed_fast_cores : facts.allowed_cores;
    usable.count = std::max(1, std::min(facts.allowed_cpus, cores));
    const bool all_allowed =
        facts.allowed_cores == facts.physical_cores || (fast_only && facts.allowed_fast_cores == facts.fast_cores);
    if (facts.quota_cpus && *facts.quota_cpus < usable.count) {
        usable.count = std::max(1, static_cast<int>(std::floor(*facts.quota_cpus)));
        usable.limit = "quota";
        usable.reason = fmt::format("cgroup quota {:.2f} CPUs", *facts.quota_cpus);
    } else if (all_allowed && fast_only) {
        usable.limit = "performance_cores";
        usable.reason = fmt::format("{} performance core{} of {}", usable.count, usable.count == 1 ? "" : "s",
                                    cores_text(facts.physical_cores));
    } else if (all_allowed) {
        usable.limit = "cores";
        usable.reason = cores_text(facts.physical_cores);
    } else {
        usable.limit = facts.cpuset ? "cpuset" : "affinity";
        usable.reason = fmt::format("{} {} of {} CPUs", facts.cpuset ? "cgroup cpuset of" : "affinity to",
                                    facts.allowed_cpus, facts.online_cpus);
        if (fast_only && cores < facts.allowed_cpus)
            usable.reason += fmt::format(", {} performance core{}", cores, cores == 1 ? "" : "s");
        else if (facts.allowed_cores < facts.allowed_cpus)
            usable.reason += fmt::format(", {}", cores_text(facts.allowed_cores));
    }
    return usable;
}

}  // namespace velollm::hardware
