#include "report/hardware_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "report/engine_json.h"
#include "report/facts.h"
#include "report/gpu_json.h"
#include "report/machine_json.h"

namespace velollm::report {
namespace {

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

void write_hardware(base::JsonWriter& json, const Hardware& hardware, const hardware::Timings& timings) {
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
    write_environment(json.key("environment"), hardware);
    if (hardware.engine_view) write_engine_view(json.key("engine_view"), *hardware.engine_view);
    write_warnings(json.key("warnings"), hardware.warnings);
    write_sources(json.key("sources"), hardware);
    if (!timings.empty()) {
        json.key("timings").begin_object();
        for (const hardware::Timing& timing : timings) json.field(timing.part + "_ms", to_ms(timing.time), 3);
        json.end_object();
    }
    json.end_object();
}

std::string hardware_json(const Hardware& hardware, int indent, const hardware::Timings& timings) {
    base::JsonWriter json(indent);
    write_hardware(json, hardware, timings);
    return json.text();
}

std::string hardware_text(const Hardware& hardware, const hardware::Timings& timings) {
    std::string text = cpu_lines(hardware.cpu) + memory_lines(hardware.memory);
    const auto line = [&](std::string_view label, std::string_view value) { text += labelled(label, value); };
    if (hardware.gpus.empty()) line("GPU", "none found");
    for (const Gpu& gpu : hardware.gpus) {
        line("GPU", gpu_text(gpu));
        if (!gpu.backends.empty()) line("", backends_text(gpu));
    }
    for (const std::string& skipped : hardware.skipped_displays) line("Not a GPU", skipped);
    line("OS", fmt::format("{}, kernel {}", hardware.os.name.empty() ? hardware.os.family : hardware.os.name,
                           hardware.os.kernel.empty() ? "unknown" : hardware.os.kernel));
    text += environment_lines(hardware);
    if (hardware.engine_view) text += engine_lines(*hardware.engine_view);
    std::string times;
    for (const hardware::Timing& timing : timings)
        times += fmt::format("{}{} {:.2f} ms", times.empty() ? "" : ", ", timing.part, to_ms(timing.time));
    if (!times.empty()) line("Time taken", times);
    for (const HardwareWarning& warning : hardware.warnings) {
        line("Warning", warning.message);
        if (!warning.hint.empty()) line("", warning.hint);
    }
    text += "\n" + conclusion(hardware) + "\n";
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
