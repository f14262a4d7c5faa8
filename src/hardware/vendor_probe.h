#pragma once

#include <velollm/hardware.h>
#include <velollm/time.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "hardware/vendor_libraries.h"
#include "system/child_answer.h"
#include "system/system.h"

namespace velollm::hardware {

/// What all vendor libraries together may cost, from the start of the child processes that load them.
constexpr Ns kVendorLimit = std::chrono::seconds(3);

/// A question on its way.
struct AskedLibrary {
    const VendorLibrary* library = nullptr;
    std::string file;  ///< that is loaded, the first one tried
    system::ChildQuestion question;
};

/// Questions to vendors' libraries on their way, each in a child process of its own. Between start_vendor_probe and
/// finish_vendor_probe this process is free to read files.
struct VendorProbe {
    TimePoint deadline;
    std::vector<AskedLibrary> asked;
    std::vector<HardwareWarning> failures;  ///< children that could not be started
};

/// Starts what has something to ask about. Call it while this process has one thread only.
VendorProbe start_vendor_probe(const system::System& system, const std::vector<Gpu>& gpus, Clock& clock);

/// Waits for the answers, until the limit, and puts them into `hardware`. What went wrong becomes a warning. A library
/// of last resort is started here, where a GPU lacks a name or its memory after all. Call it while this process has one
/// thread only.
void finish_vendor_probe(VendorProbe& probe, const system::System& system, Hardware& hardware, Clock& clock);

/// The warning about a child that didn't answer as it should; nothing for a good answer.
std::optional<HardwareWarning> judge_end(const system::ChildAnswer& answer, const std::string& library);

}  // namespace velollm::hardware
