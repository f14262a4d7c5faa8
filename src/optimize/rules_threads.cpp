#include <fmt/core.h>

#include <algorithm>

#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr const char* kNewOllama = "0.30.0";

/// What one thread too many costs, by what binds the threads. Quotas: measured 2.7 to 40 here, 45 reported.
Effect decode_gain(const std::string& limit, int too_many) {
    if (limit == "quota") return {"decode", 2.0, 45.0};
    if (limit == "numa") return {"decode", 1.0, 30.0};
    if (limit == "performance_cores") return {"decode", 1.0, 1.5};
    return {"decode", 1.1, too_many > 1 ? 4.0 : 2.0};
}

int performance_cores(const Cpu& cpu) {
    if (cpu.kinds.size() < 2) return cpu.physical_cores;
    return cpu.kinds.front().cores;
}

/// What the engine takes when nobody says a number, and why.
struct Automatic {
    int threads = 1;
    std::string why;
};
Automatic automatic_threads(const Facts& facts) {
    const Cpu& cpu = facts.hardware.cpu;
    const bool hybrid = cpu.kinds.size() > 1 && cpu.arch == "x86_64";
    const bool old_ollama = facts.engine == "ollama" && version_less(facts.version, kNewOllama);
    Automatic automatic{hybrid || old_ollama ? performance_cores(cpu) : cpu.physical_cores,
                        hybrid ? "one for each performance core" : "one for each physical core"};
    // discover/cpu_linux.go of Ollama 0.24 reads cpu.max of cgroup v2, in whole CPUs, and looks at nothing else.
    if (old_ollama && facts.threads.quota_cpus && facts.hardware.surroundings.cgroup == "v2") {
        automatic.threads = std::min(automatic.threads, std::max(static_cast<int>(*facts.threads.quota_cpus), 1));
        automatic.why = "by the cgroup's quota";
    }
    return automatic;
}

struct Budget {
    int threads = 1;
    std::string limit;
    std::string reason;
};
Budget budget_of(const Facts& facts) {
    Budget budget{facts.threads.count, facts.threads.limit, facts.threads.reason};
    const auto nodes = std::count_if(facts.hardware.cpu.numa.begin(), facts.hardware.cpu.numa.end(),
                                     [](const NumaNode& node) { return !node.cpus.empty(); });
    if (nodes < 2) return budget;
    const int of_node = std::max(facts.hardware.cpu.physical_cores / static_cast<int>(nodes), 1);
    if (of_node >= budget.threads) return budget;
    return {of_node, "numa", fmt::format("{} cores of one of {} NUMA nodes", of_node, nodes)};
}

std::vector<std::string> channels_of(const Facts& facts) {
    if (facts.engine == "embedded") return {"environment"};
    if (facts.engine != "ollama") return {"flag", "request"};
    // A Modelfile's value wins over the variable, so it is the one to change.
    if (facts.observed.modelfile.contains("num_thread")) return {"modelfile"};
    return {"environment", "modelfile"};
}

}  // namespace

int threads_in_force(const Facts& facts) {
    if (is_chosen(facts.settings, "threads")) return static_cast<int>(number_of(facts.settings, "threads").value_or(0));
    return facts.engine == "embedded" ? facts.threads.count : automatic_threads(facts).threads;
}

int threads_budget(const Facts& facts) {
    return budget_of(facts).threads;
}

void rule_threads(Draft& draft) {
    const Facts& facts = draft.facts;
    const bool chosen = is_chosen(draft.settings, "threads");
    // By itself the embedded engine takes what may run.
    if (facts.engine == "embedded" && !chosen) return;
    if (facts.threads.count < 1 || !processor_computes(facts, draft.settings)) return;
    const Automatic automatic = automatic_threads(facts);
    const int current = threads_in_force(facts);
    const Budget budget = budget_of(facts);
    if (current == budget.threads || current < 1) return;
    Finding finding{.rule = "R1",
                    .title = {},
                    .evidence = {},
                    .changes = {},
                    .advice = {},
                    .effects = {},
                    .confidence = Confidence::kHigh,
                    .lossless = true,
                    .trial = false,
                    .verify = {},
                    .undo = {}};
    const bool too_many = current > budget.threads;
    finding.title = fmt::format("{} {} {} thread{}, {} can run", too_many ? "Too many threads:" : "Too few threads:",
                                facts.engine == "ollama"     ? "Ollama takes"
                                : facts.engine == "embedded" ? "the embedded engine takes"
                                                             : "the server takes",
                                current, current == 1 ? "" : "s", budget.threads);
    finding.evidence = {chosen ? fmt::format("threads {} ({})", current, draft.settings.at("threads").from)
                               : fmt::format("by itself the engine takes {}: {}", automatic.threads, automatic.why),
                        fmt::format("usable: {} ({})", budget.threads, budget.reason)};
    if (too_many) {
        finding.evidence.emplace_back("threads wait for one another at every step: one that is held up holds up all");
        finding.effects = {decode_gain(budget.limit, current - budget.threads)};
        if (budget.limit == "quota") finding.effects.push_back({"prefill", 1.5, 4.0});
    } else {
        const double more = static_cast<double>(budget.threads) / static_cast<double>(current);
        finding.effects = {{"decode", 1.0, more}, {"prefill", 1.0, more}};
        finding.confidence = Confidence::kMedium;
    }
    if (!chosen && facts.observed.version.empty()) finding.confidence = Confidence::kMedium;
    const auto pin = draft.plan.pinned.find("threads");
    if (facts.engine == "ollama" && pin != draft.plan.pinned.end() &&
        !facts.observed.modelfile.contains("num_thread")) {
        // Neither a variable nor a Modelfile wins over a request.
        finding.advice =
            fmt::format("Take it out of the client, or let it ask for {}: {}.", budget.threads, pin->second);
        return add(draft, std::move(finding));
    }
    const auto change = change_of(draft, "threads", std::to_string(budget.threads), channels_of(facts));
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

}  // namespace velollm::optimize
