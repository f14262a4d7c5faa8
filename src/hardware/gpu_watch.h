#pragma once

#include <velollm/run.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/process.h"
#include "system/system.h"

namespace velollm::hardware {

/// The inner command of a program that watches GPUs for another one: loads NVIDIA's library, and prints a line with the
/// state of every GPU five times a second, until it is ended. In a process of its own, since the library may crash or
/// hang. Returns the exit code when there is nothing to watch.
int watch_gpus(const system::System& system);

/// The word on the command line that main() gives to watch_gpus().
inline constexpr const char* kGpuWatchWord = "gpu-watch";

/// What the lines say of the time that they were written in; a line that isn't whole is left out. Energy as
/// energy_between() with kGpuUpdate.
std::vector<GpuReport> read_gpu_watch(std::string_view lines);

/// A watcher on its way. It ends with this.
class GpuWatch {
public:
    /// Nothing where the program can't watch (system.gpu_watcher is empty), where no driver of NVIDIA's is loaded, or
    /// where it can't be started: a run is worth measuring without it.
    static std::optional<GpuWatch> start(const system::System& system);
    std::vector<GpuReport> report();

private:
    explicit GpuWatch(system::Process process) : process_(std::move(process)) {}
    system::Process process_;
};

}  // namespace velollm::hardware
