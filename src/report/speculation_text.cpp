#include "report/speculation_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>

namespace velollm::report {
namespace {

const RunFigure* acceptance_of(const BenchmarkResult& result) {
    const auto& figures = result.summary.figures;
    const auto found = std::find_if(figures.begin(), figures.end(),
                                    [](const RunFigure& figure) { return figure.key == "draft_acceptance"; });
    return found == figures.end() ? nullptr : &*found;
}

std::int64_t drafted_tokens(const BenchmarkResult& result) {
    std::int64_t sum = 0;
    for (const std::size_t i : result.summary.samples) sum += result.run.requests[i].server.draft_tokens.value_or(0);
    return sum;
}

std::string kind_text(const TargetInfo& target) {
    if (!target.speculation) return "";
    const Speculation& speculation = *target.speculation;
    std::string text = speculation.type;
    if (!speculation.draft_model.empty()) text += " with " + speculation.draft_model;
    if (speculation.draft_tokens) text += fmt::format(", at most {} tokens a step", *speculation.draft_tokens);
    return text + "; ";
}

}  // namespace

void write_speculation(base::JsonWriter& json, const TargetInfo& target) {
    if (!target.speculation) {
        json.null();
        return;
    }
    const Speculation& speculation = *target.speculation;
    json.begin_object().field("type", speculation.type).key("draft_model");
    if (speculation.draft_model.empty()) {
        json.null();
    } else {
        json.value(speculation.draft_model);
    }
    json.field("draft_tokens", speculation.draft_tokens).end_object();
}

std::string why_no_acceptance(const TargetInfo& target, const BenchmarkResult& result) {
    if (!target.speculation || acceptance_of(result) != nullptr) return "";
    if (target.kind == "ollama") return "Ollama doesn't tell how many tokens were drafted and kept";
    return "nothing was drafted";
}

std::string speculation_line(const TargetInfo& target, const BenchmarkResult& result) {
    const RunFigure* acceptance = acceptance_of(result);
    if (!target.speculation && acceptance == nullptr) return "";
    std::string text = "  Speculation: " + kind_text(target);
    if (acceptance != nullptr) {
        text += fmt::format("{:.0f}% of {} drafted tokens kept", 100.0 * acceptance->value, drafted_tokens(result));
        if (const auto& interval = acceptance->interval)
            text += fmt::format(" ({:.0f} .. {:.0f}%)", 100.0 * interval->lower, 100.0 * interval->upper);
    } else {
        text += "share of drafts kept: none (" + why_no_acceptance(target, result) + ")";
    }
    if (const Distribution* steps = result.summary.find("tokens_per_step"))
        text += fmt::format(", {:.2f} tokens per step", steps->median);
    return text + "\n";
}

}  // namespace velollm::report
