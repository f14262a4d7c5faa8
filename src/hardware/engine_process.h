#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// The inode of the socket that listens on `port`, from the text of /proc/net/tcp or tcp6.
std::optional<std::int64_t> listening_inode(std::string_view proc_net_tcp, int port);

/// The process that listens on a TCP port of this machine. Nothing when there is none, or when its files aren't
/// readable for this user (another user's server).
std::optional<int> process_listening_on(const system::System& system, int port);

/// What /proc/PID/stat says.
struct ProcessStat {
    int parent = 0;
    std::int64_t major_faults = 0;
    std::int64_t cpu_ticks = 0;
    std::int64_t resident_pages = 0;
};
std::optional<ProcessStat> parse_process_stat(std::string_view text);

/// A process and all that it started, as they are now.
std::vector<int> process_tree(const system::System& system, int root);

/// What processes have used so far, together.
struct ProcessUse {
    Ns cpu{};
    std::int64_t major_faults = 0;
    std::int64_t resident_bytes = 0;
};
/// Of those that are still there; nothing when none is.
std::optional<ProcessUse> process_use(const system::System& system, const std::vector<int>& processes);

}  // namespace velollm::hardware
