#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "optimize/observe.h"
#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr const char* kNewOllama = "0.30.0";

/// Architectures for which Ollama 0.24 switches flash attention on by itself (fs/ggml/ggml.go). Older releases had
/// fewer of them.
constexpr std::array kAttentionByItself = {
    "bert",  "gemma3",   "gemma4",   "glm4moelite", "glmocr",         "gptoss",  "gpt-oss",
    "lfm2",  "lfm2moe",  "mistral3", "nemotron_h",  "nemotron_h_moe", "olmo3",   "nemotron_h_omni",
    "qwen3", "qwen3moe", "qwen35",   "qwen35moe",   "qwen3next",      "qwen3vl", "qwen3vlmoe"};

const Gpu* first_gpu(const Facts& facts) {
    return facts.hardware.gpus.empty() ? nullptr : &facts.hardware.gpus.front();
}

bool old_ollama(const Facts& facts) {
    return facts.engine == "ollama" && version_less(facts.version, kNewOllama);
}

/// Why the engine may leave the GPU alone, as far as files tell.
std::string why_unused(const Facts& facts, const Gpu& gpu) {
    if (gpu.driver.empty()) return fmt::format("{} has no driver", gpu.name);
    if (facts.engine == "ollama" && gpu.integrated && !old_ollama(facts))
        return fmt::format("{} is integrated: from 0.30 on Ollama leaves such GPUs out, but for CUDA and gfx1151",
                           gpu.name);
    std::string reasons;
    for (const GpuBackend& backend : gpu.backends)
        if (backend.usable == false)
            reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", backend.name, backend.reason);
    if (!reasons.empty()) return reasons;
    return fmt::format("nothing here says why {} isn't used: ask the engine by 'velollm detect --engine {}'", gpu.name,
                       facts.engine == "ollama" ? "ollama" : "llamacpp");
}

struct DeadName {
    std::string name;
    std::string value;
    std::string where;
    bool in_server;
    NameVerdict verdict;
};
std::vector<DeadName> dead_names(const Draft& draft) {
    const Facts& facts = draft.facts;
    std::vector<DeadName> found;
    if (facts.engine == "embedded") return found;
    const auto look = [&](const system::Environment& env, const std::string& where, bool server) {
        for (const auto& [name, value] : env) {
            if (!server && sent_by_us(name)) continue;
            const bool known = std::any_of(found.begin(), found.end(),
                                           [&, name = name](const DeadName& one) { return one.name == name; });
            NameVerdict verdict = judge_name(facts.engine, facts.version, "environment", name);
            if (sent_by_us(name) && in_force(draft.settings, verdict.setting, value)) continue;
            if (known || verdict.use == NameUse::kRead || verdict.use == NameUse::kUnknown) continue;
            found.push_back({name, value, where, server, std::move(verdict)});
        }
    };
    const auto& server = facts.observed.server;
    if (server && server->env_known)
        look(server->env, fmt::format("the server's environment (process {})", server->pid), true);
    look(facts.shell, "this shell's environment", false);
    return found;
}

}  // namespace

void rule_attention(Draft& draft) {
    const Facts& facts = draft.facts;
    const Gpu* gpu = first_gpu(facts);
    if (!old_ollama(facts) || gpu == nullptr || gpu->integrated || !facts.shape) return;
    if (version_less(facts.version, "0.1.39") || is_chosen(draft.settings, "flash_attention")) return;
    const bool by_itself = std::find(kAttentionByItself.begin(), kAttentionByItself.end(), facts.shape->architecture) !=
                           kAttentionByItself.end();
    if (by_itself) return;
    const bool old_cuda = gpu->vendor == "Nvidia" && base::parse_double(gpu->compute_capability).value_or(7.0) < 7.0;
    if (old_cuda) return;
    Finding finding;
    finding.rule = "R7";
    finding.title = fmt::format("Flash attention is off for models of the kind {}", facts.shape->architecture);
    finding.evidence = {
        fmt::format("Ollama {} switches it on by itself for a list of architectures only", facts.version),
        fmt::format("{} can do it", gpu->name)};
    finding.effects = {{"prefill", 1.0, 1.3}, {"memory", 0.7, 1.0}};
    const auto change = change_of(draft, "flash_attention", "1", {"environment"});
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

void rule_gpu_unused(Draft& draft) {
    const Facts& facts = draft.facts;
    const Gpu* gpu = first_gpu(facts);
    const ObservedModel* loaded = facts.observed.find_model(facts.model);
    if (gpu == nullptr || facts.engine != "ollama") return;
    const bool told = number_of(draft.settings, "gpu_layers") == 0;
    const bool idle = loaded != nullptr && loaded->gpu_bytes == 0 && loaded->total_bytes > 0;
    if (!told && !idle) return;
    Finding finding;
    finding.rule = "R8";
    finding.title = "There is a GPU, and the model doesn't use it";
    finding.effects = {{"decode", 1.0, gpu->integrated ? 2.0 : 10.0}};
    finding.confidence = Confidence::kMedium;
    std::optional<Change> change;
    if (told) {
        finding.evidence = {fmt::format("num_gpu 0 ({})", draft.settings.at("gpu_layers").from)};
        change = change_of(draft, "gpu_layers", "-1", {"modelfile"});
    } else {
        finding.evidence = {fmt::format("/api/ps: 0 of {} on a GPU", size_words(loaded->total_bytes)),
                            why_unused(facts, *gpu)};
        if (gpu->integrated && !old_ollama(facts)) change = change_of(draft, "igpu", "1", {"environment"});
        finding.trial = true;
        finding.confidence = Confidence::kLow;
        finding.advice = change ? "Try it and measure: an integrated GPU may be slower than the processor."
                                : "Mend what stands above; settings don't help.";
    }
    if (change) finding.changes = {*change};
    add(draft, std::move(finding));
}

void rule_reloads(Draft& draft) {
    const std::vector<std::int64_t> contexts =
        loaded_contexts(draft.facts.observed.log, draft.facts.observed.model_file);
    constexpr std::size_t kFew = 3;
    const std::set<std::int64_t> distinct(contexts.begin(), contexts.end());
    std::size_t switches = 0;
    for (std::size_t i = 1; i < contexts.size(); ++i) switches += contexts[i] != contexts[i - 1] ? 1U : 0U;
    if (distinct.size() < 2 || switches < kFew) return;
    std::string list;
    for (const std::int64_t one : distinct) list += fmt::format("{}{}", list.empty() ? "" : ", ", one);
    Finding finding;
    finding.rule = "R9";
    finding.title = "Clients ask for different contexts: each change loads the model again";
    finding.evidence = {fmt::format("the log has {} loads with contexts of {}", contexts.size(), list)};
    finding.advice = "Set the same num_ctx in all clients, or give each a model tag of its own.";
    finding.effects = {{"ttft", 0.01, 1.0}};
    finding.confidence = Confidence::kHigh;
    add(draft, std::move(finding));
}

void rule_keep_alive(Draft& draft) {
    const Facts& facts = draft.facts;
    if (facts.engine != "ollama" || !is_chosen(draft.settings, "keep_alive")) return;
    const std::string& value = draft.settings.at("keep_alive").value;
    const auto seconds = duration_seconds(value);
    constexpr double kUsual = 300;
    if (!seconds || *seconds < 0 || *seconds >= kUsual) return;
    Finding finding;
    finding.rule = "R10";
    finding.title = fmt::format("Models leave memory {} after the last request", value);
    finding.evidence = {
        fmt::format("keep-alive {} ({}); Ollama's own is 5m", value, draft.settings.at("keep_alive").from),
        "the first request after that waits for loading; no token gets faster by it"};
    finding.effects = {{"ttft", 0.1, 1.0}};
    const auto change = change_of(draft, "keep_alive", "5m", {"environment"});
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

void rule_dead_names(Draft& draft) {
    for (const DeadName& dead : dead_names(draft)) {
        Finding finding;
        finding.rule = "R11";
        finding.title = fmt::format("{} does nothing", dead.name);
        finding.evidence = {fmt::format("{}={} in {}", dead.name, dead.value, dead.where), dead.verdict.reason};
        if (!dead.verdict.instead.empty()) finding.advice = fmt::format("What works: {}", dead.verdict.instead);
        finding.effects = {};
        finding.confidence = Confidence::kHigh;
        finding.changes = {Change{dead.verdict.setting.empty() ? "none" : dead.verdict.setting, dead.value, "",
                                  "environment", dead.name}};
        add(draft, std::move(finding));
    }
    for (const auto& [name, value] : draft.facts.shell)
        if (sent_by_us(name) && draft.facts.engine == "ollama")
            draft.plan.notes.push_back(fmt::format(
                "{}={} is set in this shell: no Ollama reads it; VeloLLM sends it with its own requests", name, value));
}

bool has_prediction_layers(const model::ModelShape& shape) {
    return std::any_of(shape.tensors.begin(), shape.tensors.end(),
                       [](const gguf::Tensor& tensor) { return tensor.name.find(".nextn.") != std::string::npos; });
}

void rule_speculation(Draft& draft) {
    const Facts& facts = draft.facts;
    if (!facts.shape || !has_prediction_layers(*facts.shape)) return;
    Finding finding;
    finding.rule = "R12";
    finding.title = "The model brings layers that guess several tokens ahead";
    finding.evidence = {"it has tensors named nextn"};
    finding.effects = {{"decode", 0.6, 2.0}};
    finding.confidence = Confidence::kLow;
    finding.trial = true;
    finding.advice = "Only a measurement tells: it depends on what is written.";
    if (const auto change = change_of(draft, "draft_n", "2", {"modelfile"})) finding.changes = {*change};
    add(draft, std::move(finding));
}

}  // namespace velollm::optimize
