#include "optimize/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/digest.h"
#include "base/text.h"
#include "optimize/knobs_json.h"
#include "optimize/observe.h"
#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr std::array<std::pair<Profile, std::string_view>, 4> kProfiles = {
    {{Profile::kChat, "chat"}, {Profile::kAgent, "agent"}, {Profile::kRag, "rag"}, {Profile::kBatch, "batch"}}};
constexpr std::size_t kIdDigits = 12;

std::string undo_words(const Change& change) {
    const std::string was = change.old_value.empty() ? "as it was" : fmt::format("to {}", change.old_value);
    if (change.channel == "environment" && change.value.empty())
        return fmt::format("set {} again where the server is started, and start it again", change.knob);
    if (change.channel == "environment")
        return fmt::format("take {} out where the server is started, and start it again", change.knob);
    if (change.channel == "modelfile") return "use the model under its old name: it is unchanged";
    if (change.channel == "flag") return fmt::format("start the server without {}, or set it {}", change.knob, was);
    return fmt::format("leave {} out of the request", change.knob);
}

std::string place_words(const serde::ReadBack& back, const Change& change) {
    if (back.place == "ps") return fmt::format("/api/ps shows {} {}", back.keys.front(), change.value);
    if (back.place == "props") return fmt::format("/props shows {} {}", back.keys.front(), change.value);
    if (back.place == "command_line")
        return fmt::format("the engine's command line has {} {}", back.keys.front(), change.value);
    if (back.place == "environment")
        return fmt::format("the server's environment has {}={}", change.knob, change.value);
    if (back.place == "child_environment")
        return fmt::format("the environment of the server's child has {}={}", change.knob, change.value);
    return fmt::format("the server's log shows {} {}", back.keys.front(), change.value);
}

std::string verify_words(const Draft& draft, const Change& change) {
    if (change.value.empty()) return fmt::format("{} is no longer in the server's environment", change.knob);
    const Knob* knob = find_knob(draft.facts.engine, draft.facts.version, change.channel, change.knob);
    if (knob == nullptr) return "";
    if (knob->read_back.empty()) return "it can't be read back: " + knob->unverifiable;
    return place_words(knob->read_back.front(), change);
}

void join(std::string& text, const std::string& more) {
    if (more.empty() || text.find(more) != std::string::npos) return;
    text += (text.empty() ? "" : "; ") + more;
}

std::string fingerprint(const Plan& plan) {
    std::string text =
        fmt::format("{}\n{}\n{}\n{}\n", plan.engine, plan.version, plan.model, profile_name(plan.profile));
    for (const Change& change : plan.changes())
        text += fmt::format("{}={} by {} {}\n", change.setting, change.value, change.channel, change.knob);
    text += base::sha256_hex(knobs_json());
    return base::sha256_hex(text).substr(0, kIdDigits);
}

}  // namespace

const ObservedModel* Observed::find_model(const std::string& name) const {
    const auto same = [&](const ObservedModel& one) {
        return one.name == name || one.name == name + ":latest" || one.name + ":latest" == name;
    };
    const auto it = std::find_if(models.begin(), models.end(), same);
    return it == models.end() ? nullptr : &*it;
}

const ObservedProcess* Observed::engine_process() const {
    if (worker) return &*worker;
    return server && engine != "ollama" ? &*server : nullptr;
}

bool Observed::shares_cache() const {
    if (engine != "llama-server" || !server) return engine == "llama-server";
    const auto told = [&](const std::vector<std::string>& flags, const char* variable) {
        return flag_value(server->words, flags) || server->env.contains(variable);
    };
    return told({"-kvu", "--kv-unified"}, "LLAMA_ARG_KV_UNIFIED") ||
           !told({"-np", "--parallel"}, "LLAMA_ARG_N_PARALLEL");
}

std::vector<Change> Plan::changes() const {
    std::vector<Change> all;
    for (const Finding& finding : findings)
        if (!finding.trial) all.insert(all.end(), finding.changes.begin(), finding.changes.end());
    return all;
}

bool Plan::judged() const {
    if (measured) return settled;
    return findings.empty() && !unmet && !version.empty() && (model_bytes > 0 || unseen.empty());
}

std::string Plan::nothing_to_change() const {
    if (measured) return outcome;
    if (!findings.empty()) return "Nothing to write: what is said above is to be tried, or to be done elsewhere.";
    if (unmet) return "Nothing to write: what was asked for can't be reached by a setting; the note says why.";
    if (!judged()) return "Nothing to propose: too little could be seen to judge by.";
    return "Nothing to change: your configuration is already as good as rules can make it.";
}

std::string_view profile_name(Profile profile) {
    for (const auto& [one, name] : kProfiles)
        if (one == profile) return name;
    return "chat";
}

std::optional<Profile> parse_profile(std::string_view wanted) {
    for (const auto& [profile, name] : kProfiles)
        if (name == wanted) return profile;
    return std::nullopt;
}

std::int64_t profile_context(Profile profile) {
    switch (profile) {
        case Profile::kChat: return 1024 + 256;
        case Profile::kAgent: return 16384 + 512;
        case Profile::kRag: return 8192 + 128;
        case Profile::kBatch: return 1024 + 256;
    }
    return 0;
}

std::string_view confidence_name(Confidence confidence) {
    return confidence == Confidence::kHigh ? "high" : confidence == Confidence::kMedium ? "medium" : "low";
}

std::optional<std::int64_t> number_of(const Settings& settings, const std::string& name) {
    const auto it = settings.find(name);
    return it == settings.end() ? std::nullopt : base::parse_int(it->second.value);
}

std::string text_of(const Settings& settings, const std::string& name) {
    const auto it = settings.find(name);
    return it == settings.end() ? "" : it->second.value;
}

bool sent_by_us(std::string_view variable) {
    return variable == "OLLAMA_NUM_CTX" || variable == "OLLAMA_NUM_BATCH" || variable == "OLLAMA_NUM_GPU" ||
           variable == "OLLAMA_NUM_THREAD";
}

bool in_force(const Settings& settings, const std::string& setting, const std::string& value) {
    return !setting.empty() && text_of(settings, setting) == base::trim(value);
}

bool in_modelfile(const Facts& facts, const std::string& setting) {
    return std::any_of(facts.observed.modelfile.begin(), facts.observed.modelfile.end(), [&](const auto& line) {
        const Knob* parameter = find_knob(facts.engine, facts.version, "modelfile", line.first);
        return parameter != nullptr && parameter->setting == setting;
    });
}

bool is_chosen(const Settings& settings, const std::string& name) {
    const auto it = settings.find(name);
    return it != settings.end() && it->second.chosen;
}

std::optional<Change> change_of(const Draft& draft, std::string_view setting, std::string value,
                                const std::vector<std::string>& channels) {
    for (const std::string& channel : channels)
        if (const Knob* knob = knob_for(draft.facts.engine, draft.facts.version, channel, setting))
            return Change{std::string(setting), text_of(draft.settings, std::string(setting)), std::move(value),
                          channel, knob->name};
    return std::nullopt;
}

void add(Draft& draft, Finding finding) {
    for (const Change& change : finding.changes) {
        join(finding.verify, verify_words(draft, change));
        join(finding.undo, undo_words(change));
        if (!finding.trial && !change.value.empty()) draft.settings[change.setting] = {change.value, "this plan", true};
    }
    draft.plan.findings.push_back(std::move(finding));
}

namespace {

/// What wins over variables of the server: its command line, the model's Modelfile, what a client has sent.
std::map<std::string, std::string> pinned_of(const Facts& facts) {
    std::map<std::string, std::string> pinned;
    const Observed& observed = facts.observed;
    for (const auto& [name, value] : observed.modelfile)
        if (const Knob* knob = find_knob(facts.engine, facts.version, "modelfile", name))
            pinned.try_emplace(knob->setting, fmt::format("{} {} of the model's Modelfile", name, value));
    if (observed.worker && facts.engine == "ollama")
        if (const auto threads = flag_value(observed.worker->words, {"-t", "--threads"}))
            pinned.try_emplace("threads", fmt::format("num_thread {} that a client asks for", *threads));
    if (facts.engine != "llama-server" || !observed.server) return pinned;
    for (const Knob& knob : registry().knobs) {
        if (knob.engine != "llama-server" || knob.channels.front() != "flag") continue;
        for (const std::string& flag : names_of(knob))
            if (const auto value = flag_value(observed.server->words, {flag}))
                pinned.try_emplace(knob.setting, fmt::format("{} {} on the server's command line", flag, *value));
    }
    return pinned;
}

}  // namespace

Plan plan_frame(const Facts& facts) {
    Plan plan;
    plan.engine = facts.engine;
    plan.version = facts.version;
    plan.model = facts.model;
    plan.profile = facts.profile;
    plan.limits = facts.limits;
    plan.settings = facts.settings;
    plan.usable_threads = facts.threads.count;
    plan.threads_reason = facts.threads.reason;
    plan.memory_bytes = facts.memory_bytes;
    plan.manager = facts.observed.manager;
    plan.unit = facts.observed.unit;
    plan.pinned = pinned_of(facts);
    plan.processor = facts.hardware.cpu.model;
    if (facts.shape) {
        plan.model_bytes = model::tensor_bytes(facts.shape->tensors);
        plan.quantization = facts.shape->quantization;
    }
    plan.unseen = facts.unseen;
    plan.unseen.insert(plan.unseen.end(), facts.observed.unseen.begin(), facts.observed.unseen.end());
    if (!facts.shape)
        plan.unseen.push_back(facts.model.empty()
                                  ? std::string("a model: none was named, so no rule about memory was applied")
                                  : fmt::format("the shape of {}: no rule about memory was applied", facts.model));
    return plan;
}

Plan finish_plan(Draft& draft) {
    draft.plan.id = fingerprint(draft.plan);
    return std::move(draft.plan);
}

Plan make_plan(const Facts& facts) {
    Draft draft(facts);
    draft.plan = plan_frame(facts);
    for (const auto rule :
         {rule_threads, rule_parallel, rule_context, rule_cache_type, rule_experts, rule_batch, rule_attention,
          rule_gpu_unused, rule_reloads, rule_keep_alive, rule_dead_names, rule_speculation})
        rule(draft);
    return finish_plan(draft);
}

}  // namespace velollm::optimize
