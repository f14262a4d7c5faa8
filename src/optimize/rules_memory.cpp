#include <fmt/core.h>

#include <algorithm>

#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr std::int64_t kStep = 1024;

std::int64_t rounded_up(std::int64_t tokens) {
    return (tokens + kStep - 1) / kStep * kStep;
}

/// One memory question with its answer.
struct Asked {
    Place place;
    model::MemoryQuestion question;
    std::int64_t needed = 0;
    bool fits() const { return needed <= place.limit_bytes; }
};
std::optional<Asked> ask(const Facts& facts, const Settings& settings) {
    const Place place = place_of(facts, settings);
    auto question = question_of(facts, settings, place);
    if (!question) return std::nullopt;
    const std::int64_t needed = needed_bytes(facts, *question, place);
    return Asked{place, std::move(*question), needed};
}

std::string room_words(const Asked& asked) {
    return fmt::format("needed {}, usable {} {}", size_words(asked.needed), size_words(asked.place.limit_bytes),
                       asked.place.name);
}

std::vector<std::string> model_channels(const Facts& facts) {
    if (facts.engine == "ollama") return {"modelfile", "environment"};
    return {"flag", "request"};
}

/// What it costs when a model hangs over the edge of its memory.
std::vector<Effect> spill_gain(const Place& place) {
    if (place.gpu) return {{"decode", 3.0, 10.0}};
    return {{"decode", 1.0, 50.0}};
}

std::string spill_words(const Place& place) {
    return place.gpu ? "what doesn't fit is computed by the processor, at its speed"
                     : "what doesn't fit is swapped or read from the disk at every token, or the server is killed";
}

/// The whole model is too large: no setting mends that.
void too_large(Draft& draft, const Asked& asked, std::int64_t least) {
    Finding finding;
    finding.rule = "R2";
    finding.title = fmt::format("The model doesn't fit the {} with a context of {}", asked.place.name, least);
    finding.evidence = {room_words(asked), spill_words(asked.place)};
    finding.advice = "Take a smaller model or quantisation, or free memory.";
    finding.effects = spill_gain(asked.place);
    finding.confidence = Confidence::kHigh;
    add(draft, std::move(finding));
}

void shrink(Draft& draft, const Asked& asked, std::int64_t context, std::int64_t most) {
    Finding finding;
    finding.rule = "R2";
    finding.title = fmt::format("A context of {} doesn't fit the {}; {} does", context, asked.place.name, most);
    finding.evidence = {room_words(asked), spill_words(asked.place),
                        fmt::format("context {} ({})", context, draft.settings.at("num_ctx").from)};
    if (most < profile_context(draft.facts.profile))
        finding.evidence.push_back(fmt::format("requests of the profile {} need {} tokens: longer ones will be cut",
                                               profile_name(draft.facts.profile),
                                               profile_context(draft.facts.profile)));
    finding.effects = spill_gain(asked.place);
    finding.confidence = asked.place.gpu ? Confidence::kHigh : Confidence::kMedium;
    const auto change = change_of(draft, "num_ctx", std::to_string(most), model_channels(draft.facts));
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

void widen(Draft& draft, const Asked& asked, std::int64_t context, std::int64_t wanted, std::int64_t most) {
    const std::int64_t slots = divided_by(draft.facts);
    const std::int64_t trained = draft.facts.shape->context * slots;
    std::int64_t value = std::min(rounded_up(wanted), most);
    if (trained > 0) value = std::min(value, trained);
    if (value < wanted) {
        draft.plan.unmet = true;
        draft.plan.notes.push_back(
            fmt::format("a context of {} is wanted; {} is the most that fits or that the model was trained for",
                        wanted / slots, std::max(context, most) / slots));
    }
    if (value <= context) return;
    Finding finding;
    finding.rule = "R2";
    finding.title = fmt::format("The context of {} is too short for what is asked of it", context / slots);
    finding.evidence = {
        draft.facts.limits.context_tokens ? fmt::format("wanted: {} tokens", wanted / slots)
                                          : fmt::format("requests of the profile {} need {} tokens",
                                                        profile_name(draft.facts.profile), wanted / slots),
        draft.facts.engine == "ollama" ? "Ollama cuts longer prompts without saying so" : "longer prompts are refused",
        fmt::format("{}, now", room_words(asked))};
    const double grown = static_cast<double>(value) / static_cast<double>(std::max<std::int64_t>(context, 1));
    finding.effects = {{"memory", 1.0, grown}};
    finding.confidence = Confidence::kHigh;
    const auto change = change_of(draft, "num_ctx", std::to_string(value), model_channels(draft.facts));
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

/// Of the setting: llama-server without a shared cache divides it among its slots.
std::int64_t wanted_context(const Facts& facts) {
    return facts.limits.context_tokens.value_or(profile_context(facts.profile)) * divided_by(facts);
}

}  // namespace

void rule_parallel(Draft& draft) {
    const Facts& facts = draft.facts;
    if (facts.engine != "ollama") return;  // llama-server's slots share one cache
    const std::int64_t parallel = number_of(draft.settings, "parallel").value_or(1);
    const auto asked = ask(facts, draft.settings);
    if (!asked) return;
    const auto with = [&](std::int64_t count) {
        Settings other = draft.settings;
        other["parallel"] = {std::to_string(count), "", true};
        return ask(facts, other);
    };
    Finding finding;
    finding.rule = "R4";
    std::int64_t value = parallel;
    if (facts.profile == Profile::kBatch) {
        for (const std::int64_t count : {8, 4, 2})
            if (value <= parallel && count > parallel && with(count)->fits()) value = count;
        if (value <= parallel) return;
        finding.title = fmt::format("{} requests at a time fit, {} run", value, parallel);
        finding.evidence = {fmt::format("with {}: {}", value, room_words(*with(value))),
                            "together they share each read of the weights"};
        finding.effects = {{"throughput", 1.5, 4.0}, {"decode", 1.0 / static_cast<double>(value), 1.0}};
    } else {
        if (parallel < 2 || asked->fits()) return;
        value = 1;
        finding.title = fmt::format("{} parallel requests take {} caches, and memory is short", parallel, parallel);
        finding.evidence = {room_words(*asked), fmt::format("with one: {}", room_words(*with(1)))};
        finding.effects = spill_gain(asked->place);
        finding.confidence = Confidence::kHigh;
    }
    const auto change = change_of(draft, "parallel", std::to_string(value), {"environment"});
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

void rule_context(Draft& draft) {
    const Facts& facts = draft.facts;
    const auto context = number_of(draft.settings, "num_ctx");
    if (!context && facts.shape) {
        draft.plan.unseen.emplace_back("the context in force: no rule about it was applied");
        return;
    }
    const auto asked = ask(facts, draft.settings);
    if (!asked) return;
    const std::int64_t most = most_context(facts, asked->question, asked->place);
    const std::int64_t wanted = wanted_context(facts);
    const std::int64_t least = facts.limits.context_tokens ? wanted : kStep;
    if (asked->fits()) {
        const bool asks_for_more = facts.limits.context_tokens || facts.profile != Profile::kChat;
        if (asks_for_more && *context < wanted) widen(draft, *asked, *context, wanted, most);
        return;
    }
    if (most >= least && most < *context) return shrink(draft, *asked, *context, most);
    // Experts on the processor are a way out that another rule takes.
    if (asked->place.gpu) return;
    too_large(draft, *asked, std::min(least, *context));
}

void rule_cache_type(Draft& draft) {
    const Facts& facts = draft.facts;
    const auto asked = ask(facts, draft.settings);
    const bool f16 = asked && asked->question.settings.key_type == 1 && asked->question.settings.value_type == 1;
    if (!asked || asked->fits() || !f16) return;
    const std::string& architecture = facts.shape->architecture;
    const bool risky = architecture.starts_with("gptoss") || architecture.starts_with("gpt-oss") ||
                       architecture.starts_with("deepseek");
    Settings other = draft.settings;
    const std::int64_t context = std::max(facts.limits.context_tokens.value_or(kStep), kStep);
    other["num_ctx"] = {std::to_string(context), "", true};
    other["kv_type"] = {"q8_0", "", true};
    other.erase("kv_type_k");
    other.erase("kv_type_v");
    const auto with = ask(facts, other);
    if (risky || !with || !with->fits() || text_of(draft.settings, "flash_attention") == "off") return;
    const std::int64_t most = most_context(facts, with->question, with->place);
    if (!facts.limits.allow_lossy) {
        draft.plan.notes.push_back(fmt::format(
            "a KV cache of type q8_0 would fit a context of {}; it may change answers, so it needs --allow-lossy",
            most));
        return;
    }
    Finding finding;
    finding.rule = "R3";
    finding.title = fmt::format("With a KV cache of type q8_0 a context of {} fits", most);
    finding.evidence = {room_words(*asked),
                        fmt::format("with q8_0 and a context of {}: {}", context, room_words(*with))};
    finding.effects = spill_gain(asked->place);
    finding.lossless = false;
    finding.confidence = Confidence::kMedium;
    for (const char* setting : {"kv_type", "kv_type_k", "kv_type_v"}) {
        if (setting != std::string("kv_type") && facts.engine != "llama-server") continue;
        if (const auto change = change_of(draft, setting, "q8_0", {"environment", "flag", "request"}))
            finding.changes.push_back(*change);
    }
    // Up to 0.24 the type counts only where flash attention is switched on (engines: 3.5).
    const bool old = facts.engine == "ollama" && version_less(facts.version, "0.30.0");
    if (old && text_of(draft.settings, "flash_attention") != "1")
        if (const auto change = change_of(draft, "flash_attention", "1", {"environment"}))
            finding.changes.push_back(*change);
    const std::int64_t before = number_of(draft.settings, "num_ctx").value_or(0);
    if (most < before || before < context)
        if (const auto change = change_of(draft, "num_ctx", std::to_string(std::max(std::min(most, before), context)),
                                          model_channels(facts)))
            finding.changes.push_back(*change);
    if (!finding.changes.empty()) add(draft, std::move(finding));
}

void rule_experts(Draft& draft) {
    const Facts& facts = draft.facts;
    const auto asked = ask(facts, draft.settings);
    if (!asked || asked->fits() || !asked->place.gpu || facts.shape->experts == 0) return;
    if (facts.engine == "ollama" && version_less(facts.version, "0.30.0")) return;
    if (!is_chosen(draft.settings, "gpu_layers") || facts.engine == "embedded") {
        draft.plan.notes.push_back(fmt::format(
            "the model doesn't fit the GPU ({}): llama.cpp then keeps experts on the processor by itself, which is "
            "best left to it",
            room_words(*asked)));
        return;
    }
    Finding finding;
    finding.rule = "R5";
    finding.title = "A fixed number of GPU layers keeps llama.cpp from placing the experts";
    finding.evidence = {room_words(*asked),
                        fmt::format("GPU layers {} ({}): with it, fitting by itself is off",
                                    text_of(draft.settings, "gpu_layers"), draft.settings.at("gpu_layers").from)};
    finding.effects = {{"decode", 1.0, 2.5}};
    const std::string automatic = facts.engine == "ollama" ? "-1" : "auto";
    const auto change = change_of(draft, "gpu_layers", automatic, model_channels(facts));
    if (!change) return;
    finding.changes = {*change};
    add(draft, std::move(finding));
}

void rule_batch(Draft& draft) {
    const Facts& facts = draft.facts;
    const auto batch = number_of(draft.settings, "num_batch");
    const auto asked = ask(facts, draft.settings);
    Finding finding;
    finding.rule = "R6";
    std::int64_t value = 0;
    const bool small = batch && *batch < 512 && is_chosen(draft.settings, "num_batch");
    const bool on_both = asked && asked->place.gpu && !asked->fits();
    if (on_both && batch.value_or(512) < 2048) {
        value = facts.shape->experts > 0 ? 4096 : 2048;
        Settings other = draft.settings;
        other["num_batch"] = {std::to_string(value), "", true};
        const std::int64_t more = ask(facts, other)->needed - asked->needed;
        if (more > asked->place.limit_bytes / 8) value = 2048;
        finding.title = "A part of the model is on the processor: larger batches read it less often";
        finding.evidence = {fmt::format("{}; batch {}", room_words(*asked), batch.value_or(512)),
                            "prompts stream what lies in RAM to the GPU once for each batch"};
        finding.effects = {{"prefill", 2.0, 5.0}, {"decode", 0.95, 1.0}};
    } else if (small) {
        value = 512;
        finding.title = fmt::format("Prompts are read {} tokens at a time", *batch);
        finding.evidence = {
            fmt::format("batch {} ({}); the engine's own is 512", *batch, draft.settings.at("num_batch").from),
            "decoding doesn't gain: it is one token at a time"};
        finding.effects = {{"prefill", 1.0, *batch < 32 ? 3.0 : 1.5}};
    }
    if (value == 0 || value == batch) return;
    const auto change = change_of(draft, "num_batch", std::to_string(value), model_channels(facts));
    if (!change) return;
    finding.changes = {*change};
    if (facts.engine == "llama-server" && value > number_of(draft.settings, "batch").value_or(2048))
        if (const auto logical = change_of(draft, "batch", std::to_string(value), {"flag"}))
            finding.changes.push_back(*logical);
    add(draft, std::move(finding));
}

}  // namespace velollm::optimize
