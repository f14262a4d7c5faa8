#pragma once

#include <velollm/hardware.h>
#include <velollm/time.h>

#include <chrono>
#include <optional>
#include <string>

#include "system/child_answer.h"
#include "system/system.h"

namespace velollm::hardware {

/// What all vendor libraries together may cost, from the start of the child processes that load them.
constexpr Ns kVendorLimit = std::chrono::seconds(3);

/// Questions to vendors' libraries on their way, each in a child process of its own. Between start_vendor_probe and
/// finish_vendor_probe this process is free to read files.
struct VendorProbe {
    TimePoint deadline;
    std::string library;  ///< file that is loaded
    std::optional<system::ChildQuestion> nvml;
    std::optional<HardwareWarning> failure;  ///< no child could be started
};

/// The file to load NVIDIA's library from: $VELOLLM_NVML, or "libnvidia-ml.so.1" as the loader finds it when there is
/// something to ask it about: a GPU that NVIDIA's driver holds, /dev/nvidiactl, or WSL's /dev/dxg. Else nothing.
std::optional<std::string> nvml_to_ask(const system::System& system, const std::vector<Gpu>& gpus);

/// Starts what has something to ask about. Call it while this process has one thread only.
VendorProbe start_vendor_probe(const system::System& system, const std::vector<Gpu>& gpus, Clock& clock);

/// Waits for the answers, until the limit, and puts them into `hardware`. What went wrong becomes a warning.
void finish_vendor_probe(VendorProbe& probe, const system::System& system, Hardware& hardware, Clock& clock);

/// The warning about a child that didn't answer as it should; nothing for a good answer.
std::optional<HardwareWarning> judge_end(const system::ChildAnswer& answer, const std::string& library);

}  // namespace velollm::hardware
