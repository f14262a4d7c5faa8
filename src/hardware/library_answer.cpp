#include "hardware/library_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "hardware/library_gpu.h"
#include "hardware/loaded_library.h"
#include "wire/json_reader.h"

namespace velollm::hardware {
namespace {

HardwareWarning load_warning(const std::string& why, const LibraryWords& words) {
    const bool absent = why.find("No such file") != std::string::npos;
    return gpu_warning(absent ? "library-missing" : "library-unusable",
                       fmt::format("{} can't be loaded: {}", words.title, why),
                       std::string(absent ? words.if_absent : words.if_broken));
}

void read_gpus(const wire::JsonReader& json, const LibraryWords& words, LibraryAnswer& answer) {
    const std::size_t count = std::min<std::size_t>(json.size("/gpus").value_or(0), kMaxLibraryGpus);
    const auto cuda = json.integer("/cuda");
    for (std::size_t index = 0; index < count; ++index) {
        const std::string pointer = fmt::format("/gpus/{}", index);
        if (json.has(pointer + "/handle_code")) {
            ++answer.unreadable;
            continue;
        }
        LibraryGpu gpu = read_library_gpu(json, pointer, words);
        if (gpu.software) {
            answer.software.push_back(gpu.gpu.name);
            continue;
        }
        const bool known = std::any_of(answer.gpus.begin(), answer.gpus.end(), [&](const LibraryGpu& other) {
            return !gpu.gpu.pci_address.empty() && other.gpu.pci_address == gpu.gpu.pci_address;
        });
        if (known) {
            ++answer.unreadable;
            continue;
        }
        gpu.gpu.driver_version = answer.driver_version;
        if (cuda && *cuda >= 1000 && *cuda < 100'000)
            gpu.gpu.cuda_version = fmt::format("{}.{}", *cuda / 1000, *cuda % 1000 / 10);
        answer.gpus.push_back(std::move(gpu));
    }
}

void judge(const LibraryWords& words, LibraryAnswer& answer) {
    const std::size_t asked = answer.gpus.size() + answer.software.size();
    if (answer.count != static_cast<std::int64_t>(asked))
        answer.warnings.push_back(gpu_warning(
            "gpu-unreadable",
            fmt::format("{} counts {} GPUs, and {} of them can be asked.", words.title, answer.count, asked),
            std::string(words.if_odd)));
    for (const LibraryGpu& gpu : answer.gpus)
        if (!gpu.refused.empty())
            answer.warnings.push_back(gpu_warning(
                "values-impossible",
                fmt::format("{} says of {} what can't be true, and it is left out: {}.", words.title,
                            gpu.gpu.pci_address.empty() ? "a GPU" : gpu.gpu.pci_address, fmt::join(gpu.refused, ", ")),
                std::string(words.if_odd)));
}

/// What the library said where nothing stood.
template <typename T>
void fill(std::optional<T>& into, const std::optional<T>& from) {
    if (!into) into = from;
}
void fill(std::string& into, const std::string& from) {
    if (into.empty()) into = from;
}

void compare(const std::string& what, double files, double told, const LibraryWords& words, const Gpu& gpu,
             Hardware& hardware) {
    constexpr double kAlike = 0.1;
    if (std::abs(files - told) <= kAlike * std::max(std::abs(files), std::abs(told))) return;
    hardware.warnings.push_back(
        gpu_warning("sources-disagree",
                    fmt::format("Of the {} of {}, files say {:.6g} and {} says {:.6g}. The files' figure stands.", what,
                                gpu.pci_address, files, words.title, told),
                    std::string(words.if_odd)));
}

void merge_memory(Gpu& gpu, const LibraryGpu& told, const LibraryWords& words, Hardware& hardware) {
    constexpr double kMib = 1 << 20U;
    if (gpu.integrated && !gpu.vram_bytes) return;  // known to share the machine's
    if (gpu.vram_bytes && told.gpu.vram_bytes)
        compare("memory in MiB", static_cast<double>(*gpu.vram_bytes) / kMib,
                static_cast<double>(*told.gpu.vram_bytes) / kMib, words, gpu, hardware);
    if (!gpu.vram_bytes && told.gpu.vram_bytes) {
        gpu.vram_bytes = told.gpu.vram_bytes;
        gpu.memory_source = words.source;
    }
    if (!gpu.vram_bytes || gpu.vram_used_bytes || !told.gpu.vram_used_bytes) return;
    gpu.vram_used_bytes = std::min(*told.gpu.vram_used_bytes, *gpu.vram_bytes);
    if (gpu.memory_source != words.source) gpu.memory_used_source = words.source;
}

bool is_named(const Gpu& gpu, const LibraryWords& words) {
    return !gpu.name.empty() && !gpu.name.starts_with("PCI ") && gpu.name != words.unnamed;
}

void merge_gpu(Gpu& gpu, const LibraryGpu& told, const LibraryWords& words, Hardware& hardware) {
    const Gpu& from = told.gpu;
    if (!from.name.empty() && (!words.fills_gaps_only || !is_named(gpu, words))) gpu.name = from.name;
    if (told.integrated == true && !gpu.vram_bytes) gpu.integrated = true;
    merge_memory(gpu, told, words, hardware);
    if (gpu.power_limit_w && from.power_limit_w)
        compare("power limit in W", *gpu.power_limit_w, *from.power_limit_w, words, gpu, hardware);
    fill(gpu.power_limit_w, from.power_limit_w);
    // Not compared: some libraries mean the link inside the card, and the current one changes with every question.
    fill(gpu.pcie.generation, from.pcie.generation);
    fill(gpu.pcie.lanes, from.pcie.lanes);
    fill(gpu.pcie.max_generation, from.pcie.max_generation);
    fill(gpu.pcie.max_lanes, from.pcie.max_lanes);
    fill(gpu.driver_version, from.driver_version);
    fill(gpu.arch, from.arch);
    fill(gpu.compute_capability, from.compute_capability);
    fill(gpu.cuda_version, from.cuda_version);
    fill(gpu.core_mhz, from.core_mhz);
    fill(gpu.max_core_mhz, from.max_core_mhz);
    fill(gpu.memory_mhz, from.memory_mhz);
    fill(gpu.max_memory_mhz, from.max_memory_mhz);
    fill(gpu.memory_bus_bits, from.memory_bus_bits);
    fill(gpu.memory_type, from.memory_type);
    fill(gpu.theoretical_gbps, from.theoretical_gbps);
    fill(gpu.bandwidth_basis, from.bandwidth_basis);
    fill(gpu.ecc, from.ecc);
    fill(gpu.mig, from.mig);
    if (gpu.partitions.empty()) gpu.partitions = from.partitions;
}

/// The GPU that the library means: by address, or the only one of its vendor where it tells no address.
Gpu* find_gpu(std::vector<Gpu>& gpus, const Gpu& told, const LibraryWords& words) {
    std::vector<Gpu*> same;
    for (Gpu& gpu : gpus) {
        if (!told.pci_address.empty() && gpu.pci_address == told.pci_address) return &gpu;
        if (gpu.vendor == told.vendor && told.vendor != "Unknown") same.push_back(&gpu);
    }
    const bool by_vendor = words.fills_gaps_only && told.pci_address.empty() && same.size() == 1;
    return by_vendor ? same.front() : nullptr;
}

/// Whether a GPU without an address would be one that files show already.
bool may_be_known(const std::vector<Gpu>& gpus, const Gpu& told, const LibraryWords& words) {
    return words.fills_gaps_only && told.pci_address.empty() &&
           std::any_of(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.vendor == told.vendor; });
}

}  // namespace

HardwareWarning gpu_warning(std::string code, std::string message, std::string hint) {
    return {.code = std::move(code), .field = "gpus", .message = std::move(message), .hint = std::move(hint)};
}

std::optional<LibraryAnswer> parse_library_answer(std::string_view json_text, const LibraryWords& words,
                                                  const std::string& kernel_driver) {
    wire::JsonReader json;
    if (!json.parse(json_text)) return std::nullopt;
    LibraryAnswer answer;
    if (const auto why = json.text("/load_error")) {
        answer.warnings.push_back(load_warning(base::one_line(*why), words));
        return answer;
    }
    if (const auto what = json.text("/lacks")) {
        answer.warnings.push_back(gpu_warning("library-unusable",
                                              fmt::format("{} lacks the function {}.", words.title, *what),
                                              std::string(words.if_broken)));
        return answer;
    }
    const auto init = json.integer("/init");
    if (!init) return std::nullopt;
    if (*init != 0) {
        const std::string library = base::one_line(json.text("/library").value_or(""), 40);
        answer.warnings.push_back(words.refusal(*init, library, kernel_driver));
        return answer;
    }
    answer.driver_version = base::one_line(json.text("/driver").value_or(""), 80);
    const auto count = json.integer("/count");
    if (!count) {
        answer.warnings.push_back(gpu_warning("library-unusable",
                                              fmt::format("{} doesn't say how many GPUs there are.", words.title),
                                              std::string(words.if_broken)));
        return answer;
    }
    answer.count = *count;
    read_gpus(json, words, answer);
    judge(words, answer);
    return answer;
}

void merge_library_answer(const LibraryAnswer& answer, const LibraryWords& words, Hardware& hardware) {
    const std::vector<Gpu> before = hardware.gpus;
    for (const LibraryGpu& told : answer.gpus) {
        Gpu* seen = find_gpu(hardware.gpus, told.gpu, words);
        if (seen == nullptr && may_be_known(before, told.gpu, words)) continue;
        if (seen == nullptr) {
            Gpu added;
            added.vendor = told.gpu.vendor;
            added.name = words.unnamed;
            added.pci_address = told.gpu.pci_address;
            added.driver = words.driver;
            added.known_by = words.source;
            seen = &hardware.gpus.emplace_back(std::move(added));
        }
        merge_gpu(*seen, told, words, hardware);
        if (words.shares_memory == nullptr || !words.shares_memory(told, hardware.memory.total_bytes)) continue;
        seen->integrated = true;
        seen->vram_bytes = std::nullopt;
        seen->vram_used_bytes = std::nullopt;
        seen->memory_source.clear();
        seen->memory_used_source.clear();
    }
    for (const std::string& name : answer.software)
        hardware.skipped_displays.push_back(fmt::format("{}: software renderer", name));
    hardware.warnings.insert(hardware.warnings.end(), answer.warnings.begin(), answer.warnings.end());
}

}  // namespace velollm::hardware
