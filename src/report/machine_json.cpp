#include "report/machine_json.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "report/facts.h"

namespace velollm::report {
namespace {

std::optional<double> rounded(const std::optional<double>& value, double step = 1.0) {
    if (!value) return std::nullopt;
    return std::round(*value / step) * step;
}

void number_or_null(base::JsonWriter& json, std::string_view key, const std::optional<double>& value, int decimals) {
    json.key(key);
    if (value) {
        json.value(*value, decimals);
    } else {
        json.null();
    }
}

void write_usable(base::JsonWriter& json, const UsableThreads& usable) {
    json.key("usable").begin_object();
    json.field("threads", usable.count);
    json.field("limited_by", usable.reason);
    json.field("limit", usable.limit);
    json.field("affinity", usable.affinity_cpus);
    json.field("quota", usable.quota_cpus);
    json.end_object();
}

void write_kinds(base::JsonWriter& json, const Cpu& cpu) {
    json.key("kinds").begin_array();
    for (const CoreKind& kind : cpu.kinds) {
        json.begin_object();
        json.field("kind", kind.kind);
        json.field("name", text_or_null(kind.name));
        json.field("cores", kind.cores);
        json.field("threads", kind.threads);
        json.field("cpus", kind.cpus);
        json.field("max_mhz", rounded(kind.max_mhz));
        json.end_object();
    }
    json.end_array();
    json.field("kinds_evidence", text_or_null(cpu.kinds_evidence));
}

void write_caches(base::JsonWriter& json, const Cpu& cpu) {
    json.key("caches").begin_array();
    for (const Cache& cache : cpu.caches) {
        json.begin_object();
        json.field("level", cache.level);
        json.field("type", cache.type);
        json.field("size_kb", cache.size_bytes / kKib);
        json.field("instances", cache.instances);
        json.field("shared_by", cache.shared_by);
        json.end_object();
    }
    json.end_array();
}

void write_numa(base::JsonWriter& json, const Cpu& cpu) {
    json.field("numa_nodes", cpu.numa.empty() ? std::nullopt : std::optional(static_cast<int>(cpu.numa.size())));
    json.key("numa").begin_array();
    for (const NumaNode& node : cpu.numa) {
        json.begin_object();
        json.field("node", node.node);
        json.field("cpus", node.cpus);
        json.field("memory_mb", node.memory_bytes ? std::optional(*node.memory_bytes / kMib) : std::nullopt);
        json.end_object();
    }
    json.end_array();
}

void write_peak(base::JsonWriter& json, const std::optional<ComputePeak>& peak) {
    json.key("peak");
    if (!peak) {
        json.null();
        return;
    }
    json.begin_object();
    json.field("valid", peak->valid);
    json.field("reason", text_or_null(peak->reason));
    json.field("kernel", text_or_null(peak->kernel));
    json.field("threads", peak->threads);
    json.field("fp32_gflops", rounded(peak->fp32_gflops));
    json.field("fp32_gflops_1t", rounded(peak->fp32_gflops_1t));
    json.field("int8_gops", rounded(peak->int8_gops));
    json.field("int8_gops_1t", rounded(peak->int8_gops_1t));
    json.end_object();
}

void write_modules(base::JsonWriter& json, const Memory& memory) {
    json.key("modules").begin_array();
    for (const MemoryModule& module : memory.modules) {
        json.begin_object();
        json.field("size_mb", module.size_bytes / kMib);
        json.field("type", text_or_null(module.type));
        json.field("configured_mts", module.configured_mts);
        json.field("width_bits", module.width_bits);
        json.field("locator", text_or_null(module.locator));
        json.field("bank", text_or_null(module.bank));
        json.end_object();
    }
    json.end_array();
}

void write_measured(base::JsonWriter& json, const BandwidthProbe& probe) {
    json.begin_object();
    json.field("valid", probe.valid);
    json.field("reason", text_or_null(probe.reason));
    number_or_null(json, "read_gbps", probe.read_gbps, 1);
    number_or_null(json, "read_1t_gbps", probe.read_gbps_1t, 1);
    json.field("threads", probe.threads);
    json.field("pages", text_or_null(probe.pages));
    json.field("buffer_mb", probe.buffer_bytes / kMib);
    json.field("repetitions", probe.repetitions);
    json.field("clean_repetitions", probe.clean_repetitions);
    number_or_null(json, "cv_percent", probe.cv_percent, 1);
    number_or_null(json, "cpu_share_min", probe.cpu_share_min, 3);
    json.key("by_threads").begin_array();
    for (const BandwidthProbe::Step& step : probe.steps) {
        json.begin_object();
        json.field("threads", step.threads);
        json.field("read_gbps", step.gbps, 2);
        json.field("clean_repetitions", step.clean_repetitions);
        json.end_object();
    }
    json.end_array();
    json.end_object();
}

void write_bandwidth(base::JsonWriter& json, const Memory& memory) {
    json.key("bandwidth").begin_object();
    number_or_null(json, "theoretical_gbps", memory.theoretical_gbps, 1);
    json.field("channels_inferred", memory.channels);
    json.key("measured");
    if (memory.bandwidth) {
        write_measured(json, *memory.bandwidth);
    } else {
        json.null();
    }
    json.end_object();
}

void write_found(base::JsonWriter& json, std::string_view key, const std::string& type,
                 const std::vector<std::string>& evidence) {
    json.key(key).begin_object();
    json.field("type", text_or_null(type));
    json.key("evidence").begin_array();
    for (const std::string& piece : evidence) json.value(piece);
    json.end_array();
    json.end_object();
}

std::string size_text(std::int64_t bytes) {
    return bytes % kMib == 0 ? fmt::format("{} MiB", bytes / kMib) : fmt::format("{} KiB", bytes / kKib);
}

std::string cpu_text(const Cpu& cpu) {
    std::string text = cpu.model;
    if (!cpu.arch.empty()) text += fmt::format(", {}", cpu.arch);
    if (cpu.max_mhz) text += fmt::format(", up to {:.0f} MHz", *cpu.max_mhz);
    if (!cpu.governor.empty()) text += fmt::format(", governor {}", cpu.governor);
    return text;
}

std::string cores_text(const Cpu& cpu) {
    std::string text =
        fmt::format("{}, {}", count_text(cpu.physical_cores, "core"), count_text(cpu.logical_cpus, "thread"));
    if (cpu.sockets > 1) text += fmt::format(", {}", count_text(cpu.sockets, "socket"));
    if (cpu.numa.size() > 1) text += fmt::format(", {} NUMA nodes", cpu.numa.size());
    return text;
}

std::string kinds_text(const Cpu& cpu) {
    std::string text;
    for (const CoreKind& kind : cpu.kinds) {
        if (!text.empty()) text += "; ";
        text += fmt::format("{} {} (CPUs {})", kind.cores, kind.kind, kind.cpus);
        if (!kind.name.empty()) text += fmt::format(" {}", kind.name);
    }
    return text;
}

std::string caches_text(const Cpu& cpu) {
    std::string text;
    for (const Cache& cache : cpu.caches) {
        if (cache.type == "instruction") continue;
        if (!text.empty()) text += ", ";
        text += fmt::format("L{}{} {} x {}", cache.level, cache.type == "data" ? "d" : "", cache.instances,
                            size_text(cache.size_bytes));
    }
    return text;
}

std::string memory_text(const Memory& memory) {
    if (memory.total_bytes == 0) return "unknown: /proc/meminfo could not be read";
    std::string text = fmt::format("{}, {} available", gib_text(memory.total_bytes), gib_text(memory.available_bytes));
    if (memory.limit_bytes) text += fmt::format(", cgroup limit {}", gib_text(*memory.limit_bytes));
    if (memory.swap_total_bytes > 0) text += fmt::format(", swap {}", gib_text(memory.swap_total_bytes));
    return text;
}

std::string modules_text(const Memory& memory) {
    std::map<std::string, int> counts;
    for (const MemoryModule& module : memory.modules) {
        std::string kind = gib_text(module.size_bytes);
        if (!module.type.empty()) kind += " " + module.type;
        if (module.configured_mts) kind += fmt::format(" at {} MT/s", *module.configured_mts);
        ++counts[kind];
    }
    std::string text;
    for (const auto& [kind, count] : counts) text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, kind);
    if (memory.theoretical_gbps) text += fmt::format("; at most {:.0f} GB/s", *memory.theoretical_gbps);
    return text;
}

std::string bandwidth_text(const BandwidthProbe& probe) {
    if (!probe.valid) return fmt::format("not measured: {}", probe.reason);
    std::string text = fmt::format("{:.1f} GB/s read with {}", *probe.read_gbps, count_text(probe.threads, "thread"));
    if (probe.read_gbps_1t && probe.threads > 1) text += fmt::format(", {:.1f} with 1", *probe.read_gbps_1t);
    return fmt::format("{} (pages of {}, {} clean repetitions)", text, probe.pages, probe.clean_repetitions);
}

std::string peak_text(const ComputePeak& peak) {
    if (!peak.valid || !peak.fp32_gflops) return fmt::format("not measured: {}", peak.reason);
    std::string text = fmt::format("{:.0f} GFLOP/s in 32-bit floats", *peak.fp32_gflops);
    if (peak.int8_gops) text += fmt::format(", {:.0f} Gop/s in 8-bit integers", *peak.int8_gops);
    return fmt::format("{} with {} ({})", text, count_text(peak.threads, "thread"), peak.kernel);
}

std::string whose(const Hardware& hardware) {
    return hardware.surroundings.container.empty() ? "the control group's" : "the container's";
}

std::string threads_reason(const Hardware& hardware) {
    const UsableThreads& usable = hardware.cpu.usable;
    if (usable.limit == "quota") return fmt::format("{} CPU quota ({:.2f} CPUs)", whose(hardware), *usable.quota_cpus);
    if (usable.limit == "cpuset") return fmt::format("{} CPU set", whose(hardware));
    if (usable.limit == "affinity") return "the affinity that this process was started with";
    if (usable.limit == "performance_cores") return "one for each performance core";
    return "one for each core";
}

}  // namespace

void write_cpu(base::JsonWriter& json, const Cpu& cpu) {
    json.begin_object();
    json.field("model", cpu.model);
    json.field("cores", cpu.physical_cores);
    json.field("threads", cpu.logical_cpus);
    json.field("frequency_mhz", rounded(cpu.max_mhz ? cpu.max_mhz : cpu.cpuinfo_mhz));
    json.field("vendor", text_or_null(cpu.vendor));
    json.field("arch", cpu.arch);
    json.field("sockets", cpu.sockets);
    json.field("smt", cpu.smt);
    json.key("features").begin_array();
    for (const std::string& feature : cpu.features) json.value(feature);
    json.end_array();
    json.field("governor", text_or_null(cpu.governor));
    write_usable(json, cpu.usable);
    write_kinds(json, cpu);
    write_caches(json, cpu);
    write_numa(json, cpu);
    json.key("recommended_threads").begin_object();
    json.field("decode", cpu.recommended.decode);
    json.field("prefill", cpu.recommended.prefill);
    json.field("reason", text_or_null(cpu.recommended.reason));
    json.end_object();
    write_peak(json, cpu.peak);
    json.end_object();
}

void write_memory(base::JsonWriter& json, const Memory& memory) {
    const auto positive = [](std::int64_t value) { return value > 0 ? std::optional(value) : std::nullopt; };
    json.begin_object();
    json.field("total_mb", memory.total_bytes / kMib);
    json.field("available_mb", memory.available_bytes / kMib);
    json.field("used_mb", memory.used_bytes / kMib);
    json.field("limit_mb", mib(memory.limit_bytes));
    json.field("swap_total_mb", memory.swap_total_bytes / kMib);
    json.field("swap_free_mb", memory.swap_free_bytes / kMib);
    json.field("swap_limit_mb", mib(memory.swap_limit_bytes));
    json.field("page_size_kb", positive(memory.page_bytes / kKib));
    json.field("thp", text_or_null(memory.thp));
    json.key("huge_pages").begin_object();
    json.field("size_kb", positive(memory.huge_page_bytes / kKib));
    json.field("total", memory.huge_pages_total);
    json.field("free", memory.huge_pages_free);
    json.end_object();
    write_modules(json, memory);
    write_bandwidth(json, memory);
    json.end_object();
}

void write_environment(base::JsonWriter& json, const Hardware& hardware) {
    const Surroundings& around = hardware.surroundings;
    json.begin_object();
    json.field("kernel", text_or_null(hardware.os.kernel));
    json.field("distro", text_or_null(hardware.os.name));
    write_found(json, "virtualization", around.virtualization, around.virtualization_evidence);
    write_found(json, "container", around.container, around.container_evidence);
    json.field("wsl", around.wsl);
    json.field("cgroup", text_or_null(around.cgroup));
    json.end_object();
}

void write_sources(base::JsonWriter& json, const Hardware& hardware) {
    json.begin_object();
    for (const FactSource& source : hardware.sources) json.field(source.field, source.from);
    json.end_object();
}

std::string labelled(std::string_view label, std::string_view value) {
    return fmt::format("{:<16}{}\n", label, value);
}

std::string cpu_lines(const Cpu& cpu) {
    std::string text = labelled("CPU", cpu_text(cpu)) + labelled("Cores", cores_text(cpu));
    if (cpu.kinds.size() > 1) text += labelled("Kinds of cores", kinds_text(cpu));
    if (!cpu.caches.empty()) text += labelled("Caches", caches_text(cpu));
    text += labelled("Usable threads", fmt::format("{} ({})", cpu.usable.count, cpu.usable.reason));
    if (cpu.peak) text += labelled("Peak", peak_text(*cpu.peak));
    return text;
}

std::string memory_lines(const Memory& memory) {
    std::string text = labelled("Memory", memory_text(memory));
    if (!memory.modules.empty()) text += labelled("Modules", modules_text(memory));
    if (memory.bandwidth) text += labelled("Bandwidth", bandwidth_text(*memory.bandwidth));
    return text;
}

std::string environment_lines(const Hardware& hardware) {
    const Surroundings& around = hardware.surroundings;
    std::string text;
    if (!around.virtualization.empty())
        text += labelled("Virtual machine",
                         fmt::format("{} ({})", around.virtualization == "vm" ? "yes" : around.virtualization,
                                     fmt::join(around.virtualization_evidence, "; ")));
    if (!around.container.empty())
        text +=
            labelled("Container", fmt::format("{} ({})", around.container, fmt::join(around.container_evidence, "; ")));
    return text;
}

std::string conclusion(const Hardware& hardware) {
    const UsableThreads& usable = hardware.cpu.usable;
    std::string text = usable.count == usable.online_cpus && usable.limit != "quota"
                           ? fmt::format("You may use {}.", usable.online_cpus == 1
                                                                ? "the one thread that there is"
                                                                : fmt::format("all {} threads", usable.online_cpus))
                           : fmt::format("You may use {} of {}: {}.", usable.count,
                                         count_text(usable.online_cpus, "thread"), threads_reason(hardware));
    if (hardware.memory.limit_bytes)
        text += fmt::format(" A model may take {} of {} memory: {} limit.", gib_text(hardware.memory.available_bytes),
                            gib_text(hardware.memory.total_bytes), whose(hardware));
    return text;
}

}  // namespace velollm::report
