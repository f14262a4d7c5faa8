#include <fmt/core.h>

#include "base/digest.h"
#include "base/json_writer.h"
#include "optimize/knobs_json.h"
#include "optimize/outputs.h"
#include "wire/json_reader.h"

namespace velollm::optimize {
namespace {

void write_texts(base::JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
    json.key(key).begin_array();
    for (const std::string& text : texts) json.value(text);
    json.end_array();
}

void write_text(base::JsonWriter& json, std::string_view key, const std::string& text) {
    if (text.empty())
        json.key(key).null();
    else
        json.field(key, text);
}

void write_finding(base::JsonWriter& json, const Finding& finding) {
    json.begin_object().field("rule", finding.rule).field("finding", finding.title);
    write_texts(json, "evidence", finding.evidence);
    json.key("changes").begin_array();
    for (const Change& change : finding.changes) {
        json.begin_object().field("setting", change.setting);
        write_text(json, "old", change.old_value);
        write_text(json, "new", change.value);
        json.field("channel", change.channel).field("knob", change.knob).end_object();
    }
    json.end_array();
    write_text(json, "advice", finding.advice);
    json.key("expected").begin_array();
    for (const Effect& effect : finding.effects)
        json.begin_object()
            .field("metric", effect.metric)
            .field("factor_low", effect.low, 3)
            .field("factor_high", effect.high, 3)
            .end_object();
    json.end_array();
    json.field("confidence", confidence_name(finding.confidence)).field("lossless", finding.lossless);
    json.field("trial", finding.trial);
    write_text(json, "verify", finding.verify);
    write_text(json, "undo", finding.undo);
    json.end_object();
}

void write_inputs(base::JsonWriter& json, const Plan& plan) {
    json.key("inputs").begin_object();
    write_text(json, "processor", plan.processor);
    json.field("usable_threads", plan.usable_threads);
    write_text(json, "threads_reason", plan.threads_reason);
    json.field("memory_bytes", plan.memory_bytes).field("model_bytes", plan.model_bytes);
    write_text(json, "quantization", plan.quantization);
    write_text(json, "server_runs_as", plan.manager);
    json.field("knobs_sha256", base::sha256_hex(knobs_json()));
    json.key("settings").begin_object();
    for (const auto& [name, setting] : plan.settings)
        json.key(name)
            .begin_object()
            .field("value", setting.value)
            .field("from", setting.from)
            .field("chosen", setting.chosen)
            .end_object();
    json.end_object().end_object();
}

void write_proofs(base::JsonWriter& json, const std::vector<Proof>& proofs) {
    json.key("proofs").begin_array();
    for (const Proof& proof : proofs) {
        json.begin_object().field("setting", proof.setting).field("knob", proof.knob);
        write_text(json, "expected", proof.expected);
        write_text(json, "observed", proof.observed);
        write_text(json, "place", proof.place);
        json.field("state", state_name(proof.state));
        write_text(json, "why", proof.why);
        json.end_object();
    }
    json.end_array();
}

}  // namespace

std::string plan_json(const Plan& plan, int indent, const std::string& created, const std::vector<Proof>* proofs) {
    base::JsonWriter json(indent);
    json.begin_object().field("schema", "velollm-plan-1").field("id", plan.id);
    if (!created.empty()) json.field("created", created);
    json.field("engine", plan.engine);
    write_text(json, "version", plan.version);
    json.field("model", plan.model).field("profile", profile_name(plan.profile));
    json.key("limits").begin_object();
    json.field("context_tokens", plan.limits.context_tokens).field("max_gpu_bytes", plan.limits.max_gpu_bytes);
    json.field("allow_lossy", plan.limits.allow_lossy).end_object();
    json.field("nothing_to_change", plan.changes().empty());
    json.key("findings").begin_array();
    for (const Finding& finding : plan.findings) write_finding(json, finding);
    json.end_array();
    write_texts(json, "notes", plan.notes);
    write_texts(json, "unseen", plan.unseen);
    write_inputs(json, plan);
    if (proofs != nullptr) write_proofs(json, *proofs);
    json.end_object();
    return json.text();
}

std::optional<StoredPlan> read_stored_plan(std::string_view text) {
    wire::JsonReader json;
    if (!json.parse(text) || json.text("/schema") != "velollm-plan-1") return std::nullopt;
    const auto get = [&](const std::string& pointer) { return std::string(json.text(pointer).value_or("")); };
    StoredPlan plan{get("/id"), get("/engine"), get("/model"), {}};
    for (std::size_t i = 0; i < json.size("/findings").value_or(0); ++i) {
        if (json.boolean(fmt::format("/findings/{}/trial", i)).value_or(true)) continue;
        for (std::size_t j = 0; j < json.size(fmt::format("/findings/{}/changes", i)).value_or(0); ++j) {
            const std::string at = fmt::format("/findings/{}/changes/{}/", i, j);
            Expected one{get(at + "setting"), get(at + "new"), get(at + "channel"), get(at + "knob")};
            // A later finding may change the same setting again: the last one counts.
            std::erase_if(plan.expected, [&](const Expected& other) { return other.knob == one.knob; });
            plan.expected.push_back(std::move(one));
        }
    }
    return plan;
}

}  // namespace velollm::optimize
