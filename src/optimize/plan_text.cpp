#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "optimize/outputs.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

std::string heading(const Plan& plan) {
    const std::string engine = plan.engine == "ollama"     ? "Ollama"
                               : plan.engine == "embedded" ? "llama.cpp inside"
                                                           : plan.engine;
    std::string text = fmt::format("{}{}{}, {}", engine, plan.version.empty() ? "" : " ", plan.version,
                                   plan.model.empty() ? "no model named" : plan.model);
    if (!plan.quantization.empty()) text += fmt::format(" ({})", plan.quantization);
    text += fmt::format(", profile {}\n", profile_name(plan.profile));
    std::string machine;
    if (plan.usable_threads > 0)
        machine = fmt::format("{} usable thread{} ({})", plan.usable_threads, plan.usable_threads == 1 ? "" : "s",
                              plan.threads_reason);
    if (plan.memory_bytes > 0)
        machine +=
            fmt::format("{}{} of memory for the model", machine.empty() ? "" : ", ", size_words(plan.memory_bytes));
    if (!machine.empty()) text += machine + "\n";
    if (!plan.manager.empty()) text += fmt::format("The server runs as {}.\n", plan.manager);
    return text;
}

std::string effect_words(const Effect& effect) {
    if (effect.high <= 1.0) return fmt::format("{} x {:.3g} .. {:.3g}", effect.metric, effect.low, effect.high);
    return fmt::format("{} x {:.3g} .. {:.3g}", effect.metric, effect.low, effect.high);
}

std::string change_words(const Change& change) {
    if (change.value.empty()) return fmt::format("take away {}", change.knob);
    const std::string form = change.channel == "environment" ? fmt::format("{}={}", change.knob, change.value)
                                                             : fmt::format("{} {}", change.knob, change.value);
    const std::string old = change.old_value.empty() ? "" : fmt::format(", now {}", change.old_value);
    const std::string where = change.channel == "environment" ? "environment of the server"
                              : change.channel == "modelfile" ? "Modelfile"
                              : change.channel == "flag"      ? "command line of the server"
                                                              : "request";
    return fmt::format("{}  ({}{})", form, where, old);
}

/// The option that writes a file in which all of it has a line.
std::string write_words(const Plan& plan) {
    if (plan.engine == "llama-server") return "--format llama-server";
    const std::vector<Change> changes = plan.changes();
    const bool of_model =
        std::all_of(changes.begin(), changes.end(), [](const Change& change) { return change.channel == "modelfile"; });
    return of_model && !left_out(plan, "environment").empty() ? "-o Modelfile" : "-o velollm.sh";
}

std::string finding_text(const Finding& finding) {
    std::string text = fmt::format("\n{}  {}\n", finding.rule, finding.title);
    for (const std::string& evidence : finding.evidence) text += fmt::format("    {:<9} {}\n", "", evidence);
    for (const Change& change : finding.changes)
        text += fmt::format("    {:<9} {}\n", finding.trial ? "try" : "change", change_words(change));
    if (!finding.advice.empty()) text += fmt::format("    {:<9} {}\n", "advice", finding.advice);
    std::string effects;
    for (const Effect& effect : finding.effects) effects += (effects.empty() ? "" : ", ") + effect_words(effect);
    if (!effects.empty()) text += fmt::format("    {:<9} {}\n", "expected", effects);
    text += fmt::format("    {:<9} {} confidence, {}\n", "", confidence_name(finding.confidence),
                        finding.lossless ? "answers stay the same" : "answers may change");
    if (!finding.verify.empty()) text += fmt::format("    {:<9} {}\n", "verify", finding.verify);
    if (!finding.undo.empty()) text += fmt::format("    {:<9} {}\n", "undo", finding.undo);
    return text;
}

}  // namespace

std::string plan_text(const Plan& plan, bool unicode) {
    std::string text = heading(plan);
    for (const Finding& finding : plan.findings) text += finding_text(finding);
    if (plan.changes().empty()) {
        text += fmt::format("\n{}{}\n", unicode && plan.judged() ? "✓ " : "", plan.nothing_to_change());
    } else {
        text += fmt::format("\nPlan {}. Nothing was changed. Write it: add  {}\n", plan.id, write_words(plan));
    }
    for (const std::string& note : plan.notes) text += fmt::format("Note: {}.\n", note);
    if (!plan.unseen.empty()) {
        text += "Not seen:\n";
        for (const std::string& unseen : plan.unseen) text += fmt::format("  {}\n", unseen);
    }
    return base::printable(std::move(text));
}

}  // namespace velollm::optimize
