#include "hardware/cpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "hardware/files.h"
#include "hardware/limits.h"

namespace velollm::hardware {
namespace {

constexpr std::string_view kCpuFolder = "/sys/devices/system/cpu";
constexpr int kMaxCpu = 65535;  // eight times the kernel's largest configuration: a longer list is garbage

struct Feature {
    std::string_view flag;  // the kernel's word
    std::string_view name;  // ggml's (ggml-org/ggml: src/ggml-cpu/ggml-cpu.cpp)
};
constexpr std::array kFeatures{
    Feature{"pni", "sse3"},
    Feature{"ssse3", "ssse3"},
    Feature{"avx", "avx"},
    Feature{"avx2", "avx2"},
    Feature{"f16c", "f16c"},
    Feature{"fma", "fma"},
    Feature{"bmi2", "bmi2"},
    Feature{"avx_vnni", "avx_vnni"},
    Feature{"avx512f", "avx512f"},
    Feature{"avx512vbmi", "avx512_vbmi"},
    Feature{"avx512_vnni", "avx512_vnni"},
    Feature{"avx512_bf16", "avx512_bf16"},
    Feature{"amx_int8", "amx_int8"},
    Feature{"neon", "neon"},
    Feature{"asimd", "neon"},
    Feature{"vfpv4", "arm_fma"},
    Feature{"asimd", "arm_fma"},  // part of every 64-bit ARM
    Feature{"asimdhp", "fp16_va"},
    Feature{"i8mm", "matmul_int8"},
    Feature{"sve", "sve"},
    Feature{"asimddp", "dotprod"},
    Feature{"sme", "sme"},
    Feature{"vxe", "vxe"},
};

std::optional<int> parse_cpu(std::string_view text) {
    const auto number = base::parse_int(text);
    if (!number || *number < 0 || *number > kMaxCpu) return std::nullopt;
    return static_cast<int>(*number);
}

std::string cpu_file(int cpu, std::string_view name) {
    return fmt::format("{}/cpu{}/{}", kCpuFolder, cpu, name);
}

CpuList ordered(CpuList cpus) {
    std::sort(cpus.begin(), cpus.end());
    cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
    return cpus;
}

bool contains(const CpuList& list, int cpu) {
    return std::binary_search(list.begin(), list.end(), cpu);
}

/// Online CPUs in groups, each as a file of its CPU's topology folder lists it: `name`, or `old_name` before Linux 5.3.
/// One file a group is read: half of the time on a large machine with two threads a core. Empty when sysfs has none.
std::vector<CpuList> read_groups(const system::System& system, const CpuList& online, std::string_view name,
                                 std::string_view old_name) {
    std::vector<CpuList> groups;
    std::set<int> seen;
    for (const int cpu : online) {
        if (seen.contains(cpu)) continue;
        CpuList group = parse_cpu_list(read_text(system, cpu_file(cpu, name)));
        if (group.empty()) group = parse_cpu_list(read_text(system, cpu_file(cpu, old_name)));
        if (group.empty() && groups.empty()) return {};
        if (!contains(group, cpu)) group = {cpu};
        seen.insert(group.begin(), group.end());
        groups.push_back(std::move(group));
    }
    return groups;
}

std::vector<CpuList> cores_of(const CpuInfo& info, const CpuList& online) {
    std::map<std::pair<int, int>, CpuList> by_core;
    std::vector<CpuList> cores;
    std::set<int> grouped;
    for (const CpuInfo::Processor& processor : info.processors) {
        if (processor.core >= 0 && grouped.insert(processor.cpu).second)
            by_core[{processor.socket, processor.core}].push_back(processor.cpu);
    }
    for (auto& [id, cpus] : by_core) cores.push_back(std::move(cpus));
    for (const int cpu : online)
        if (!grouped.contains(cpu)) cores.push_back({cpu});
    return cores;
}

int sockets_of(const CpuInfo& info) {
    std::set<int> sockets;
    for (const CpuInfo::Processor& processor : info.processors)
        if (processor.socket >= 0) sockets.insert(processor.socket);
    return std::max(1, static_cast<int>(sockets.size()));
}

/// One line of /proc/cpuinfo. "processor" comes before the other lines of its processor.
void add_to(CpuInfo& info, std::string_view name, std::string_view value) {
    if (name == "model name" && info.model.empty()) info.model = value;
    if ((name == "flags" || name == "Features" || name == "features") && info.flags.empty()) info.flags = value;
    if (name == "cpu MHz") {
        const double mhz = base::parse_double(value).value_or(0.0);
        if (mhz > info.mhz.value_or(0.0) && std::isfinite(mhz)) info.mhz = mhz;
    }
    const auto id = parse_cpu(value);
    if (name == "processor" && id) info.processors.push_back({.cpu = *id});
    if (info.processors.empty()) return;
    if (name == "physical id") info.processors.back().socket = id.value_or(-1);
    if (name == "core id") info.processors.back().core = id.value_or(-1);
}

std::string read_model(const system::System& system, const CpuInfo& info) {
    if (!info.model.empty()) return info.model;
    for (const std::string_view path : {"/sys/firmware/devicetree/base/model", "/proc/device-tree/model"})
        if (std::string board = read_word(system, path); !board.empty()) return board;
    return "Unknown CPU";
}

/// Highest clock of any core: the cores of one machine differ (hybrid chips, preferred cores).
std::optional<double> read_max_mhz(const system::System& system, const CpuTopology& topology) {
    std::optional<double> highest;
    for (const CpuList& core : topology.cores) {
        const auto khz = base::parse_int(read_word(system, cpu_file(core.front(), "cpufreq/cpuinfo_max_freq")));
        if (!khz || *khz <= 0) break;  // no cpufreq here: don't ask a hundred cores more
        highest = std::max(highest.value_or(0.0), static_cast<double>(*khz) / 1000.0);
    }
    return highest;
}

}  // namespace

CpuList parse_cpu_list(std::string_view text) {
    CpuList cpus;
    for (const std::string_view piece : base::split(base::trim(text), ',')) {
        const std::size_t dash = piece.find('-');
        const auto first = parse_cpu(piece.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_cpu(piece.substr(dash + 1));
        if (!first || !last || *first > *last) return {};
        for (int cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
    }
    return ordered(std::move(cpus));
}

CpuInfo parse_cpuinfo(std::string_view text) {
    CpuInfo info;
    for (const std::string_view line : base::split(text, '\n')) {
        const auto [name, value] = name_and_value(line, ':');
        add_to(info, name, value);
    }
    return info;
}

std::vector<std::string> inference_features(std::string_view flags) {
    const auto words = base::split(flags, ' ');
    const std::set<std::string_view> known(words.begin(), words.end());
    std::vector<std::string> features;
    for (const Feature& feature : kFeatures)
        if (known.contains(feature.flag)) features.emplace_back(feature.name);
    return features;
}

CpuTopology read_topology(const system::System& system, const CpuInfo& info, const CpuList& allowed_cpus) {
    CpuTopology topology;
    topology.online = parse_cpu_list(read_text(system, fmt::format("{}/online", kCpuFolder)));
    if (topology.online.empty()) {
        for (const CpuInfo::Processor& processor : info.processors) topology.online.push_back(processor.cpu);
        topology.online = ordered(std::move(topology.online));
    }
    if (topology.online.empty()) topology.online = allowed_cpus;
    if (topology.online.empty()) topology.online = {0};

    topology.cores = read_groups(system, topology.online, "topology/core_cpus_list", "topology/thread_siblings_list");
    if (topology.cores.empty()) topology.cores = cores_of(info, topology.online);
    const auto packages =
        read_groups(system, topology.online, "topology/package_cpus_list", "topology/core_siblings_list");
    topology.sockets = packages.empty() ? sockets_of(info) : static_cast<int>(packages.size());
    return topology;
}

Cpu read_cpu(const system::System& system, const std::string& arch, const CpuList& allowed_cpus,
             std::optional<double> quota_cpus) {
    const CpuInfo info = parse_cpuinfo(read_text(system, "/proc/cpuinfo"));
    const CpuTopology topology = read_topology(system, info, allowed_cpus);
    CpuList allowed;
    std::set_intersection(allowed_cpus.begin(), allowed_cpus.end(), topology.online.begin(), topology.online.end(),
                          std::back_inserter(allowed));
    if (allowed.empty()) allowed = topology.online;
    const auto allowed_cores = std::count_if(topology.cores.begin(), topology.cores.end(), [&](const CpuList& core) {
        return std::any_of(core.begin(), core.end(), [&](int cpu) { return contains(allowed, cpu); });
    });

    Cpu cpu;
    cpu.model = read_model(system, info);
    cpu.arch = arch;
    cpu.sockets = topology.sockets;
    cpu.physical_cores = static_cast<int>(topology.cores.size());
    cpu.logical_cpus = static_cast<int>(topology.online.size());
    cpu.features = inference_features(info.flags);
    cpu.max_mhz = read_max_mhz(system, topology);
    cpu.cpuinfo_mhz = info.mhz;
    cpu.governor = read_word(system, cpu_file(topology.online.front(), "cpufreq/scaling_governor"));
    cpu.usable = usable_threads({.online_cpus = cpu.logical_cpus,
                                 .physical_cores = cpu.physical_cores,
                                 .allowed_cpus = static_cast<int>(allowed.size()),
                                 .allowed_cores = static_cast<int>(allowed_cores),
                                 .quota_cpus = quota_cpus});
    return cpu;
}

}  // namespace velollm::hardware
