#include "hardware/detect.h"

#include <sched.h>
#include <sys/utsname.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/text.h"
#include "hardware/files.h"
#include "hardware/gpu.h"
#include "hardware/gpu_use.h"
#include "hardware/limits.h"
#include "hardware/memory.h"
#include "hardware/vendor_probe.h"

namespace velollm::hardware {
namespace {

struct CpuSetDeleter {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

CpuList allowed_cpus() {
    // The kernel refuses a set smaller than its own, so that the size has to be tried upwards.
    for (std::size_t size = 1024; size <= 65536; size *= 4) {
        const std::unique_ptr<cpu_set_t, CpuSetDeleter> set(CPU_ALLOC(size));
        if (!set) return {};
        const std::size_t bytes = CPU_ALLOC_SIZE(size);
        CPU_ZERO_S(bytes, set.get());
        if (::sched_getaffinity(0, bytes, set.get()) != 0) {
            if (errno == EINVAL) continue;
            return {};
        }
        CpuList cpus;
        for (std::size_t cpu = 0; cpu < size; ++cpu)
            if (CPU_ISSET_S(cpu, bytes, set.get())) cpus.push_back(static_cast<int>(cpu));
        return cpus;
    }
    return {};
}

/// Everything that files tell, beside the displays that were read before.
Hardware read_files(const system::System& system, const KernelAnswers& kernel, Displays displays) {
    const Cgroups cgroups = read_cgroups(system);
    Hardware hardware;
    hardware.cpu = read_cpu(system, kernel.arch, kernel.allowed_cpus, read_cpu_quota(system, cgroups.cpu));
    hardware.memory = read_memory(system, cgroups.memory);
    hardware.gpus = std::move(displays.gpus);
    hardware.skipped_displays = std::move(displays.skipped);
    hardware.os.name = parse_os_name(read_text(system, "/etc/os-release"));
    if (hardware.os.name.empty()) hardware.os.name = parse_os_name(read_text(system, "/usr/lib/os-release"));
    hardware.os.kernel = kernel.release;
    return hardware;
}

}  // namespace

KernelAnswers ask_kernel() {
    KernelAnswers answers;
    answers.allowed_cpus = allowed_cpus();
    utsname names{};
    if (::uname(&names) == 0) {
        answers.arch = names.machine;
        answers.release = names.release;
    }
    return answers;
}

std::string parse_os_name(std::string_view os_release) {
    for (const std::string_view line : base::split(os_release, '\n')) {
        auto [name, value] = name_and_value(line, '=');
        if (name != "PRETTY_NAME") continue;
        const bool quoted =
            value.size() >= 2 && value.front() == value.back() && (value.front() == '"' || value.front() == '\'');
        return std::string(quoted ? value.substr(1, value.size() - 2) : value);
    }
    return {};
}

Hardware detect(const system::System& system, const KernelAnswers& kernel) {
    Hardware hardware = read_files(system, kernel, read_displays(system, kernel.release));
    judge_gpus(system, hardware);
    return hardware;
}

Hardware detect_with_libraries(const system::System& system, const KernelAnswers& kernel, Clock& clock) {
    Displays displays = read_displays(system, kernel.release);
    VendorProbe probe = start_vendor_probe(system, displays.gpus, clock);
    Hardware hardware = read_files(system, kernel, std::move(displays));
    finish_vendor_probe(probe, system, hardware, clock);
    judge_gpus(system, hardware);
    return hardware;
}

Hardware detect_this_machine(const system::System& system) {
    return detect(system, ask_kernel());
}

}  // namespace velollm::hardware
