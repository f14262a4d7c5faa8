#include "base/json_writer.h"
#include "report/ab_report.h"
#include "report/host_json.h"

namespace velollm::report {
namespace {

using base::JsonWriter;
using benchmark::AbEnd;

constexpr int kDecimals = 4;
constexpr int kFine = 6;

std::string_view end_name(AbEnd end) {
    switch (end) {
        case AbEnd::kDecided: return "decided";
        case AbEnd::kPairsOver: return "pairs_over";
        case AbEnd::kBudgetOver: return "budget_over";
        case AbEnd::kStopped: return "stopped";
        case AbEnd::kFailing: return "failing";
        case AbEnd::kLost: return "lost";
    }
    return "";
}

void write_factors(JsonWriter& json, std::string_view key, const std::optional<stats::Factors>& factors) {
    json.key(key);
    if (!factors) {
        json.null();
        return;
    }
    json.begin_object().field("low", factors->low, kFine).field("high", factors->high, kFine);
    json.field("level", factors->level, kDecimals).end_object();
}

void write_judgement(JsonWriter& json, std::string_view metric, const stats::Judgement& judgement) {
    json.begin_object().field("metric", metric).field("verdict", stats::decision_name(judgement.decision));
    json.field("pairs", std::uint64_t{judgement.n}).field("factor", judgement.factor, kFine);
    write_factors(json, "interval", judgement.interval);
    write_factors(json, "within", judgement.within);
    json.field("p", judgement.p, kFine);
    json.key("visible");
    judgement.visible ? json.value(*judgement.visible, kFine) : json.null();
    json.key("pairs_for_delta");
    judgement.pairs_for_delta ? json.value(std::uint64_t{*judgement.pairs_for_delta}) : json.null();
    json.end_object();
}

void write_side(JsonWriter& json, const benchmark::Block& block, const std::optional<double>& value) {
    json.begin_object().key("value");
    value ? json.value(*value, kDecimals) : json.null();
    json.field("load_ms", to_ms(block.load), 3);
    json.field_if("model_bytes", block.model_bytes);
    json.key("requests").begin_array();
    for (const RequestRecord& record : block.requests) {
        benchmark::Block one;
        one.requests = {record};
        json.begin_object();
        for (const char* key : {"decode_tps", "ttft_ms", "prefill_tps", "e2e_ms"})
            if (const auto measured = benchmark::block_value(one, key)) json.field(key, *measured, kDecimals);
        json.field_if("output_tokens", record.server.output_tokens);
        json.field_if("draft_tokens", record.server.draft_tokens);
        json.field_if("accepted_tokens", record.server.accepted_tokens);
        json.end_object();
    }
    json.end_array().end_object();
}

}  // namespace

std::string ab_json(const benchmark::AbPlan& plan, const benchmark::AbResult& result, const AbContext& context) {
    JsonWriter json(2);
    json.begin_object().field("schema", "velollm-ab-1").field("version", context.version);
    json.field("started_at", context.started_at).field("engine", context.engine).field("model", context.model);
    json.field("a", context.words[0]).field("b", context.words[1]).field("null_test", context.null_test);
    for (std::size_t side = 0; side < 2; ++side) {
        if (context.from_environment[side].empty()) continue;
        json.key(side == 0 ? "a_from_environment" : "b_from_environment").begin_array();
        for (const auto& [option, value, variable] : context.from_environment[side])
            json.begin_object().field("option", option).field("value", value).field("variable", variable).end_object();
        json.end_array();
    }
    json.field("delta", plan.limits.delta, kFine).field("reload", plan.reload).field("watched", plan.watch);
    json.field("seed", context.seed).field("output_tokens", context.max_tokens).field("warm_up", context.warm_up);
    json.field("end", end_name(result.end));
    if (result.error) json.field("error", result.error->message);
    if (!plan.watch) json.field("alpha_at_end", result.look.alpha, kDecimals);
    json.field("failed_pairs", std::uint64_t{result.failed_pairs});
    json.key("primary");
    write_judgement(json, plan.metric, result.judgement);
    json.key("others").begin_array();
    for (const benchmark::AbMetric& other : result.others) write_judgement(json, other.key, other.judgement);
    json.end_array();
    if (result.levels) {
        json.key("levels").begin_object().field("within", result.levels->within, 9);
        json.field("between", result.levels->between, 9);
        json.field("requests", std::uint64_t{result.levels->requests}).end_object();
    }
    if (result.drift_per_pair) json.field("drift_per_pair", *result.drift_per_pair, kFine);
    if (context.common_text) json.field("common_text", *context.common_text, kDecimals);
    if (context.before) {
        json.key("machine_before");
        write_host(json, *context.before);
    }
    json.key("notes").begin_array();
    for (const std::string& note : context.notes) json.value(note);
    json.end_array();
    json.key("pairs").begin_array();
    for (const benchmark::AbPair& pair : result.pairs) {
        json.begin_object().field("order", pair.b_first ? "BA" : "AB").key("a");
        write_side(json, pair.sides[0], pair.values[0]);
        json.key("b");
        write_side(json, pair.sides[1], pair.values[1]);
        json.end_object();
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

}  // namespace velollm::report
