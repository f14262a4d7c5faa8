#include "hardware/engine_process.h"

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <map>

#include "hardware/files.h"

namespace velollm::hardware {
namespace {

namespace fs = std::filesystem;

/// Numbers among the names in a folder: process ids in /proc.
std::vector<int> numbers_in(const fs::path& folder) {
    std::vector<int> out;
    std::error_code error;
    for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end; it != end;
         it.increment(error)) {
        if (error) break;
        if (const auto number = base::parse_int(it->path().filename().string()))
            out.push_back(static_cast<int>(*number));
    }
    return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> out;
    for (const std::string_view word : base::split(line, ' '))
        if (!word.empty()) out.push_back(word);
    return out;
}

}  // namespace

std::optional<std::int64_t> listening_inode(std::string_view proc_net_tcp, int port) {
    // "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...", addresses and state in hex.
    constexpr std::string_view kListen = "0A";
    constexpr std::size_t kInode = 9;
    const std::string wanted = fmt::format(":{:04X}", port);
    for (const std::string_view line : base::split(proc_net_tcp, '\n')) {
        const auto words = words_of(line);
        if (words.size() <= kInode || words[3] != kListen || !words[1].ends_with(wanted)) continue;
        return base::parse_int(words[kInode]);
    }
    return std::nullopt;
}

std::optional<int> process_listening_on(const system::System& system, int port) {
    auto inode = listening_inode(read_text(system, "/proc/net/tcp"), port);
    if (!inode) inode = listening_inode(read_text(system, "/proc/net/tcp6"), port);
    if (!inode) return std::nullopt;
    const std::string wanted = fmt::format("socket:[{}]", *inode);
    for (const int pid : numbers_in(under_root(system, "/proc"))) {
        std::error_code error;
        const fs::path folder = under_root(system, fmt::format("/proc/{}/fd", pid));
        for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end; it != end;
             it.increment(error)) {
            if (error) break;
            std::error_code unreadable;
            if (fs::read_symlink(it->path(), unreadable) == wanted) return pid;
        }
    }
    return std::nullopt;
}

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
    // The name in parentheses may hold anything, parentheses too: what counts comes behind the last one.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos) return std::nullopt;
    const auto words = words_of(base::trim(text.substr(name_end + 1)));
    constexpr std::size_t kParent = 1, kMajor = 9, kUser = 11, kSystem = 12, kResident = 21;  // proc_pid_stat(5) - 3
    if (words.size() <= kResident) return std::nullopt;
    const auto at = [&](std::size_t i) { return base::parse_int(words[i]).value_or(0); };
    return ProcessStat{.parent = static_cast<int>(at(kParent)),
                       .major_faults = at(kMajor),
                       .cpu_ticks = at(kUser) + at(kSystem),
                       .resident_pages = at(kResident)};
}

std::vector<int> process_tree(const system::System& system, int root) {
    std::multimap<int, int> children;
    for (const int pid : numbers_in(under_root(system, "/proc")))
        if (const auto stat = parse_process_stat(read_text(system, fmt::format("/proc/{}/stat", pid))))
            children.emplace(stat->parent, pid);
    std::vector<int> tree = {root};
    for (std::size_t i = 0; i < tree.size(); ++i)
        for (auto [it, end] = children.equal_range(tree[i]); it != end; ++it) tree.push_back(it->second);
    return tree;
}

std::optional<ProcessUse> process_use(const system::System& system, const std::vector<int>& processes) {
    ProcessUse out;
    bool any = false;
    const Ns tick{1'000'000'000 / ::sysconf(_SC_CLK_TCK)};
    for (const int pid : processes) {
        const auto stat = parse_process_stat(read_text(system, fmt::format("/proc/{}/stat", pid)));
        if (!stat) continue;
        any = true;
        out.cpu += stat->cpu_ticks * tick;
        out.major_faults += stat->major_faults;
        out.resident_bytes += stat->resident_pages * ::sysconf(_SC_PAGESIZE);
    }
    return any ? std::optional(out) : std::nullopt;
}

}  // namespace velollm::hardware
