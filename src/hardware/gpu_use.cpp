#include "hardware/gpu_use.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "hardware/gpu_bandwidth.h"
#include "hardware/gpu_files.h"

namespace velollm::hardware {
namespace {

std::int64_t left(std::int64_t total, const std::optional<std::int64_t>& used) {
    return std::max<std::int64_t>(0, total - used.value_or(0));
}

void set_usable(Gpu& gpu, std::int64_t bytes, std::string rule) {
    gpu.usable_bytes = bytes;
    gpu.usable_rule = std::move(rule);
}

void judge_slices(Gpu& gpu) {
    std::optional<std::int64_t> most;
    for (const GpuPartition& slice : gpu.partitions)
        if (slice.memory_bytes) most = std::max(most.value_or(0), left(*slice.memory_bytes, slice.memory_used_bytes));
    if (most) set_usable(gpu, *most, "mig: free in the largest slice");
}

void judge_integrated(Gpu& gpu, std::int64_t available_bytes) {
    if (!gpu.vram_bytes) {
        gpu.memory_kind = GpuMemoryKind::kUnified;
        if (available_bytes > 0) set_usable(gpu, available_bytes, "unified: available memory of the machine");
        return;
    }
    gpu.memory_kind = GpuMemoryKind::kCarveout;
    const std::int64_t carveout = left(*gpu.vram_bytes, gpu.vram_used_bytes);
    if (!gpu.shared_bytes || *gpu.vram_bytes >= *gpu.shared_bytes) {
        set_usable(gpu, carveout, "carve-out: no smaller than GTT");
        return;
    }
    const std::int64_t lent = left(*gpu.shared_bytes, gpu.shared_used_bytes);
    set_usable(gpu, available_bytes > 0 ? std::min(lent, available_bytes) : lent, "gtt: larger than the carve-out");
}

bool library_there(const system::System& system, std::string_view name) {
    constexpr std::array<std::string_view, 8> kFolders{"/usr/lib/x86_64-linux-gnu",
                                                       "/usr/lib/aarch64-linux-gnu",
                                                       "/usr/lib64",
                                                       "/usr/lib",
                                                       "/usr/lib/wsl/lib",
                                                       "/usr/local/lib",
                                                       "/opt/rocm/lib",
                                                       "/run/opengl-driver/lib"};
    return std::any_of(kFolders.begin(), kFolders.end(),
                       [&](std::string_view folder) { return is_there(system, fmt::format("{}/{}", folder, name)); });
}

/// Files say which driver holds a GPU, or that none does; a library alone says neither.
bool driver_unknown(const Gpu& gpu) {
    return gpu.driver.empty() && !gpu.known_by.empty();
}

std::string driver_text(const Gpu& gpu) {
    if (driver_unknown(gpu)) return "its kernel driver is unknown";
    if (gpu.driver.empty()) return "no kernel driver is bound to it";
    return fmt::format("the kernel driver is {}", gpu.driver);
}

GpuBackend cuda(const system::System& system, const Gpu& gpu) {
    GpuBackend out{.name = "cuda", .usable = false, .reason = {}};
    if (gpu.driver != "nvidia") {
        out.reason = fmt::format("it needs NVIDIA's driver, and {}", driver_text(gpu));
    } else if (!gpu.cuda_version.empty()) {
        out.usable = true;
        out.reason = fmt::format("the driver runs CUDA up to {}", gpu.cuda_version);
    } else if (library_there(system, "libcuda.so.1")) {
        out.usable = true;
        out.reason = "NVIDIA's driver is bound and libcuda.so.1 is installed";
    } else {
        out.usable = std::nullopt;
        out.reason = "NVIDIA's driver is bound; libcuda.so.1 is in none of the usual folders";
    }
    return out;
}

GpuBackend rocm(const system::System& system, const Gpu& gpu) {
    GpuBackend out{.name = "rocm", .usable = false, .reason = {}};
    if (gpu.driver != "amdgpu") {
        out.reason = fmt::format("it needs amdgpu, and {}", driver_text(gpu));
    } else if (gpu.arch.empty()) {
        out.reason = "the kernel's compute driver (KFD) doesn't list it";
    } else if (!is_there(system, "/dev/kfd")) {
        out.reason = fmt::format("{}, but /dev/kfd is missing", gpu.arch);
    } else {
        out.usable = true;
        out.reason = fmt::format("the kernel's compute driver (KFD) has it; the engine must be built for {}", gpu.arch);
    }
    return out;
}

GpuBackend sycl(const system::System& system, const Gpu& gpu) {
    GpuBackend out{.name = "sycl", .usable = false, .reason = {}};
    if (gpu.driver != "i915" && gpu.driver != "xe") {
        out.reason = fmt::format("it needs i915 or xe, and {}", driver_text(gpu));
    } else if (library_there(system, "libze_intel_gpu.so.1")) {
        out.usable = true;
        out.reason = "Intel's compute runtime is installed (libze_intel_gpu.so.1)";
    } else {
        out.usable = std::nullopt;
        out.reason = "Intel's compute runtime (libze_intel_gpu.so.1) is in none of the usual folders";
    }
    return out;
}

/// Start of the names of the Vulkan driver files (ICD manifests) that drive what a kernel driver holds.
std::string_view manifest_of(std::string_view kernel_driver) {
    if (kernel_driver == "nvidia") return "nvidia_icd";
    if (kernel_driver == "nouveau") return "nouveau_icd";
    if (kernel_driver == "amdgpu" || kernel_driver == "radeon") return "radeon_icd";
    if (kernel_driver == "i915" || kernel_driver == "xe") return "intel_icd";
    return {};
}

GpuBackend vulkan(const system::System& system, const Gpu& gpu) {
    GpuBackend out{.name = "vulkan", .usable = false, .reason = {}};
    const std::string_view start = manifest_of(gpu.driver);
    if (start.empty()) {
        out.usable = gpu.driver.empty() && !driver_unknown(gpu) ? std::optional(false) : std::nullopt;
        out.reason = driver_text(gpu);
        return out;
    }
    for (const std::string_view folder : {"/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d"})
        for (const std::string& file : folder_entries(system, folder))
            if (file.starts_with(start)) {
                out.usable = true;
                out.reason = fmt::format("its Vulkan driver is installed ({})", file);
                return out;
            }
    out.usable = std::nullopt;
    out.reason = fmt::format("no {}*.json in the usual folders", start);
    return out;
}

HardwareWarning warning(std::string code, std::string message, std::string hint) {
    return {.code = std::move(code), .field = "gpus", .message = std::move(message), .hint = std::move(hint)};
}

void add_warnings(Hardware& hardware) {
    for (const Gpu& gpu : hardware.gpus) {
        if (gpu.driver.empty() && !driver_unknown(gpu) && !gpu.pci_address.empty())
            hardware.warnings.push_back(warning(
                "gpu-driver-missing",
                fmt::format("No kernel driver holds {} at {}: no engine can use it.", gpu.name, gpu.pci_address),
                "Install its driver, or see in the kernel's log (dmesg) why it doesn't start."));
        if (gpu.mig == true)
            hardware.warnings.push_back(warning(
                "gpu-mig", fmt::format("{} is cut into slices (MIG): {} can be seen.", gpu.name, gpu.partitions.size()),
                "An engine uses one slice at a time; CUDA_VISIBLE_DEVICES chooses it."));
    }
}

}  // namespace

void judge_memory(Gpu& gpu, std::int64_t available_bytes) {
    gpu.usable_bytes = std::nullopt;
    gpu.usable_rule.clear();
    gpu.memory_kind = GpuMemoryKind::kUnknown;
    if (gpu.integrated) return judge_integrated(gpu, available_bytes);
    if (gpu.vram_bytes.value_or(0) > 0 || !gpu.partitions.empty()) gpu.memory_kind = GpuMemoryKind::kDedicated;
    if (gpu.mig == true) return judge_slices(gpu);
    if (gpu.vram_bytes.value_or(0) <= 0) return;
    set_usable(gpu, left(*gpu.vram_bytes, gpu.vram_used_bytes),
               gpu.vram_used_bytes ? "dedicated: free" : "dedicated: all, for its use is unknown");
}

std::vector<GpuBackend> judge_backends(const system::System& system, const Gpu& gpu) {
    std::vector<GpuBackend> out;
    if (gpu.vendor == "Nvidia") out.push_back(cuda(system, gpu));
    if (gpu.vendor == "Amd") out.push_back(rocm(system, gpu));
    if (gpu.vendor == "Intel") out.push_back(sycl(system, gpu));
    if (gpu.vendor == "Apple") out.push_back({.name = "metal", .usable = false, .reason = "only macOS has it"});
    if (driver_unknown(gpu))
        for (GpuBackend& backend : out) backend.usable = std::nullopt;
    out.push_back(vulkan(system, gpu));
    return out;
}

void judge_gpus(const system::System& system, Hardware& hardware) {
    for (Gpu& gpu : hardware.gpus) {
        judge_memory(gpu, hardware.memory.available_bytes);
        judge_bandwidth(gpu);
        gpu.backends = judge_backends(system, gpu);
    }
    std::stable_partition(hardware.gpus.begin(), hardware.gpus.end(), [](const Gpu& gpu) { return !gpu.integrated; });
    add_warnings(hardware);
}

}  // namespace velollm::hardware
