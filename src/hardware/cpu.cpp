#include "hardware/cpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "hardware/caches.h"
#include "hardware/files.h"
#include "hardware/limits.h"

namespace velollm::hardware {
namespace {

constexpr std::string_view kCpuFolder = "/sys/devices/system/cpu";
constexpr int kMaxCpu = 65535;  // eight times the kernel's largest configuration: a longer list is garbage

struct Feature {
    std::string_view flag;  // the kernel's word
    std::string_view name;  // ggml's where it has one (ggml-org/ggml: src/ggml-cpu/ggml-cpu.cpp)
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
    Feature{"avx512bw", "avx512_bw"},
    Feature{"avx512vl", "avx512_vl"},
    Feature{"avx512vbmi", "avx512_vbmi"},
    Feature{"avx512_vnni", "avx512_vnni"},
    Feature{"avx512_bf16", "avx512_bf16"},
    Feature{"avx512_fp16", "avx512_fp16"},
    Feature{"amx_tile", "amx_tile"},
    Feature{"amx_bf16", "amx_bf16"},
    Feature{"amx_int8", "amx_int8"},
    Feature{"neon", "neon"},
    Feature{"asimd", "neon"},
    Feature{"vfpv4", "arm_fma"},
    Feature{"asimd", "arm_fma"},  // part of every 64-bit ARM
    Feature{"asimdhp", "fp16_va"},
    Feature{"i8mm", "matmul_int8"},
    Feature{"bf16", "bf16"},
    Feature{"sve", "sve"},
    Feature{"sve2", "sve2"},
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

/// "0xd0c" as a number, -1 when it is none.
int hex_id(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    return error == std::errc() && end == text.data() + text.size() && number >= 0 ? number : -1;
}

/// One line of /proc/cpuinfo. "processor" comes before the other lines of its processor.
void add_to(CpuInfo& info, std::string_view name, std::string_view value) {
    if (name == "model name" && info.model.empty()) info.model = value;
    if (name == "vendor_id" && info.vendor.empty()) info.vendor = value;
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
    if (name == "CPU implementer") info.processors.back().implementer = hex_id(value);
    if (name == "CPU part") info.processors.back().part = hex_id(value);
}

/// Name of a core's design: "Cortex-A76", else its numbers; empty where /proc/cpuinfo has none.
std::string design(const CpuInfo::Processor& processor) {
    if (processor.implementer < 0 || processor.part < 0) return {};
    std::string name = arm_part(processor.implementer, processor.part);
    return name.empty() ? fmt::format("part 0x{:03x}", processor.part) : name;
}

/// "ARM Neoverse-N1" where all processors are of one design, else the maker and each design once.
std::string arm_model(const CpuInfo& info) {
    std::string model;
    std::set<std::string> known;
    for (const CpuInfo::Processor& processor : info.processors) {
        const std::string name = design(processor);
        if (name.empty() || !known.insert(name).second) continue;
        const std::string maker = arm_implementer(processor.implementer);
        if (model.empty())
            model = maker.empty() ? fmt::format("implementer 0x{:02x} ", processor.implementer) : maker + " ";
        else
            model += " + ";
        model += name;
    }
    return model;
}

struct Named {
    std::string name;
    std::string from;  // empty: nowhere
};

Named read_model(const system::System& system, const CpuInfo& info) {
    if (!info.model.empty()) return {info.model, "/proc/cpuinfo"};
    for (const std::string_view path : {"/sys/firmware/devicetree/base/model", "/proc/device-tree/model"})
        if (std::string board = read_word(system, path); !board.empty()) return {board, std::string(path)};
    if (std::string model = arm_model(info); !model.empty()) return {model, "/proc/cpuinfo: CPU implementer and part"};
    return {"Unknown CPU", ""};
}

/// What sysfs and cpuinfo tell of each core's speed. A signal that the first core lacks is asked of no other.
std::vector<CoreFacts> read_core_facts(const system::System& system, const CpuInfo& info, const CpuTopology& topology) {
    std::map<int, std::string> designs;
    for (const CpuInfo::Processor& processor : info.processors) designs.emplace(processor.cpu, design(processor));
    std::vector<CoreFacts> facts;
    bool has_clock = true;
    bool has_capacity = true;
    for (const CpuList& core : topology.cores) {
        CoreFacts fact{.cpus = core, .part = {}, .capacity = {}, .max_mhz = {}};
        if (const auto found = designs.find(core.front()); found != designs.end()) fact.part = found->second;
        if (has_clock) {
            const auto khz = base::parse_int(read_word(system, cpu_file(core.front(), "cpufreq/cpuinfo_max_freq")));
            has_clock = khz.has_value() || !facts.empty();
            if (khz && *khz > 0) fact.max_mhz = static_cast<double>(*khz) / 1000.0;
        }
        if (has_capacity) {
            const auto capacity = parse_cpu(read_word(system, cpu_file(core.front(), "cpu_capacity")));
            has_capacity = capacity.has_value() || !facts.empty();
            if (capacity.value_or(0) > 0) fact.capacity = capacity;
        }
        facts.push_back(std::move(fact));
    }
    return facts;
}

PmuLists read_pmu_lists(const system::System& system) {
    const auto list = [&](std::string_view name) {
        return parse_cpu_list(read_text(system, fmt::format("/sys/devices/{}/cpus", name)));
    };
    PmuLists lists{.core = list("cpu_core"), .atom = {}, .low_power = {}};
    if (lists.core.empty()) return lists;
    lists.atom = list("cpu_atom");
    lists.low_power = list("cpu_lowpower");
    return lists;
}

/// What runs several threads now: the kernel's word, else whether any core has two.
std::pair<bool, std::string> read_smt(const system::System& system, const CpuTopology& topology) {
    const std::string active = read_word(system, "/sys/devices/system/cpu/smt/active");
    if (active == "0" || active == "1") return {active == "1", "/sys/devices/system/cpu/smt/active"};
    const bool several =
        std::any_of(topology.cores.begin(), topology.cores.end(), [](const CpuList& core) { return core.size() > 1; });
    return {several, "topology"};
}

RecommendedThreads recommend(const UsableThreads& usable) {
    return {.decode = usable.count,
            .prefill = usable.count,
            .reason = fmt::format("{}; further threads of a core share its arithmetic units and its way to memory",
                                  usable.reason)};
}

UsableThreads bound_threads(const Cpu& cpu, const CpuTopology& topology, const CoreKinds& kinds,
                            const CpuBounds& bounds) {
    CpuList allowed;
    std::set_intersection(bounds.allowed.begin(), bounds.allowed.end(), topology.online.begin(), topology.online.end(),
                          std::back_inserter(allowed));
    if (allowed.empty()) allowed = topology.online;
    CpuList in_set;
    std::set_intersection(bounds.cpuset.begin(), bounds.cpuset.end(), topology.online.begin(), topology.online.end(),
                          std::back_inserter(in_set));
    ThreadFacts facts;
    facts.online_cpus = cpu.logical_cpus;
    facts.physical_cores = cpu.physical_cores;
    facts.allowed_cpus = static_cast<int>(allowed.size());
    facts.allowed_cores = 0;
    facts.quota_cpus = bounds.quota_cpus;
    facts.cpuset = in_set == allowed;
    facts.fast_cores = 0;
    facts.allowed_fast_cores = 0;
    for (std::size_t i = 0; i < topology.cores.size(); ++i) {
        const CpuList& core = topology.cores[i];
        const bool may = std::any_of(core.begin(), core.end(), [&](int one) { return contains(allowed, one); });
        facts.allowed_cores += may ? 1 : 0;
        if (!kinds.fast[i]) continue;
        ++facts.fast_cores;
        facts.allowed_fast_cores += may ? 1 : 0;
    }
    return usable_threads(facts);
}

/// The facts that need one core's files or all cores together.
void add_cores(Cpu& cpu, const system::System& system, const CpuInfo& info, const CpuTopology& topology,
               const CpuBounds& bounds) {
    const std::vector<CoreFacts> facts = read_core_facts(system, info, topology);
    CoreKinds kinds = core_kinds(facts, read_pmu_lists(system));
    for (const CoreFacts& fact : facts)
        if (fact.max_mhz) cpu.max_mhz = std::max(cpu.max_mhz.value_or(0.0), *fact.max_mhz);
    cpu.usable = bound_threads(cpu, topology, kinds, bounds);
    cpu.recommended = recommend(cpu.usable);
    cpu.kinds = std::move(kinds.kinds);
    cpu.kinds_evidence = std::move(kinds.evidence);
}

void add_sources(std::vector<FactSource>& sources, const Cpu& cpu, bool sysfs_topology) {
    const auto add = [&](std::string_view field, std::string_view from) {
        sources.push_back({std::string(field), std::string(from)});
    };
    add("cpu.cores", sysfs_topology ? "/sys/devices/system/cpu/cpu*/topology" : "/proc/cpuinfo");
    add("cpu.threads", sysfs_topology ? "/sys/devices/system/cpu/online" : "/proc/cpuinfo");
    if (cpu.max_mhz) add("cpu.frequency_mhz", "/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq");
    if (!cpu.max_mhz && cpu.cpuinfo_mhz) add("cpu.frequency_mhz", "/proc/cpuinfo: the clock when it was read");
    if (!cpu.features.empty()) add("cpu.features", "/proc/cpuinfo");
    if (!cpu.governor.empty()) add("cpu.governor", "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor");
    if (!cpu.caches.empty()) add("cpu.caches", "/sys/devices/system/cpu/cpu*/cache");
    if (!cpu.numa.empty()) add("cpu.numa", "/sys/devices/system/node");
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
    topology.from_sysfs = !topology.cores.empty();
    if (topology.cores.empty()) topology.cores = cores_of(info, topology.online);
    const auto packages =
        read_groups(system, topology.online, "topology/package_cpus_list", "topology/core_siblings_list");
    topology.sockets = packages.empty() ? sockets_of(info) : static_cast<int>(packages.size());
    return topology;
}

Cpu read_cpu(const system::System& system, const std::string& arch, const CpuBounds& bounds,
             std::vector<FactSource>& sources) {
    const CpuInfo info = parse_cpuinfo(read_text(system, "/proc/cpuinfo"));
    const CpuTopology topology = read_topology(system, info, bounds.allowed);
    Named model = read_model(system, info);
    if (!model.from.empty()) sources.push_back({"cpu.model", model.from});

    Cpu cpu;
    cpu.model = std::move(model.name);
    cpu.arch = arch;
    cpu.vendor = info.vendor;
    if (!cpu.vendor.empty()) {
        sources.push_back({"cpu.vendor", "/proc/cpuinfo: vendor_id"});
    } else if (!info.processors.empty()) {
        cpu.vendor = arm_implementer(info.processors.front().implementer);
        if (!cpu.vendor.empty()) sources.push_back({"cpu.vendor", "/proc/cpuinfo: CPU implementer"});
    }
    cpu.sockets = topology.sockets;
    cpu.physical_cores = static_cast<int>(topology.cores.size());
    cpu.logical_cpus = static_cast<int>(topology.online.size());
    cpu.features = inference_features(info.flags);
    cpu.cpuinfo_mhz = info.mhz;
    cpu.governor = read_word(system, cpu_file(topology.online.front(), "cpufreq/scaling_governor"));
    cpu.caches = read_caches(system, topology.cores);
    cpu.numa = read_numa(system);
    add_cores(cpu, system, info, topology, bounds);
    const auto [smt, smt_from] = read_smt(system, topology);
    if (topology.from_sysfs || smt_from != "topology") {
        cpu.smt = smt;
        sources.push_back({"cpu.smt", smt_from});
    }
    add_sources(sources, cpu, topology.from_sysfs);
    return cpu;
}

}  // namespace velollm::hardware
