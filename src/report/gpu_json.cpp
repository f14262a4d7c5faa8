#include "report/gpu_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "report/facts.h"

namespace velollm::report {
namespace {

/// "discrete" only where dedicated memory was seen: a name proves nothing.
std::optional<std::string> kind(const Gpu& gpu) {
    if (gpu.integrated) return "integrated";
    if (gpu.vram_bytes.value_or(0) > 0 || !gpu.partitions.empty()) return "discrete";
    return std::nullopt;
}

std::optional<std::string> memory_model(GpuMemoryKind kind) {
    switch (kind) {
        case GpuMemoryKind::kDedicated: return "dedicated";
        case GpuMemoryKind::kUnified: return "unified";
        case GpuMemoryKind::kCarveout: return "unified_carveout";
        case GpuMemoryKind::kUnknown: break;
    }
    return std::nullopt;
}

void write_memory(base::JsonWriter& json, const Gpu& gpu) {
    json.begin_object();
    json.field("dedicated_total_mb", mib(gpu.vram_bytes));
    json.field("dedicated_used_mb", mib(gpu.vram_used_bytes));
    json.field("model", memory_model(gpu.memory_kind));
    json.field("shared_total_mb", mib(gpu.shared_bytes));
    json.field("shared_used_mb", mib(gpu.shared_used_bytes));
    json.field("usable_mb", mib(gpu.usable_bytes));
    json.field("usable_rule", text_or_null(gpu.usable_rule));
    json.field("source", text_or_null(gpu.memory_source));
    json.field("used_source",
               text_or_null(gpu.memory_used_source.empty() && gpu.vram_used_bytes ? gpu.memory_source
                                                                                  : gpu.memory_used_source));
    json.end_object();
}

void write_clocks(base::JsonWriter& json, const Gpu& gpu) {
    json.begin_object();
    json.field("core_mhz", gpu.core_mhz).field("max_core_mhz", gpu.max_core_mhz);
    json.field("memory_mhz", gpu.memory_mhz).field("max_memory_mhz", gpu.max_memory_mhz);
    json.end_object();
}

void write_link(base::JsonWriter& json, const PcieLink& link) {
    json.begin_object();
    json.field("generation", link.generation).field("lanes", link.lanes);
    json.field("max_generation", link.max_generation).field("max_lanes", link.max_lanes);
    json.end_object();
}

void write_slices(base::JsonWriter& json, const std::vector<GpuPartition>& slices) {
    json.begin_array();
    for (const GpuPartition& slice : slices) {
        json.begin_object();
        json.field("type", "mig").field("profile", text_or_null(slice.profile));
        json.field("memory_total_mb", mib(slice.memory_bytes));
        json.field("memory_used_mb", mib(slice.memory_used_bytes));
        json.end_object();
    }
    json.end_array();
}

void write_backends(base::JsonWriter& json, const std::vector<GpuBackend>& backends) {
    json.begin_array();
    for (const GpuBackend& backend : backends) {
        json.begin_object();
        json.field("name", backend.name).field("usable", backend.usable).field("reason", backend.reason);
        json.end_object();
    }
    json.end_array();
}

std::string memory_text(const Gpu& gpu) {
    std::string text = gpu.vram_bytes                               ? gib_text(*gpu.vram_bytes)
                       : gpu.memory_kind == GpuMemoryKind::kUnified ? "shares the machine's memory"
                                                                    : "memory unknown";
    if (const auto free_bytes = free_vram_bytes(gpu)) text += fmt::format(" ({} free)", gib_text(*free_bytes));
    if (gpu.memory_kind == GpuMemoryKind::kCarveout && gpu.shared_bytes)
        text += fmt::format(" set aside and {} shared", gib_text(*gpu.shared_bytes));
    const bool obvious = gpu.usable_bytes == free_vram_bytes(gpu) || gpu.usable_bytes == gpu.vram_bytes;
    if (gpu.usable_bytes && !obvious) text += fmt::format(", {} usable", gib_text(*gpu.usable_bytes));
    return text;
}

std::string link_text(const PcieLink& link) {
    if (!link.max_generation || !link.max_lanes) return {};
    return fmt::format(", PCIe {}.0 x{}", *link.max_generation, *link.max_lanes);
}

std::string_view title(std::string_view backend) {
    if (backend == "cuda") return "CUDA";
    if (backend == "rocm") return "ROCm";
    if (backend == "vulkan") return "Vulkan";
    if (backend == "sycl") return "SYCL";
    if (backend == "metal") return "Metal";
    return backend;
}

}  // namespace

std::optional<std::int64_t> free_vram_bytes(const Gpu& gpu) {
    if (!gpu.vram_bytes || !gpu.vram_used_bytes) return std::nullopt;
    return std::max<std::int64_t>(0, *gpu.vram_bytes - *gpu.vram_used_bytes);
}

void write_original_gpu(base::JsonWriter& json, const Gpu& gpu) {
    json.begin_object();
    json.field("name", gpu.name);
    json.field("vendor", gpu.vendor);
    json.field("vram_total_mb", mib(gpu.vram_bytes).value_or(0));
    json.field("vram_free_mb", mib(free_vram_bytes(gpu)).value_or(0));
    json.field("driver_version", text_or_null(gpu.driver_version));
    json.field("compute_capability", text_or_null(gpu.compute_capability));
    json.end_object();
}

void write_gpu(base::JsonWriter& json, const Gpu& gpu, int index) {
    json.begin_object();
    json.field("index", index);
    json.field("id", gpu.pci_address.empty() ? fmt::format("{}:{}", gpu.known_by, index) : "pci:" + gpu.pci_address);
    json.field("name", gpu.name);
    json.field("vendor", gpu.vendor);
    json.field("kind", kind(gpu));
    json.key("driver").begin_object();
    json.field("name", text_or_null(gpu.driver));
    json.field("version", text_or_null(gpu.driver_version));
    json.field("cuda", text_or_null(gpu.cuda_version));
    json.end_object();
    write_memory(json.key("memory"), gpu);
    json.field("arch", text_or_null(gpu.arch));
    json.field("compute_capability", text_or_null(gpu.compute_capability));
    write_link(json.key("pcie"), gpu.pcie);
    write_clocks(json.key("clocks"), gpu);
    json.field("memory_bus_bits", gpu.memory_bus_bits).field("memory_type", text_or_null(gpu.memory_type));
    json.key("bandwidth").begin_object();
    json.key("theoretical_gbps");
    if (gpu.theoretical_gbps) {
        json.value(*gpu.theoretical_gbps, 1);
    } else {
        json.null();
    }
    json.field("basis", text_or_null(gpu.bandwidth_basis)).end_object();
    json.field("power_limit_w", gpu.power_limit_w);
    json.field("ecc", gpu.ecc);
    json.field("mig", gpu.mig);
    write_slices(json.key("partitions"), gpu.partitions);
    write_backends(json.key("backends"), gpu.backends);
    json.end_object();
}

void write_warnings(base::JsonWriter& json, const std::vector<HardwareWarning>& warnings) {
    json.begin_array();
    for (const HardwareWarning& warning : warnings) {
        json.begin_object();
        json.field("code", warning.code).field("field", text_or_null(warning.field));
        json.field("message", warning.message).field("hint", text_or_null(warning.hint));
        json.end_object();
    }
    json.end_array();
}

std::string gpu_text(const Gpu& gpu) {
    std::string text = gpu.name;
    if (gpu.integrated) text += ", integrated";
    text += ", " + memory_text(gpu) + link_text(gpu.pcie);
    if (gpu.driver.empty()) return text + (gpu.known_by.empty() ? ", no driver" : ", driver unknown");
    return fmt::format("{}, driver {} {}", text, gpu.driver,
                       gpu.driver_version.empty() ? "of unknown version" : gpu.driver_version);
}

std::string backends_text(const Gpu& gpu) {
    std::string text;
    for (const GpuBackend& backend : gpu.backends) {
        if (!text.empty()) text += ", ";
        text += title(backend.name);
        text += !backend.usable ? " unknown" : *backend.usable ? " yes" : " no";
        if (backend.usable != true) text += fmt::format(" ({})", backend.reason);
    }
    return text;
}

}  // namespace velollm::report
