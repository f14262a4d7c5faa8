#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velollm {

/// How many threads inference may use here, and what decides it.
/// usable = min(allowed CPUs, floor(CPU quota), physical cores among the allowed CPUs), at least 1.
struct UsableThreads {
    int count = 1;
    std::string reason;  ///< what binds: "cgroup quota 1.50 CPUs", "affinity to 2 of 8 CPUs", "4 physical cores"
    int online_cpus = 1;
    int physical_cores = 1;            ///< of the machine
    int affinity_cpus = 1;             ///< online CPUs that this process may run on
    std::optional<double> quota_cpus;  ///< smallest quota ÷ period over the cgroup and its ancestors; absent: no limit
};

struct Cpu {
    std::string model;  ///< the kernel's text, verbatim; "Unknown CPU" when it has none
    std::string arch;   ///< "x86_64", "aarch64"
    int sockets = 1;
    int physical_cores = 1;
    int logical_cpus = 1;
    std::vector<std::string> features;  ///< those that inference kernels are chosen by, in a fixed order
    std::optional<double> max_mhz;      ///< highest that cpufreq allows any core; absent in most virtual machines
    std::optional<double> cpuinfo_mhz;  ///< highest "cpu MHz" of /proc/cpuinfo: the clock when it was read
    std::string governor;               ///< empty when the kernel exposes none
    UsableThreads usable;
};

/// Sizes in bytes. `total_bytes` is 0 when the kernel didn't tell; then nothing else here is known either.
struct Memory {
    std::int64_t total_bytes = 0;             ///< of the machine
    std::int64_t used_bytes = 0;              ///< of the machine: total less what the kernel calls available
    std::int64_t available_bytes = 0;         ///< to this process: what is available, and fits below every cgroup limit
    std::optional<std::int64_t> limit_bytes;  ///< smallest cgroup limit above this process; absent when none binds
    std::int64_t swap_total_bytes = 0;
    std::int64_t swap_free_bytes = 0;
};

/// Whose memory a GPU computes in.
enum class GpuMemoryKind {
    kUnknown,
    kDedicated,  ///< its own
    kUnified,    ///< the machine's
    kCarveout,   ///< a part that the firmware set aside, and the machine's
};

/// A PCI Express link: generation 1 to 7 (2.5 to 128 GT/s) and lanes. The current values of an idle GPU are often below
/// the highest: it trains down to save power.
struct PcieLink {
    std::optional<int> generation;
    std::optional<int> lanes;
    std::optional<int> max_generation;
    std::optional<int> max_lanes;
};

/// A slice of a GPU that is used like one (NVIDIA's MIG).
struct GpuPartition {
    std::string profile;  ///< "1g.10gb"; empty when the driver doesn't tell
    std::optional<std::int64_t> memory_bytes;
    std::optional<std::int64_t> memory_used_bytes;
};

/// Whether an engine built with a backend ("cuda", "rocm", "vulkan", "sycl", "metal") can use a GPU here, as far as
/// files tell. What the installed engine was built with is not in it.
struct GpuBackend {
    std::string name;
    std::optional<bool> usable;  ///< absent: can't be told
    std::string reason;
};

struct Gpu {
    std::string vendor;                      ///< Nvidia, Amd, Apple, Intel, Unknown
    std::string name;                        ///< product name where the system tells it, else "PCI vvvv:dddd"
    std::string pci_address;                 ///< empty for one that only a vendor's library knows
    std::string driver;                      ///< kernel driver; empty when none is bound
    std::string driver_version;              ///< the kernel's own release for drivers that come with it; may be empty
    std::optional<std::int64_t> vram_bytes;  ///< dedicated memory, or the part set aside; absent when nobody tells
    std::optional<std::int64_t> vram_used_bytes;
    bool integrated = false;  ///< known to share the machine's memory

    GpuMemoryKind memory_kind = GpuMemoryKind::kUnknown;
    std::optional<std::int64_t> shared_bytes;  ///< memory of the machine that the driver lends it (AMD's GTT)
    std::optional<std::int64_t> shared_used_bytes;
    std::optional<std::int64_t> usable_bytes;  ///< what a model may take now, by the rule
    std::string usable_rule;                   ///< why that much; empty without a figure
    std::string memory_source;                 ///< "sysfs", "kfd", "nvml"; empty when nobody tells
    std::string arch;                          ///< AMD's target, "gfx1151"; empty when unknown
    std::string compute_capability;            ///< NVIDIA's, "8.9"; empty when unknown
    std::string cuda_version;                  ///< newest CUDA that the driver runs, "12.4"; empty when unknown
    PcieLink pcie;
    std::optional<double> power_limit_w;
    std::optional<int> core_mhz;  ///< when asked
    std::optional<int> max_core_mhz;
    std::optional<int> memory_mhz;  ///< when asked
    std::optional<int> max_memory_mhz;
    std::optional<int> memory_bus_bits;
    std::optional<bool> ecc;
    std::optional<bool> mig;
    std::vector<GpuPartition> partitions;
    std::vector<GpuBackend> backends;
};

/// Something about the machine, or about what could be learnt of it, that a reader should know.
struct HardwareWarning {
    std::string code;   ///< "probe-timeout"; never changes its meaning
    std::string field;  ///< what it is about: "gpus"; may be empty
    std::string message;
    std::string hint;  ///< what to do; may be empty
};

struct Os {
    std::string name;    ///< PRETTY_NAME of os-release
    std::string kernel;  ///< uname release
    std::string family = "linux";
};

/// The machine, and what this process may use of it.
struct Hardware {
    Cpu cpu;
    Memory memory;
    std::vector<Gpu> gpus;  ///< the one to run on first: discrete before integrated, then by PCI address
    std::vector<std::string> skipped_displays;  ///< adapters that can't compute: which, where and why, for people
    Os os;
    std::vector<HardwareWarning> warnings;
};

}  // namespace velollm
