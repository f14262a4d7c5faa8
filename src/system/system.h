#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace velollm::system {

/// Environment variables by name. A value, so that a test writes its own.
using Environment = std::map<std::string, std::string>;

/// Where the program stands: the root that /proc and /sys are read under, and the environment it was started with.
/// Real programs use this_system(); a test points `root` at a recorded tree.
struct System {
    std::filesystem::path root = "/";
    Environment env;
    /// Program that watches GPUs for us when it is started with the word "gpu-watch"; empty: none does.
    std::filesystem::path gpu_watcher = {};

    /// The variable's value; nothing when it is unset or empty.
    std::optional<std::string> variable(const std::string& name) const;
};

System this_system();

/// The steady clock of the machine.
struct SteadyClock final : Clock {
    TimePoint now() override { return std::chrono::time_point_cast<Ns>(std::chrono::steady_clock::now()); }
};

/// Whole file as text, or nothing when it can't be read. For /proc, /sys and small files.
std::optional<std::string> read_file(const std::filesystem::path& path);

/// The last `bytes` of a file, all of a shorter one; nothing when it can't be read.
std::optional<std::string> read_end(const std::filesystem::path& path, std::size_t bytes);

/// Replaces `path` in one step: written beside it, flushed to the disk, renamed. On failure nothing has changed. What
/// is no regular file, such as a pipe or /dev/null, is written into.
Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view text);

/// Whether write_file_atomic(path) could work now, without leaving anything behind. Asked before measuring.
Result<void> check_writable(const std::filesystem::path& path);

/// Folder for things that can be fetched again: $XDG_CACHE_HOME/velollm or ~/.cache/velollm.
std::filesystem::path cache_folder(const System& system);
/// Folder of the user's settings: $XDG_CONFIG_HOME/velollm or ~/.config/velollm.
std::filesystem::path config_folder(const System& system);
/// Folder for what this program found out about the machine: $XDG_STATE_HOME/velollm or ~/.local/state/velollm.
std::filesystem::path state_folder(const System& system);

/// Makes a folder below state_folder(), and those above it, where they are missing.
Result<void> make_folder(const std::filesystem::path& folder);

/// Seconds since 1970 as "2025-01-15T10:30:00Z".
std::string utc_timestamp(std::int64_t unix_seconds);
std::int64_t unix_now_ms();

/// Lets time pass; a signal may end it early.
void nap(Ns time);

/// CPU time that this process has used so far, all threads.
Ns process_cpu_time();
std::int64_t peak_memory_bytes();

/// CPU time that the whole machine has been busy and could have been, since it started (first line of /proc/stat).
/// Nothing where that can't be read. Steps of 10 ms: good for spans of a second and more.
struct MachineTime {
    Ns busy{};
    Ns all{};
    Ns stolen{};  ///< taken by the host of this virtual machine; part of `busy` and `all`
};
std::optional<MachineTime> machine_time(const System& system);
std::optional<MachineTime> parse_machine_time(std::string_view proc_stat, long ticks_per_second);

/// Bytes of fresh randomness from the kernel.
std::uint64_t random_u64();

}  // namespace velollm::system
