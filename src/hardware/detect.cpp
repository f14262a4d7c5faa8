#include "hardware/detect.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/text.h"
#include "hardware/files.h"
#include "hardware/gpu.h"
#include "hardware/gpu_use.h"
#include "hardware/limits.h"
#include "hardware/memory.h"
#include "hardware/surroundings.h"
#include "hardware/telemetry.h"
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

/// Virtual machines that are given memory while they run show less in their nodes than there is: then it is unknown.
void drop_doubtful(std::vector<NumaNode>& nodes, std::int64_t total_bytes) {
    std::int64_t sum = 0;
    for (const NumaNode& node : nodes) sum += node.memory_bytes.value_or(0) / 1024;
    if (sum >= total_bytes / 1024 / 10 * 9) return;
    for (NumaNode& node : nodes) node.memory_bytes.reset();
}

void warn_of_power(const Power& power, std::vector<HardwareWarning>& warnings) {
    if (power.powersave)
        warnings.push_back({"governor-powersave", "cpu.governor", "The governor 'powersave' holds the clock down.",
                            "cpupower frequency-set -g performance"});
    if (power.on_battery)
        warnings.push_back({"on-battery", "", "The machine runs on its battery, which slows most laptops down.",
                            "Plug it in before measuring."});
}

/// Notes how long each part took; notes nothing without a list.
class PartTimer {
public:
    PartTimer(Clock& clock, Timings* timings) : clock_(clock), timings_(timings), before_(clock.now()) {}
    void done(const char* part) {
        const TimePoint now = clock_.now();
        if (timings_ != nullptr) timings_->push_back({part, now - before_});
        before_ = now;
    }

private:
    Clock& clock_;
    Timings* timings_;
    TimePoint before_;
};

/// Everything that files tell, beside the displays that were read before.
Hardware read_files(const system::System& system, const KernelAnswers& kernel, Displays displays, PartTimer& timer) {
    const Cgroups cgroups = read_cgroups(system);
    Hardware hardware;
    hardware.gpus = std::move(displays.gpus);
    hardware.skipped_displays = std::move(displays.skipped);
    hardware.cpu = read_cpu(system, kernel.arch,
                            {.allowed = kernel.allowed_cpus,
                             .quota_cpus = read_cpu_quota(system, cgroups.cpu),
                             .cpuset = read_cpuset(system, cgroups.cpuset)},
                            hardware.sources);
    if (hardware.cpu.usable.quota_cpus)
        hardware.sources.push_back(
            {"cpu.usable.quota", cgroups.cpu.v2 ? "cgroup v2: cpu.max" : "cgroup v1: cpu.cfs_*"});
    if (!kernel.allowed_cpus.empty()) hardware.sources.push_back({"cpu.usable.affinity", "sched_getaffinity"});
    timer.done("cpu");
    hardware.memory = read_memory(system, cgroups.memory, kernel.page_bytes, hardware.sources);
    drop_doubtful(hardware.cpu.numa, hardware.memory.total_bytes);
    timer.done("memory");
    hardware.os.name = parse_os_name(read_text(system, "/etc/os-release"));
    if (hardware.os.name.empty()) hardware.os.name = parse_os_name(read_text(system, "/usr/lib/os-release"));
    hardware.os.kernel = kernel.release;
    hardware.surroundings = read_surroundings(system, kernel.release, cgroups.version);
    if (!hardware.os.name.empty()) hardware.sources.push_back({"environment.distro", "/etc/os-release"});
    if (!kernel.release.empty()) hardware.sources.push_back({"environment.kernel", "uname"});
    warn_of_power(read_power(system), hardware.warnings);
    timer.done("environment");
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
    if (const long page = ::sysconf(_SC_PAGESIZE); page > 0) answers.page_bytes = page;
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
    system::SteadyClock clock;
    PartTimer timer(clock, nullptr);
    Hardware hardware = read_files(system, kernel, read_displays(system, kernel.release), timer);
    judge_gpus(system, hardware);
    return hardware;
}

Hardware detect_with_libraries(const system::System& system, const KernelAnswers& kernel, Clock& clock,
                               Timings* timings) {
    PartTimer timer(clock, timings);
    Displays displays = read_displays(system, kernel.release);
    VendorProbe probe = start_vendor_probe(system, displays.gpus, clock);
    timer.done("gpu");
    Hardware hardware = read_files(system, kernel, std::move(displays), timer);
    finish_vendor_probe(probe, system, hardware, clock);
    judge_gpus(system, hardware);
    timer.done("gpu_libraries");
    return hardware;
}

Hardware detect_this_machine(const system::System& system) {
    return detect(system, ask_kernel());
}

}  // namespace velollm::hardware
