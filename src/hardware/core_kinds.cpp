#include "hardware/core_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace velollm::hardware {
namespace {

using SlowSet = std::vector<bool>;  // for each core

struct NamedPart {
    int implementer;
    int part;
    std::string_view name;
};
constexpr std::array kImplementers{
    NamedPart{0x41, 0, "ARM"},     NamedPart{0x42, 0, "Broadcom"},  NamedPart{0x43, 0, "Cavium"},
    NamedPart{0x46, 0, "Fujitsu"}, NamedPart{0x48, 0, "HiSilicon"}, NamedPart{0x4e, 0, "NVIDIA"},
    NamedPart{0x50, 0, "APM"},     NamedPart{0x51, 0, "Qualcomm"},  NamedPart{0x53, 0, "Samsung"},
    NamedPart{0x61, 0, "Apple"},   NamedPart{0x6d, 0, "Microsoft"}, NamedPart{0xc0, 0, "Ampere"},
};
constexpr std::array kParts{
    NamedPart{0x41, 0xd03, "Cortex-A53"},
    NamedPart{0x41, 0xd04, "Cortex-A35"},
    NamedPart{0x41, 0xd05, "Cortex-A55"},
    NamedPart{0x41, 0xd07, "Cortex-A57"},
    NamedPart{0x41, 0xd08, "Cortex-A72"},
    NamedPart{0x41, 0xd09, "Cortex-A73"},
    NamedPart{0x41, 0xd0a, "Cortex-A75"},
    NamedPart{0x41, 0xd0b, "Cortex-A76"},
    NamedPart{0x41, 0xd0c, "Neoverse-N1"},
    NamedPart{0x41, 0xd0d, "Cortex-A77"},
    NamedPart{0x41, 0xd40, "Neoverse-V1"},
    NamedPart{0x41, 0xd41, "Cortex-A78"},
    NamedPart{0x41, 0xd42, "Cortex-A78AE"},
    NamedPart{0x41, 0xd44, "Cortex-X1"},
    NamedPart{0x41, 0xd46, "Cortex-A510"},
    NamedPart{0x41, 0xd47, "Cortex-A710"},
    NamedPart{0x41, 0xd48, "Cortex-X2"},
    NamedPart{0x41, 0xd49, "Neoverse-N2"},
    NamedPart{0x41, 0xd4b, "Cortex-A78C"},
    NamedPart{0x41, 0xd4c, "Cortex-X1C"},
    NamedPart{0x41, 0xd4d, "Cortex-A715"},
    NamedPart{0x41, 0xd4e, "Cortex-X3"},
    NamedPart{0x41, 0xd4f, "Neoverse-V2"},
    NamedPart{0x41, 0xd80, "Cortex-A520"},
    NamedPart{0x41, 0xd81, "Cortex-A720"},
    NamedPart{0x41, 0xd82, "Cortex-X4"},
    NamedPart{0x41, 0xd84, "Neoverse-V3"},
    NamedPart{0x41, 0xd85, "Cortex-X925"},
    NamedPart{0x41, 0xd87, "Cortex-A725"},
    NamedPart{0x41, 0xd8e, "Neoverse-N3"},
    NamedPart{0x42, 0x516, "ThunderX2"},
    NamedPart{0x43, 0x0a1, "ThunderX"},
    NamedPart{0x43, 0x0af, "ThunderX2"},
    NamedPart{0x46, 0x001, "A64FX"},
    NamedPart{0x48, 0xd01, "TaiShan-v110"},
    NamedPart{0x4e, 0x004, "Carmel"},
    NamedPart{0x51, 0x001, "Oryon"},
    NamedPart{0x61, 0x022, "M1-Icestorm"},
    NamedPart{0x61, 0x023, "M1-Firestorm"},
    NamedPart{0x61, 0x024, "M1-Pro-Icestorm"},
    NamedPart{0x61, 0x025, "M1-Pro-Firestorm"},
    NamedPart{0x61, 0x028, "M1-Max-Icestorm"},
    NamedPart{0x61, 0x029, "M1-Max-Firestorm"},
    NamedPart{0x61, 0x032, "M2-Blizzard"},
    NamedPart{0x61, 0x033, "M2-Avalanche"},
    NamedPart{0xc0, 0xac3, "Ampere-1"},
    NamedPart{0xc0, 0xac4, "Ampere-1a"},
};

template <typename Table>
std::string name_in(const Table& table, int implementer, int part) {
    for (const NamedPart& row : table)
        if (row.implementer == implementer && row.part == part) return std::string(row.name);
    return {};
}

/// Which values are below `share` of the highest; nothing when a value is missing, or none or all are slow.
template <typename T>
std::optional<SlowSet> below_share(const std::vector<std::optional<T>>& values, double share) {
    double highest = 0;
    for (const auto& value : values) {
        if (!value) return std::nullopt;
        highest = std::max(highest, static_cast<double>(*value));
    }
    SlowSet slow;
    for (const auto& value : values) slow.push_back(static_cast<double>(*value) < share * highest);
    if (std::find(slow.begin(), slow.end(), true) == slow.end()) return std::nullopt;
    return slow;
}

std::optional<SlowSet> slow_by_threads(const std::vector<CoreFacts>& cores) {
    SlowSet slow;
    for (const CoreFacts& core : cores) slow.push_back(core.cpus.size() == 1);
    const auto count = std::count(slow.begin(), slow.end(), true);
    if (count == 0 || count == static_cast<std::ptrdiff_t>(slow.size())) return std::nullopt;
    return slow;
}

/// Slow parts: all their cores are in `slow`, and all of it is theirs.
bool parts_agree(const std::vector<CoreFacts>& cores, const SlowSet& slow) {
    std::map<std::string_view, bool> slow_part;
    for (std::size_t i = 0; i < cores.size(); ++i) {
        const auto [at, added] = slow_part.emplace(cores[i].part, slow[i]);
        if (cores[i].part.empty() || (!added && at->second != slow[i])) return false;
    }
    return slow_part.size() > 1;
}

struct Verdict {
    std::vector<std::string_view> kind;  // of each core
    std::string evidence;
};

bool lists(const CpuList& list, const CoreFacts& core) {
    return !core.cpus.empty() && std::binary_search(list.begin(), list.end(), core.cpus.front());
}

std::optional<Verdict> by_pmu(const std::vector<CoreFacts>& cores, const PmuLists& pmu) {
    Verdict verdict;
    std::set<std::string_view> seen;
    for (const CoreFacts& core : cores) {
        const std::string_view kind = lists(pmu.core, core)        ? "performance"
                                      : lists(pmu.low_power, core) ? "low_power"
                                      : lists(pmu.atom, core)      ? "efficiency"
                                                                   : "";
        if (kind.empty()) return std::nullopt;
        seen.insert(kind);
        verdict.kind.push_back(kind);
    }
    if (!seen.contains("performance") || seen.size() < 2) return std::nullopt;
    verdict.evidence = "pmu";
    return verdict;
}

std::optional<Verdict> by_signals(const std::vector<CoreFacts>& cores) {
    std::vector<std::optional<int>> capacities;
    std::vector<std::optional<double>> clocks;
    for (const CoreFacts& core : cores) {
        capacities.push_back(core.capacity);
        clocks.push_back(core.max_mhz);
    }
    std::vector<std::pair<std::string_view, SlowSet>> signals;
    if (auto slow = below_share(capacities, 0.75)) signals.emplace_back("capacity", std::move(*slow));
    if (auto slow = below_share(clocks, 0.85)) signals.emplace_back("clock", std::move(*slow));
    if (auto slow = slow_by_threads(cores)) signals.emplace_back("threads", std::move(*slow));
    for (std::size_t i = 0; i < signals.size(); ++i) {
        if (signals[i].first == "threads") break;  // speeds nothing by itself
        std::string evidence(signals[i].first);
        if (parts_agree(cores, signals[i].second)) evidence = fmt::format("midr+{}", evidence);
        for (std::size_t j = i + 1; j < signals.size(); ++j)
            if (signals[j].second == signals[i].second) evidence += fmt::format("+{}", signals[j].first);
        if (evidence == signals[i].first) continue;  // alone
        Verdict verdict{{}, std::move(evidence)};
        for (const bool slow : signals[i].second) verdict.kind.emplace_back(slow ? "efficiency" : "performance");
        return verdict;
    }
    return std::nullopt;
}

CoreKind gather(std::string_view kind, const std::vector<CoreFacts>& cores, const Verdict& verdict) {
    CoreKind gathered;
    gathered.kind = kind;
    CpuList cpus;
    std::set<std::string_view> parts;
    for (std::size_t i = 0; i < cores.size(); ++i) {
        if (verdict.kind[i] != kind) continue;
        ++gathered.cores;
        cpus.insert(cpus.end(), cores[i].cpus.begin(), cores[i].cpus.end());
        parts.insert(cores[i].part);
        if (cores[i].max_mhz) gathered.max_mhz = std::max(gathered.max_mhz.value_or(0.0), *cores[i].max_mhz);
    }
    std::sort(cpus.begin(), cpus.end());
    gathered.threads = static_cast<int>(cpus.size());
    gathered.cpus = format_cpu_list(cpus);
    if (parts.size() == 1) gathered.name = *parts.begin();
    return gathered;
}

}  // namespace

std::string format_cpu_list(const CpuList& cpus) {
    std::string text;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t last = i;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
        if (!text.empty()) text += ',';
        text += last == i ? fmt::format("{}", cpus[i]) : fmt::format("{}-{}", cpus[i], cpus[last]);
        i = last + 1;
    }
    return text;
}

std::string arm_implementer(int implementer) {
    return name_in(kImplementers, implementer, 0);
}

std::string arm_part(int implementer, int part) {
    return name_in(kParts, implementer, part);
}

CoreKinds core_kinds(const std::vector<CoreFacts>& cores, const PmuLists& pmu) {
    auto verdict = by_pmu(cores, pmu);
    if (!verdict) verdict = by_signals(cores);
    if (!verdict) verdict = Verdict{std::vector<std::string_view>(cores.size(), "performance"), ""};
    CoreKinds kinds;
    kinds.evidence = verdict->evidence;
    for (const std::string_view kind : verdict->kind) kinds.fast.push_back(kind == "performance");
    for (const std::string_view kind : {"performance", "efficiency", "low_power"}) {
        CoreKind gathered = gather(kind, cores, *verdict);
        if (gathered.cores > 0) kinds.kinds.push_back(std::move(gathered));
    }
    return kinds;
}

}  // namespace velollm::hardware
