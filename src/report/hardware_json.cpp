#include "report/hardware_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "report/gpu_json.h"

namespace velollm::report {
namespace {

constexpr std::int64_t kMib = std::int64_t{1} << 20U;
constexpr std::int64_t kGib = std::int64_t{1} << 30U;

std::optional<std::int64_t> mib(const std::optional<std::int64_t>& bytes) {
    if (!bytes) return std::nullopt;
    return *bytes / kMib;
}

std::optional<std::string> text_or_null(const std::string& text) {
    if (text.empty()) return std::nullopt;
    return text;
}

void write_cpu(base::JsonWriter& json, const Cpu& cpu) {
    const auto mhz = cpu.max_mhz ? cpu.max_mhz : cpu.cpuinfo_mhz;
    json.begin_object();
    json.field("model", cpu.model);
    json.field("cores", cpu.physical_cores);
    json.field("threads", cpu.logical_cpus);
    json.field("frequency_mhz", mhz ? std::optional(std::round(*mhz)) : std::nullopt);
    json.field("arch", cpu.arch);
    json.field("sockets", cpu.sockets);
    json.key("features").begin_array();
    for (const std::string& feature : cpu.features) json.value(feature);
    json.end_array();
    json.field("governor", text_or_null(cpu.governor));
    json.key("usable").begin_object();
    json.field("threads", cpu.usable.count);
    json.field("limited_by", cpu.usable.reason);
    json.field("affinity", cpu.usable.affinity_cpus);
    json.field("quota", cpu.usable.quota_cpus);
    json.end_object();
    json.end_object();
}

void write_memory(base::JsonWriter& json, const Memory& memory) {
    json.begin_object();
    json.field("total_mb", memory.total_bytes / kMib);
    json.field("available_mb", memory.available_bytes / kMib);
    json.field("used_mb", memory.used_bytes / kMib);
    json.field("limit_mb", mib(memory.limit_bytes));
    json.field("swap_total_mb", memory.swap_total_bytes / kMib);
    json.field("swap_free_mb", memory.swap_free_bytes / kMib);
    json.end_object();
}

std::string gib_text(std::int64_t bytes) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(kGib));
}

std::string count_text(int count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string cpu_text(const Cpu& cpu) {
    std::string text = cpu.model;
    if (!cpu.arch.empty()) text += fmt::format(", {}", cpu.arch);
    if (cpu.max_mhz) text += fmt::format(", up to {:.0f} MHz", *cpu.max_mhz);
    if (!cpu.governor.empty()) text += fmt::format(", governor {}", cpu.governor);
    return text;
}

std::string cores_text(const Cpu& cpu) {
    const std::string text =
        fmt::format("{}, {}", count_text(cpu.physical_cores, "core"), count_text(cpu.logical_cpus, "thread"));
    return cpu.sockets == 1 ? text : fmt::format("{}, {}", text, count_text(cpu.sockets, "socket"));
}

std::string memory_text(const Memory& memory) {
    if (memory.total_bytes == 0) return "unknown: /proc/meminfo could not be read";
    std::string text = fmt::format("{}, {} available", gib_text(memory.total_bytes), gib_text(memory.available_bytes));
    if (memory.limit_bytes) text += fmt::format(", cgroup limit {}", gib_text(*memory.limit_bytes));
    if (memory.swap_total_bytes > 0) text += fmt::format(", swap {}", gib_text(memory.swap_total_bytes));
    return text;
}

/// Memory that firmware and kernel took away doesn't make another machine: up to the next size that is sold, 2^k or
/// 3 * 2^(k-1) GiB. Nothing when the size is unknown.
std::optional<std::int64_t> memory_tier_gib(std::int64_t bytes) {
    if (bytes <= 0) return std::nullopt;
    std::int64_t tier = 1;
    while (tier < (std::int64_t{1} << 32U) && tier * kGib < bytes) {
        const bool power_of_two = (tier & (tier - 1)) == 0;
        tier += tier == 1 ? 1 : power_of_two ? tier / 2 : tier / 3;
    }
    return tier;
}

}  // namespace

void write_hardware(base::JsonWriter& json, const Hardware& hardware) {
    json.begin_object();
    json.key("gpu");
    if (hardware.gpus.empty()) {
        json.null();
    } else {
        write_original_gpu(json, hardware.gpus.front());
    }
    write_cpu(json.key("cpu"), hardware.cpu);
    write_memory(json.key("memory"), hardware.memory);
    json.field("os", hardware.os.family);
    json.field("platform", fmt::format("{}-{}", hardware.os.family, hardware.cpu.arch));
    json.field("schema_version", 1);
    json.key("gpus").begin_array();
    int index = 0;
    for (const Gpu& gpu : hardware.gpus) write_gpu(json, gpu, index++);
    json.end_array();
    json.key("environment").begin_object();
    json.field("kernel", text_or_null(hardware.os.kernel));
    json.field("distro", text_or_null(hardware.os.name));
    json.end_object();
    write_warnings(json.key("warnings"), hardware.warnings);
    json.end_object();
}

std::string hardware_json(const Hardware& hardware, int indent) {
    base::JsonWriter json(indent);
    write_hardware(json, hardware);
    return json.text();
}

std::string hardware_text(const Hardware& hardware) {
    std::string text;
    const auto line = [&](std::string_view label, std::string_view value) {
        text += fmt::format("{:<16}{}\n", label, value);
    };
    line("CPU", cpu_text(hardware.cpu));
    line("Cores", cores_text(hardware.cpu));
    line("Usable threads", fmt::format("{} ({})", hardware.cpu.usable.count, hardware.cpu.usable.reason));
    line("Memory", memory_text(hardware.memory));
    if (hardware.gpus.empty()) line("GPU", "none found");
    for (const Gpu& gpu : hardware.gpus) {
        line("GPU", gpu_text(gpu));
        if (!gpu.backends.empty()) line("", backends_text(gpu));
    }
    for (const std::string& skipped : hardware.skipped_displays) line("Not a GPU", skipped);
    line("OS", fmt::format("{}, kernel {}", hardware.os.name.empty() ? hardware.os.family : hardware.os.name,
                           hardware.os.kernel.empty() ? "unknown" : hardware.os.kernel));
    for (const HardwareWarning& warning : hardware.warnings) {
        line("Warning", warning.message);
        if (!warning.hint.empty()) line("", warning.hint);
    }
    return text;
}

std::string hardware_key_text(const Hardware& hardware) {
    using Kind = std::pair<std::string, std::int64_t>;  // name and VRAM in GiB, -1 when unknown
    std::map<Kind, int> counts;
    bool unified = false;
    for (const Gpu& gpu : hardware.gpus) {
        ++counts[{gpu.name, gpu.vram_bytes ? (*gpu.vram_bytes + kGib / 2) / kGib : -1}];
        unified = unified || gpu.integrated;
    }
    base::JsonWriter json;
    json.begin_object();
    json.field("arch", hardware.cpu.arch);
    json.key("cpu").begin_object();
    json.field("cores", hardware.cpu.physical_cores).field("model", hardware.cpu.model);
    json.end_object();
    json.key("gpus").begin_array();
    for (const auto& [gpu, count] : counts) {
        json.begin_object();
        json.field("count", count).field("name", gpu.first);
        json.field("vram_gib", gpu.second < 0 ? std::nullopt : std::optional(gpu.second));
        json.end_object();
    }
    json.end_array();
    json.field("os", hardware.os.family);
    json.field("ram_gib", memory_tier_gib(hardware.memory.total_bytes));
    json.field("unified", unified);
    json.end_object();
    return json.text();
}

}  // namespace velollm::report
