#pragma once

#include <velollm/hardware.h>
#include <velollm/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/cpu.h"
#include "system/system.h"

namespace velollm::hardware {

/// What the kernel answers by system calls and not by files. A value, so that a test writes its own.
struct KernelAnswers {
    CpuList allowed_cpus;  ///< CPUs that this process may run on; empty: unknown, then every online CPU
    std::string arch;      ///< "x86_64"
    std::string release;   ///< "6.1.0-18-amd64"
    std::int64_t page_bytes = 4096;
};
KernelAnswers ask_kernel();

/// PRETTY_NAME of an os-release file (os-release(5)), without its quotes; empty when there is none.
std::string parse_os_name(std::string_view os_release);

/// How long each part of detection took, in the order of the work.
struct Timing {
    std::string part;  ///< gpu, cpu, memory, environment, gpu_libraries (the wait for them)
    Ns time{};
};
using Timings = std::vector<Timing>;

/// The machine under the system's root. Loads no library, starts no process, wakes no device; what can't be read stays
/// at the value that its field documents.
Hardware detect(const system::System& system, const KernelAnswers& kernel);
Hardware detect_this_machine(const system::System& system);

/// The same, and vendors' libraries are asked about GPUs meanwhile, each loaded in a child process: a hanging driver
/// costs kVendorLimit, a crashing one nothing. Without a GPU no process is started. Call it while this process has one
/// thread only. `timings`: filled when given.
Hardware detect_with_libraries(const system::System& system, const KernelAnswers& kernel, Clock& clock,
                               Timings* timings = nullptr);

}  // namespace velollm::hardware
