#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velollm {

/// How many threads inference may use here, and what decides it.
/// usable = min(allowed CPUs, floor(CPU quota), physical cores among the allowed CPUs, performance cores among these),
/// at least 1.
struct UsableThreads {
    int count = 1;
    std::string reason;  ///< what binds: "cgroup quota 1.50 CPUs", "affinity to 2 of 8 CPUs", "4 physical cores"
    std::string limit = "cores";  ///< the same for programs: quota, cpuset, affinity, performance_cores or cores
    int online_cpus = 1;
    int physical_cores = 1;            ///< of the machine
    int affinity_cpus = 1;             ///< online CPUs that this process may run on
    std::optional<double> quota_cpus;  ///< smallest quota ÷ period over the cgroup and its ancestors; absent: no limit
};

/// Cores of one speed. A machine whose cores are alike has one kind, "performance".
struct CoreKind {
    std::string kind;       ///< performance, efficiency or low_power
    std::string name = {};  ///< of the design, where the kernel tells ("Cortex-A76")
    int cores = 0;
    int threads = 0;
    std::string cpus = {};               ///< kernel CPU numbers as the kernel lists them, "0-11"
    std::optional<double> max_mhz = {};  ///< highest clock of the kind
};

/// Caches of one level, type and size.
struct Cache {
    int level = 0;
    std::string type;             ///< data, instruction or unified
    std::int64_t size_bytes = 0;  ///< of one
    int instances = 0;            ///< how many the online CPUs have
    int shared_by = 0;            ///< logical CPUs that use one
};

struct NumaNode {
    int node = 0;
    std::string cpus;                               ///< as the kernel lists them; empty: memory without CPUs
    std::optional<std::int64_t> memory_bytes = {};  ///< absent where the nodes don't add up to the machine's memory
};

/// Thread counts to give to an engine.
struct RecommendedThreads {
    int decode = 1;   ///< bound by memory: one thread a fast core
    int prefill = 1;  ///< bound by arithmetic: the same, since threads of one core share its arithmetic units
    std::string reason = {};
};

/// Peak arithmetic rate of simple kernels in registers, for rooflines. Absent where not asked for or not measured.
struct ComputePeak {
    int threads = 0;
    bool valid = false;
    std::string reason = {};                 ///< why it isn't valid, or why a rate is absent
    std::string kernel = {};                 ///< widest instructions used: "avx512", "avx2", "portable"
    std::optional<double> fp32_gflops = {};  ///< 1e9 floating-point operations a second; a fused multiply-add is two
    std::optional<double> fp32_gflops_1t = {};
    std::optional<double> int8_gops = {};  ///< the same of 8-bit dot products; absent where the CPU has none
    std::optional<double> int8_gops_1t = {};
};

struct Cpu {
    std::string model;        ///< the kernel's text, verbatim; "Unknown CPU" when it has none
    std::string arch;         ///< "x86_64", "aarch64"
    std::string vendor = {};  ///< "vendor_id" of the kernel, verbatim; the implementer's name on ARM; empty: unknown
    int sockets = 1;
    int physical_cores = 1;
    int logical_cpus = 1;
    std::vector<std::string> features;  ///< those that inference kernels are chosen by, in a fixed order
    std::optional<double> max_mhz;      ///< highest that cpufreq allows any core; absent in most virtual machines
    std::optional<double> cpuinfo_mhz;  ///< highest "cpu MHz" of /proc/cpuinfo: the clock when it was read
    std::string governor;               ///< empty when the kernel exposes none
    UsableThreads usable;
    std::optional<bool> smt = {};      ///< whether cores run several threads now
    std::vector<CoreKind> kinds = {};  ///< fastest first
    std::string kinds_evidence = {};   ///< what told the kinds apart: "pmu", "midr+capacity"; empty: all cores alike
    std::vector<Cache> caches = {};    ///< by level; empty where the kernel doesn't tell, as in many virtual machines
    std::vector<NumaNode> numa = {};   ///< empty where the kernel doesn't tell
    RecommendedThreads recommended = {};
    std::optional<ComputePeak> peak = {};  ///< only when a probe was asked for
};

/// One memory module, or one channel of soldered memory.
struct MemoryModule {
    std::int64_t size_bytes = 0;
    std::string type = {};                   ///< "DDR5"; empty: unknown
    std::optional<int> configured_mts = {};  ///< million transfers a second that it runs at
    std::optional<int> width_bits = {};      ///< of its data bus
    std::string locator = {};                ///< the board's words: "DIMM_A1"
    std::string bank = {};                   ///< the same of its bank: "P0 CHANNEL A"
};

/// Read bandwidth of memory, as far as a probe could tell.
struct BandwidthProbe {
    bool valid = false;
    std::string reason = {};                  ///< why it isn't valid; empty when it is
    std::optional<double> read_gbps = {};     ///< best thread count; 1e9 bytes a second; absent unless valid
    std::optional<double> read_gbps_1t = {};  ///< one thread; absent unless valid
    int threads = 0;                          ///< the count that read_gbps belongs to
    std::string pages = {};                   ///< "2M" when huge pages stood behind the buffer, else "4K" or mixed
    std::int64_t buffer_bytes = 0;
    int repetitions = 0;                       ///< at that thread count
    int clean_repetitions = 0;                 ///< of these, those in which every thread had its CPU
    std::optional<double> cv_percent = {};     ///< standard deviation of the clean ones, in percent of their mean
    std::optional<double> cpu_share_min = {};  ///< smallest share of a CPU that any thread had in any repetition
    struct Step {
        int threads = 0;
        double gbps = 0;
        int clean_repetitions = 0;
    };
    std::vector<Step> steps = {};  ///< every thread count with clean repetitions
};

/// Sizes in bytes. `total_bytes` is 0 when the kernel didn't tell; then nothing else here is known either.
struct Memory {
    std::int64_t total_bytes = 0;             ///< of the machine
    std::int64_t used_bytes = 0;              ///< of the machine: total less what the kernel calls available
    std::int64_t available_bytes = 0;         ///< to this process: what is available, and fits below every cgroup limit
    std::optional<std::int64_t> limit_bytes;  ///< smallest cgroup limit above this process; absent when none binds
    std::int64_t swap_total_bytes = 0;
    std::int64_t swap_free_bytes = 0;
    std::optional<std::int64_t> swap_limit_bytes = {};  ///< smallest cgroup limit of swap below the total; absent: none
    std::int64_t page_bytes = 0;
    std::string thp = {};              ///< transparent huge pages: always, madvise or never; empty: the kernel has none
    std::int64_t huge_page_bytes = 0;  ///< size of a reserved huge page; 0: unknown
    std::int64_t huge_pages_total = 0;
    std::int64_t huge_pages_free = 0;
    std::vector<MemoryModule> modules = {};  ///< empty where no source can be read
    std::optional<int> channels = {};        ///< inferred from the modules' locators
    std::optional<double> theoretical_gbps = {};
    std::optional<BandwidthProbe> bandwidth = {};  ///< only when a probe was asked for
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
    std::string known_by;                    ///< that library: nvml, level_zero ...; empty: files show it
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
    std::string memory_source;       ///< "sysfs", "kfd", or the library as in known_by; empty when nobody tells
    std::string memory_used_source;  ///< who told the use, where it isn't who told the size; else empty
    std::string arch;                ///< AMD's target, "gfx1151"; empty when unknown
    std::string compute_capability;  ///< NVIDIA's, "8.9"; empty when unknown
    std::string cuda_version;        ///< newest CUDA that the driver runs, "12.4"; empty when unknown
    PcieLink pcie;
    std::optional<double> power_limit_w;
    std::optional<int> core_mhz;  ///< when asked
    std::optional<int> max_core_mhz;
    std::optional<int> memory_mhz;  ///< when asked
    std::optional<int> max_memory_mhz;
    std::optional<int> memory_bus_bits;
    std::string memory_type;                 ///< "GDDR6"; empty when unknown
    std::optional<double> theoretical_gbps;  ///< of its memory; 1e9 bytes a second
    std::string bandwidth_basis;             ///< how that was worked out, or who stated it; empty without a figure
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

/// What the process runs in. Types are empty where nothing speaks for one.
struct Surroundings {
    std::string virtualization = {};  ///< kvm, vmware, microsoft, xen, wsl ..., "vm" for one without a name
    std::vector<std::string> virtualization_evidence = {};
    std::string container = {};  ///< docker, podman, kubernetes, lxc ...
    std::vector<std::string> container_evidence = {};
    bool wsl = false;
    std::string cgroup = {};  ///< v1, v2 or hybrid; empty: none mounted
};

/// Where a fact came from: a key of the hardware document, and the file or call.
struct FactSource {
    std::string field;
    std::string from;
};

/// A device as an engine lists it: "CUDA0", or "CPU".
struct EngineDevice {
    std::string name;
    std::string description;  ///< "NVIDIA GeForce RTX 4090"
    std::int64_t total_bytes = 0;
    std::int64_t free_bytes = 0;
};

/// A model that a running server holds.
struct EngineModel {
    std::string name;
    std::int64_t total_bytes = 0;
    std::int64_t gpu_bytes = 0;  ///< of them, on GPUs
};

/// What an engine on this machine finds and would do by itself.
struct EngineView {
    std::string engine;                    ///< "llama-server", "Ollama"
    std::string version;                   ///< empty: it didn't tell
    std::string program;                   ///< file that was asked; empty: only a running server was
    std::optional<int> threads;            ///< that it takes unless told otherwise
    std::vector<std::string> features;     ///< of the CPU, that it was built for and found, in ggml's words
    std::vector<EngineDevice> devices;     ///< the CPU included, where the engine lists it
    bool devices_known = false;            ///< it told which devices it has, even if that is none
    bool server_running = false;           ///< a server answered
    std::vector<EngineModel> models = {};  ///< that the running server holds
};

/// The machine, and what this process may use of it.
struct Hardware {
    Cpu cpu;
    Memory memory;
    std::vector<Gpu> gpus;  ///< the one to run on first: discrete before integrated, then by PCI address
    std::vector<std::string> skipped_displays;  ///< adapters that can't compute: which, where and why, for people
    Os os;
    Surroundings surroundings = {};
    std::vector<FactSource> sources = {};  ///< in the document's order
    std::vector<HardwareWarning> warnings;
    std::optional<EngineView> engine_view = {};  ///< only when an engine was asked
};

}  // namespace velollm
