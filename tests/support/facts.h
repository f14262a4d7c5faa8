#pragma once

#include <string>

#include "model/catalogue.h"
#include "optimize/plan.h"

namespace velollm::optimize {

inline constexpr std::int64_t kTestGiB = std::int64_t{1} << 30U;

/// A quiet machine of eight cores with 64 GiB and a running Ollama 0.32.15 that everything is right with.
inline Facts good_facts(const std::string& model = "llama3.1:8b") {
    Facts facts;
    facts.version = "0.32.15";
    facts.model = model;
    facts.hardware.cpu.model = "Test CPU";
    facts.hardware.cpu.arch = "x86_64";
    facts.hardware.cpu.physical_cores = 8;
    facts.hardware.cpu.logical_cpus = 16;
    facts.hardware.surroundings.cgroup = "v2";
    facts.threads.count = 8;
    facts.threads.reason = "8 physical cores";
    facts.memory_bytes = 64 * kTestGiB;
    if (auto shape = model::named_shape(model)) facts.shape = *shape;
    facts.observed.engine = "ollama";
    facts.observed.version = "0.32.15";
    facts.observed.answering = true;
    facts.observed.url = "http://localhost:11434";
    facts.observed.server = ObservedProcess{100, {"ollama", "serve"}, {}, true};
    facts.settings = {{"num_ctx", {"4096", "default", false}},
                      {"parallel", {"1", "default", false}},
                      {"num_batch", {"512", "default", false}},
                      {"kv_type", {"f16", "default", false}},
                      {"keep_alive", {"5m", "default", false}}};
    return facts;
}

inline Gpu test_gpu(std::int64_t usable_bytes, std::string name = "Test GPU") {
    Gpu gpu{};
    gpu.vendor = "Nvidia";
    gpu.name = std::move(name);
    gpu.driver = "nvidia";
    gpu.compute_capability = "8.9";
    gpu.vram_bytes = usable_bytes;
    gpu.usable_bytes = usable_bytes;
    return gpu;
}

inline void choose(Facts& facts, const std::string& setting, const std::string& value) {
    facts.settings[setting] = {value, "test", true};
}

/// "R1 threads=4 environment LLAMA_ARG_THREADS", one for each change; "R2 advice" where there is none.
inline std::vector<std::string> changes_of(const Plan& plan) {
    std::vector<std::string> out;
    for (const Finding& finding : plan.findings) {
        for (const Change& change : finding.changes)
            out.push_back(finding.rule + (finding.trial ? " try " : " ") + change.setting + "=" + change.value + " " +
                          change.channel + " " + change.knob);
        if (finding.changes.empty()) out.push_back(finding.rule + " advice");
    }
    return out;
}

}  // namespace velollm::optimize
