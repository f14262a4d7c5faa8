#pragma once

#include <velollm/hardware.h>

#include <string>
#include <string_view>

#include "hardware/cpu.h"
#include "system/system.h"

namespace velollm::hardware {

/// What the kernel answers by system calls and not by files. A value, so that a test writes its own.
struct KernelAnswers {
    CpuList allowed_cpus;  ///< CPUs that this process may run on; empty: unknown, then every online CPU
    std::string arch;      ///< "x86_64"
    std::string release;   ///< "6.1.0-18-amd64"
};
KernelAnswers ask_kernel();

/// PRETTY_NAME of an os-release file (os-release(5)), without its quotes; empty when there is none.
std::string parse_os_name(std::string_view os_release);

/// The machine under the system's root. Loads no library, starts no process, wakes no device; what can't be read stays
/// at the value that its field documents.
Hardware detect(const system::System& system, const KernelAnswers& kernel);

Hardware detect_this_machine(const system::System& system);

/// The same, and vendors' libraries are asked about GPUs meanwhile, each loaded in a child process: a hanging driver
/// costs kVendorLimit, a crashing one nothing. Without a GPU no process is started. Call it while this process has one
/// thread only.
Hardware detect_with_libraries(const system::System& system, const KernelAnswers& kernel, Clock& clock);

}  // namespace velollm::hardware
