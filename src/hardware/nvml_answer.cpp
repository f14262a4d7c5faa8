#include "hardware/nvml_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "hardware/nvml_abi.h"
#include "hardware/nvml_ask.h"
#include "wire/json_reader.h"

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
MemoryPair read_pair(Values& values) {
    if (values.raw("total") == 0) return {};  // an integrated part
    MemoryPair memory{.total = values.number("total", "memory", 1, kMaxMemoryBytes), .used = {}};
    if (!memory.total) return memory;
    const auto free_bytes = values.number("free", "free memory", 0, *memory.total);
    if (free_bytes) memory.used = *memory.total - *free_bytes;
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
    return domain && bus && device ? fmt::format("{:04x}:{:02x}:{:02x}.0", *domain, *bus, *device) : std::string();
}

/// "NVIDIA A100-SXM4-40GB MIG 1g.5gb" ends in the slice's profile.
std::string profile_of(const std::string& name) {
    constexpr std::string_view kMark = " MIG ";
    const std::size_t at = name.rfind(kMark);
    return at == std::string::npos ? std::string() : name.substr(at + kMark.size());
}

NvmlGpu read_gpu(const wire::JsonReader& json, const std::string& pointer) {
    NvmlGpu out;
    Gpu& gpu = out.gpu;
    Values values(json, pointer, out.refused);
    gpu.vendor = "Nvidia";
    gpu.name = values.text("name");
    gpu.pci_address = read_address(values);
    const MemoryPair memory = read_pair(values);
    gpu.vram_bytes = memory.total;
    gpu.vram_used_bytes = memory.used;
    out.memory_not_supported = values.raw("memory_code") == nvml::kNotSupported || values.raw("total") == 0;
    const auto major = values.number("capability_major", "compute capability", 1, 99);
    const auto minor = values.number("capability_minor", "compute capability", 0, 99);
    if (major && minor) gpu.compute_capability = fmt::format("{}.{}", *major, *minor);
    read_link(values, gpu.pcie);
    const auto limit = values.number("power_limit_mw", "power limit", 1, 100'000'000);
    if (limit) gpu.power_limit_w = static_cast<double>(*limit) / 1000;
    gpu.core_mhz = values.small("core_mhz", "clock", 0, kMaxMhz);
    gpu.memory_mhz = values.small("memory_mhz", "clock", 0, kMaxMhz);
    gpu.max_core_mhz = values.small("max_core_mhz", "clock", 1, kMaxMhz);
    gpu.max_memory_mhz = values.small("max_memory_mhz", "clock", 1, kMaxMhz);
    gpu.memory_bus_bits = values.small("memory_bus_bits", "memory bus", 1, 1 << 16);
    gpu.ecc = values.flag("ecc", "ECC mode");
    gpu.mig = values.flag("mig", "MIG mode");
    const std::size_t slices = std::min<std::size_t>(json.size(values.at("slices")).value_or(0), kMaxNvmlSlices);
    for (std::size_t index = 0; index < slices && gpu.mig == true; ++index) {
        Values slice(json, fmt::format("{}/slices/{}", pointer, index), out.refused);
        const MemoryPair part = read_pair(slice);
        gpu.partitions.push_back({profile_of(slice.text("name")), part.total, part.used});
    }
    return out;
}

HardwareWarning warning(std::string code, std::string message, std::string hint) {
    return {.code = std::move(code), .field = "gpus", .message = std::move(message), .hint = std::move(hint)};
}

HardwareWarning load_warning(const std::string& why) {
    if (why.find("No such file") != std::string::npos)
        return warning("library-missing", fmt::format("NVIDIA's library can't be loaded: {}", why),
                       "Install the user-space part of the driver; in a container, start it with --gpus all.");
    return warning("library-unusable", fmt::format("NVIDIA's library can't be loaded: {}", why),
                   "Install the driver's own libnvidia-ml.so.1 anew.");
}

HardwareWarning init_warning(std::int64_t code, const std::string& library, const std::string& kernel_driver) {
    switch (code) {
        case nvml::kLibraryMismatch:
            return warning(
                "driver-library-mismatch",
                fmt::format("NVIDIA's library{}{} doesn't fit the loaded kernel driver{}{}.",
                            library.empty() ? "" : " ", library, kernel_driver.empty() ? "" : " ", kernel_driver),
                "Restart the machine: after an update of the driver the old one stays loaded until then.");
        case nvml::kDriverNotLoaded:
            return warning("driver-not-loaded", "NVIDIA's library finds no loaded kernel driver.",
                           "Load it (modprobe nvidia), or see in the kernel's log why it isn't.");
        case nvml::kNoPermission:
            return warning("gpu-unreadable", "NVIDIA's library may not use the GPU's device files.",
                           "Run as a user who may open /dev/nvidia*.");
        default:
            return warning("gpu-unreadable", fmt::format("NVIDIA's library refuses to start, with its code {}.", code),
                           "nvidia-smi may say more.");
    }
}

void read_gpus(const wire::JsonReader& json, NvmlAnswer& answer) {
    const std::size_t count = std::min<std::size_t>(json.size("/gpus").value_or(0), kMaxNvmlGpus);
    const auto cuda = json.integer("/cuda");
    for (std::size_t index = 0; index < count; ++index) {
        const std::string pointer = fmt::format("/gpus/{}", index);
        if (json.has(pointer + "/handle_code")) {
            ++answer.unreadable;
            continue;
        }
        NvmlGpu gpu = read_gpu(json, pointer);
        const bool known = std::any_of(answer.gpus.begin(), answer.gpus.end(), [&](const NvmlGpu& other) {
            return !gpu.gpu.pci_address.empty() && other.gpu.pci_address == gpu.gpu.pci_address;
        });
        if (known) {
            ++answer.unreadable;
            continue;
        }
        gpu.gpu.driver = "nvidia";
        gpu.gpu.driver_version = answer.driver_version;
        if (cuda && *cuda >= 1000 && *cuda < 100'000)
            gpu.gpu.cuda_version = fmt::format("{}.{}", *cuda / 1000, *cuda % 1000 / 10);
        answer.gpus.push_back(std::move(gpu));
    }
}

void judge(NvmlAnswer& answer) {
    if (answer.count != static_cast<std::int64_t>(answer.gpus.size()))
        answer.warnings.push_back(warning("gpu-unreadable",
                                          fmt::format("NVIDIA's library counts {} GPUs, and {} of them can be asked.",
                                                      answer.count, answer.gpus.size()),
                                          "nvidia-smi shows whether one is lost."));
    for (const NvmlGpu& gpu : answer.gpus)
        if (!gpu.refused.empty())
            answer.warnings.push_back(warning(
                "values-impossible",
                fmt::format("NVIDIA's library says of {} what can't be true, and it is left out: {}.",
                            gpu.gpu.pci_address.empty() ? "a GPU" : gpu.gpu.pci_address, fmt::join(gpu.refused, ", ")),
                "Compare with nvidia-smi."));
}

/// NVML shares the memory of these with the processor, and either doesn't support the question or answers with all of
/// the machine's memory. A lost discrete GPU answers like them, so that the name has to decide.
bool shares_memory(const NvmlGpu& gpu, std::int64_t machine_bytes) {
    constexpr std::array<std::string_view, 6> kParts{"GB10", "Orin", "Thor", "Xavier", "Tegra", "DGX Spark"};
    const bool part = std::any_of(kParts.begin(), kParts.end(),
                                  [&](std::string_view name) { return gpu.gpu.name.find(name) != std::string::npos; });
    return part && (gpu.memory_not_supported || gpu.gpu.vram_bytes.value_or(0) >= machine_bytes / 10 * 9);
}

/// What NVML said in place of what the files did; what it didn't say stays.
void overwrite(Gpu& gpu, const Gpu& told) {
    if (!told.name.empty()) gpu.name = told.name;
    if (!told.driver_version.empty()) gpu.driver_version = told.driver_version;
    if (told.vram_bytes) {
        gpu.vram_bytes = told.vram_bytes;
        gpu.vram_used_bytes = told.vram_used_bytes;
        gpu.memory_source = "nvml";
    }
    const auto take = [](auto& into, const auto& from) {
        if (from) into = from;
    };
    take(gpu.pcie.generation, told.pcie.generation);
    take(gpu.pcie.lanes, told.pcie.lanes);
    take(gpu.pcie.max_generation, told.pcie.max_generation);
    take(gpu.pcie.max_lanes, told.pcie.max_lanes);
    take(gpu.power_limit_w, told.power_limit_w);
    take(gpu.core_mhz, told.core_mhz);
    take(gpu.max_core_mhz, told.max_core_mhz);
    take(gpu.memory_mhz, told.memory_mhz);
    take(gpu.max_memory_mhz, told.max_memory_mhz);
    take(gpu.memory_bus_bits, told.memory_bus_bits);
    take(gpu.ecc, told.ecc);
    take(gpu.mig, told.mig);
    gpu.compute_capability = told.compute_capability;
    gpu.cuda_version = told.cuda_version;
    gpu.partitions = told.partitions;
}

}  // namespace

std::optional<NvmlAnswer> parse_nvml_answer(std::string_view json_text, const std::string& kernel_driver) {
    wire::JsonReader json;
    if (!json.parse(json_text)) return std::nullopt;
    NvmlAnswer answer;
    if (const auto why = json.text("/load_error")) {
        answer.warnings.push_back(load_warning(base::one_line(*why)));
        return answer;
    }
    if (const auto what = json.text("/lacks")) {
        answer.warnings.push_back(warning("library-unusable",
                                          fmt::format("NVIDIA's library lacks the function {}.", *what),
                                          "Install the driver's own libnvidia-ml.so.1 anew."));
        return answer;
    }
    const auto init = json.integer("/init");
    if (!init) return std::nullopt;
    if (*init != nvml::kSuccess) {
        const std::string library = base::one_line(json.text("/library").value_or(""), 40);
        answer.warnings.push_back(init_warning(*init, library, kernel_driver));
        return answer;
    }
    answer.driver_version = base::one_line(json.text("/driver").value_or(""), 80);
    const auto count = json.integer("/count");
    if (!count) {
        answer.warnings.push_back(warning("library-unusable", "NVIDIA's library doesn't say how many GPUs there are.",
                                          "Install the driver's own libnvidia-ml.so.1 anew."));
        return answer;
    }
    answer.count = *count;
    read_gpus(json, answer);
    judge(answer);
    return answer;
}

void merge_nvml(const NvmlAnswer& answer, Hardware& hardware) {
    for (const NvmlGpu& told : answer.gpus) {
        auto seen = std::find_if(hardware.gpus.begin(), hardware.gpus.end(), [&](const Gpu& gpu) {
            return !told.gpu.pci_address.empty() && gpu.pci_address == told.gpu.pci_address;
        });
        if (seen == hardware.gpus.end()) {
            Gpu added;
            added.vendor = "Nvidia";
            added.name = "NVIDIA GPU";
            added.pci_address = told.gpu.pci_address;
            added.driver = "nvidia";
            seen = hardware.gpus.insert(hardware.gpus.end(), std::move(added));
        }
        Gpu& gpu = *seen;
        overwrite(gpu, told.gpu);
        if (shares_memory(told, hardware.memory.total_bytes)) {
            gpu.integrated = true;
            gpu.vram_bytes = std::nullopt;
            gpu.vram_used_bytes = std::nullopt;
            gpu.memory_source.clear();
        }
    }
    hardware.warnings.insert(hardware.warnings.end(), answer.warnings.begin(), answer.warnings.end());
}

}  // namespace velollm::hardware
