#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "optimize/observe.h"
#include "optimize/registry.h"

namespace velollm::optimize {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30U;

/// Collects settings; what comes first stays.
class Collector {
public:
    Collector(const Observed& observed, Settings& settings) : observed_(observed), settings_(settings) {}

    void put(const std::string& setting, const std::string& value, const std::string& from, bool chosen = true) {
        if (!value.empty()) settings_.try_emplace(setting, Setting{value, from, chosen});
    }
    void from_flag(const std::string& setting, const ObservedProcess& process, const std::vector<std::string>& flags,
                   bool chosen = true) {
        if (const auto value = flag_value(process.words, flags))
            put(setting, *value, fmt::format("command line of process {}", process.pid), chosen);
    }
    /// Every variable of the server's environment that this version reads.
    void from_environment() {
        if (!observed_.server) return;
        for (const auto& [name, value] : observed_.server->env) {
            const Knob* knob = find_knob(observed_.engine, observed_.version, "environment", name);
            if (knob == nullptr) continue;
            const bool ollama = observed_.engine == "ollama";
            std::string text = ollama ? ollama_value(value) : std::string(base::trim(value));
            if (knob->setting == "flash_attention" && ollama && !text.empty())
                text = ollama_switch(text) ? "on" : "off";
            if (ollama && knob->setting == "parallel" && text == "0") continue;  // as it is by itself
            put(knob->setting, text, fmt::format("{} of the server (process {})", name, observed_.server->pid));
        }
    }
    void usual(const std::string& setting, const std::string& value) {
        const std::string engine = observed_.engine == "ollama" ? "Ollama" : observed_.engine;
        put(setting, value,
            fmt::format("default of {}{}{}", engine, observed_.version.empty() ? "" : " ", observed_.version), false);
    }
    bool has(const std::string& setting) const { return settings_.contains(setting); }

private:
    const Observed& observed_;
    Settings& settings_;
};

std::string usual_context(std::string_view version, std::int64_t gpu_bytes) {
    if (version_less(version, "0.6.7")) return "2048";
    if (version_less(version, "0.15.5") || gpu_bytes < 23 * kGiB) return "4096";
    return gpu_bytes < 47 * kGiB ? "32768" : "262144";
}

/// server/sched.go: the automatic batch goes by the context of all requests together.
std::string usual_batch(std::string_view version, std::int64_t context) {
    if (version_less(version, "0.30.0") || context <= 4096) return "512";
    return context <= 32768 ? "1024" : "2048";
}

void add_ollama(const Observed& observed, const std::string& model, std::int64_t gpu_bytes, Collector& collect,
                const Settings& settings) {
    const ObservedModel* loaded = observed.find_model(model);
    const auto parameter = [&](const char* name, const char* setting) {
        const auto it = observed.modelfile.find(name);
        if (it != observed.modelfile.end()) collect.put(setting, it->second, "the model's Modelfile");
    };
    const bool chosen_context = observed.modelfile.contains("num_ctx") ||
                                (observed.server && observed.server->env.contains("OLLAMA_CONTEXT_LENGTH"));
    if (loaded != nullptr && loaded->context > 0)
        collect.put("num_ctx", std::to_string(loaded->context), "/api/ps", chosen_context);
    if (observed.worker) {
        const ObservedProcess& worker = *observed.worker;
        collect.from_flag("threads", worker, {"-t", "--threads"});
        collect.from_flag("gpu_layers", worker, {"-ngl", "--gpu-layers", "--n-gpu-layers"});
        collect.from_flag("num_batch", worker, {"-ub", "--ubatch-size"}, observed.modelfile.contains("num_batch"));
    }
    parameter("num_ctx", "num_ctx");
    parameter("num_batch", "num_batch");
    parameter("num_gpu", "gpu_layers");
    parameter("num_thread", "threads");
    collect.from_environment();
    collect.usual("num_ctx", usual_context(observed.version, gpu_bytes));
    collect.usual("parallel", version_less(observed.version, "0.10.0") ? "" : "1");
    const std::int64_t context = number_of(settings, "num_ctx").value_or(4096);
    collect.usual("num_batch", usual_batch(observed.version, context * number_of(settings, "parallel").value_or(1)));
    collect.usual("kv_type", "f16");
    collect.usual("keep_alive", "5m");
}

void add_llama_server(const Observed& observed, Collector& collect, Settings& settings) {
    const std::int64_t caches = observed.shares_cache() ? 1 : observed.slots.value_or(1);
    if (observed.server)
        if (const auto context = flag_value(observed.server->words, {"-c", "--ctx-size"}); context && *context != "0")
            collect.from_flag("num_ctx", *observed.server, {"-c", "--ctx-size"});
    if (observed.slot_context) collect.put("num_ctx", std::to_string(*observed.slot_context * caches), "/props", false);
    if (observed.server) {
        for (const Knob& knob : registry().knobs) {
            if (knob.engine != "llama-server" || knob.channels.front() != "flag") continue;
            collect.from_flag(knob.setting, *observed.server, names_of(knob));
        }
    }
    collect.from_environment();
    if (observed.slots) collect.put("parallel", std::to_string(*observed.slots), "/props", false);
    // What is computed at once can't be more than what is taken in at once.
    const auto whole = number_of(settings, "batch");
    if (whole && *whole < number_of(settings, "num_batch").value_or(512))
        settings["num_batch"] = {std::to_string(*whole), settings.at("batch").from, settings.at("batch").chosen};
    collect.usual("num_batch", "512");
    collect.usual("batch", "2048");
    collect.usual("kv_type", "f16");
}

/// The embedded engine is this program: what its shell sets is what it takes.
void add_embedded(const Observed& observed, const system::Environment& shell, Collector& collect) {
    for (const auto& [name, value] : shell)
        if (const Knob* knob = find_knob("embedded", observed.version, "environment", name))
            collect.put(knob->setting, std::string(base::trim(value)), fmt::format("{} of this shell", name));
    collect.usual("num_ctx", "4096");
    collect.usual("num_batch", "512");
    collect.usual("parallel", "1");
    collect.usual("kv_type", "f16");
}

}  // namespace

Settings settings_of(const Observed& observed, const std::string& model, std::int64_t gpu_bytes,
                     const system::Environment& shell) {
    Settings settings;
    Collector collect(observed, settings);
    if (observed.engine == "ollama") add_ollama(observed, model, gpu_bytes, collect, settings);
    if (observed.engine == "llama-server") add_llama_server(observed, collect, settings);
    if (observed.engine == "embedded") add_embedded(observed, shell, collect);
    return settings;
}

}  // namespace velollm::optimize
