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

struct Gpu {
    std::string vendor;  ///< Nvidia, Amd, Apple, Intel, Unknown
    std::string name;    ///< product name where the system tells it, else "PCI vvvv:dddd"
    std::string pci_address;
    std::string driver;                      ///< kernel driver; empty when none is bound
    std::string driver_version;              ///< the kernel's own release for drivers that come with it; may be empty
    std::optional<std::int64_t> vram_bytes;  ///< dedicated memory; absent when sysfs doesn't tell
    std::optional<std::int64_t> vram_used_bytes;
    bool integrated = false;  ///< known to share the machine's memory
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
};

}  // namespace velollm
