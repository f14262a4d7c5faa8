#include "hardware/library_gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "hardware/gpu.h"
#include "hardware/loaded_library.h"
#include "hardware/nvml_abi.h"

namespace velollm::hardware {
namespace {

constexpr std::int64_t kMaxMemoryBytes = std::int64_t{1} << 44U;  // 16 TiB
constexpr std::int64_t kMaxMhz = 100'000;

/// The values below one pointer of the document. What lies outside its bounds is left out and remembered.
class Values {
public:
    Values(const wire::JsonReader& json, std::string prefix, std::vector<std::string>& refused)
        : json_(json), prefix_(std::move(prefix)), refused_(refused) {}

    std::string at(std::string_view key) const { return fmt::format("{}/{}", prefix_, key); }
    std::optional<std::int64_t> raw(std::string_view key) const { return json_.integer(at(key)); }
    bool has(std::string_view key) const { return json_.has(at(key)); }

    std::optional<std::int64_t> number(std::string_view key, std::string_view what, std::int64_t low,
                                       std::int64_t high) {
        const auto value = raw(key);
        if (value && *value >= low && *value <= high) return value;
        if (has(key)) refuse(what);
        return std::nullopt;
    }
    std::optional<int> small(std::string_view key, std::string_view what, int low, int high) {
        const auto value = number(key, what, low, high);
        return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
    }
    std::optional<bool> flag(std::string_view key, std::string_view what) {
        const auto value = number(key, what, 0, 1);
        return value ? std::optional(*value == 1) : std::nullopt;
    }
    std::string text(std::string_view key) const {
        return base::one_line(std::string(json_.text(at(key)).value_or("")), 96);
    }
    void refuse(std::string_view what) {
        if (std::find(refused_.begin(), refused_.end(), what) == refused_.end()) refused_.emplace_back(what);
    }

private:
    const wire::JsonReader& json_;
    std::string prefix_;
    std::vector<std::string>& refused_;
};

struct MemoryPair {
    std::optional<std::int64_t> total;
    std::optional<std::int64_t> used;
};

/// Used is what isn't free: the reserved part can't be had either.
MemoryPair read_pair(Values& values, const LibraryWords& words) {
    if (values.raw("total") == 0) return {};  // an integrated part
    MemoryPair memory{.total = values.number("total", "memory", 1, kMaxMemoryBytes), .used = {}};
    if (!memory.total) return memory;
    if (values.has("used")) {
        memory.used = values.number("used", "used memory", 0, *memory.total);
        return memory;
    }
    const auto free_bytes = values.number("free", "free memory", 0, *memory.total);
    if (free_bytes && !(words.all_free_is_unknown && *free_bytes == *memory.total))
        memory.used = *memory.total - *free_bytes;
    return memory;
}

void read_link(Values& values, PcieLink& link) {
    constexpr int kNewestGeneration = 8;
    constexpr int kMostLanes = 32;
    link.generation = values.small("pcie_generation", "PCIe link", 1, kNewestGeneration);
    link.lanes = values.small("pcie_lanes", "PCIe link", 1, kMostLanes);
    link.max_generation = values.small("pcie_max_generation", "PCIe link", 1, kNewestGeneration);
    link.max_lanes = values.small("pcie_max_lanes", "PCIe link", 1, kMostLanes);
}

std::string read_address(Values& values) {
    const auto domain = values.number("domain", "PCI address", 0, 0xffff'ffff);
    const auto bus = values.number("bus", "PCI address", 0, 0xff);
    const auto device = values.number("device", "PCI address", 0, 0x1f);
    const auto function = values.has("function") ? values.number("function", "PCI address", 0, 7) : 0;
    return domain && bus && device && function
               ? fmt::format("{:04x}:{:02x}:{:02x}.{}", *domain, *bus, *device, *function)
               : std::string();
}

/// "NVIDIA A100-SXM4-40GB MIG 1g.5gb" ends in the slice's profile.
std::string profile_of(const std::string& name) {
    constexpr std::string_view kMark = " MIG ";
    const std::size_t at = name.rfind(kMark);
    return at == std::string::npos ? std::string() : name.substr(at + kMark.size());
}

void read_clocks(Values& values, Gpu& gpu) {
    gpu.core_mhz = values.small("core_mhz", "clock", 0, kMaxMhz);
    gpu.memory_mhz = values.small("memory_mhz", "clock", 0, kMaxMhz);
    gpu.max_core_mhz = values.small("max_core_mhz", "clock", 1, kMaxMhz);
    gpu.max_memory_mhz = values.small("max_memory_mhz", "clock", 1, kMaxMhz);
}

void read_bandwidth(Values& values, const LibraryWords& words, Gpu& gpu) {
    constexpr std::int64_t kMostMegabytes = 1'000'000'000;  // a second: 1000 TB/s
    gpu.memory_type = values.text("memory_type");
    gpu.memory_bus_bits = values.small("memory_bus_bits", "memory bus", 1, 1 << 16);
    const auto stated = values.number("bandwidth_mbps", "memory bandwidth", 1, kMostMegabytes);
    if (!stated) return;
    gpu.theoretical_gbps = static_cast<double>(*stated) / 1000;
    gpu.bandwidth_basis = fmt::format("stated by {}", words.title);
}

}  // namespace

LibraryGpu read_library_gpu(const wire::JsonReader& json, const std::string& pointer, const LibraryWords& words) {
    LibraryGpu out;
    Gpu& gpu = out.gpu;
    Values values(json, pointer, out.refused);
    gpu.vendor = words.vendor;
    if (gpu.vendor.empty()) gpu.vendor = vendor_name(static_cast<std::uint32_t>(values.raw("vendor_id").value_or(0)));
    gpu.name = values.text("name");
    gpu.pci_address = read_address(values);
    const MemoryPair memory = read_pair(values, words);
    gpu.vram_bytes = memory.total;
    gpu.vram_used_bytes = memory.used;
    out.memory_not_supported = values.raw("memory_code") == nvml::kNotSupported || values.raw("total") == 0;
    out.integrated = values.flag("integrated", "kind");
    out.software = values.flag("software", "kind").value_or(false);
    const auto major = values.number("capability_major", "compute capability", 1, 99);
    const auto minor = values.number("capability_minor", "compute capability", 0, 99);
    if (major && minor) gpu.compute_capability = fmt::format("{}.{}", *major, *minor);
    gpu.arch = values.text("arch");
    read_link(values, gpu.pcie);
    const auto limit = values.number("power_limit_mw", "power limit", 1, 100'000'000);
    if (limit) gpu.power_limit_w = static_cast<double>(*limit) / 1000;
    read_clocks(values, gpu);
    read_bandwidth(values, words, gpu);
    gpu.ecc = values.flag("ecc", "ECC mode");
    gpu.mig = values.flag("mig", "MIG mode");
    const std::size_t slices = std::min<std::size_t>(json.size(values.at("slices")).value_or(0), kMaxGpuParts);
    for (std::size_t index = 0; index < slices && gpu.mig == true; ++index) {
        Values slice(json, fmt::format("{}/slices/{}", pointer, index), out.refused);
        const MemoryPair part = read_pair(slice, words);
        gpu.partitions.push_back({profile_of(slice.text("name")), part.total, part.used});
    }
    return out;
}

}  // namespace velollm::hardware
