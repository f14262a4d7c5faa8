#include "optimize/doctor.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "optimize/doctor_checks.h"
#include "optimize/quote.h"

namespace velollm::optimize {
namespace {

struct Check {
    std::string_view name;
    void (*make)(Exam&);
};

/// What lies deepest comes first: without a server most others have nothing to say.
constexpr std::array<Check, 26> kChecks = {{
    {"server", check_server},
    {"address", check_address},
    {"model", check_model},
    {"variables of this shell", check_shell},
    {"variables that nothing reads", check_dead_names},
    {"settings in force", check_settings},
    {"version", check_version},
    {"threads", check_threads},
    {"context against memory", check_context},
    {"model against memory", check_model_size},
    {"use of GPUs", check_gpu_use},
    {"share on the GPU", check_offload},
    {"cut prompts", check_truncation},
    {"reloads", check_reloads},
    {"build for this processor", check_build},
    {"other settings", check_tuning},
    {"share of the roofline", check_roofline},
    {"swap", check_swap},
    {"paging", check_paging},
    {"other programs' load", check_load},
    {"time taken by the host", check_steal},
    {"stops by the quota", check_quota},
    {"heat", check_heat},
    {"governor", check_governor},
    {"battery", check_battery},
    {"room for models", check_disk},
}};

std::string changes_words(const std::vector<Change>& changes) {
    std::string text;
    for (const Change& change : changes) {
        if (!text.empty()) text += "; ";
        if (change.value.empty()) {
            text += fmt::format("Take {} away where the server is started", change.knob);
        } else if (change.channel == "environment") {
            text += fmt::format("Start the server with {}={}", change.knob, change.value);
        } else if (change.channel == "flag") {
            text += fmt::format("Start the server with {} {}", change.knob, change.value);
        } else if (change.channel == "modelfile") {
            text += fmt::format("Give the model PARAMETER {} {}", change.knob, change.value);
        } else {
            text += fmt::format("Send {} {} with each request", change.knob, change.value);
        }
    }
    return text.empty() ? text : text + ".";
}

/// The command whose file carries these changes to where the server reads them.
std::string command_for(const Exam& exam, const std::vector<Change>& changes) {
    if (changes.empty()) return "";
    const Facts& facts = exam.facts();
    const std::string words = optimize_command(facts);
    const std::string& channel = changes.front().channel;
    if (channel == "modelfile") return words + " -o Modelfile";
    if (channel == "flag") return words + " --format llama-server";
    if (channel == "request") return words + " --format request";
    if (facts.observed.container) return words + " --format docker";
    if (!facts.observed.unit.empty()) return words + " --format systemd -o 90-velollm.conf";
    return words + " -o velollm.sh";
}

}  // namespace

bool Exam::needs_answer() {
    if (facts().observed.answering) return true;
    skip(facts().engine == "embedded" ? "the embedded engine has no server" : "no server answers");
    return false;
}

bool Exam::needs_machine() {
    if (!sight().remote) return true;
    skip("the server is on another machine");
    return false;
}

bool Exam::needs_process() {
    if (!needs_answer() || !needs_machine()) return false;
    if (facts().observed.server) return true;
    skip("the server's process belongs to another user or container: try with sudo");
    return false;
}

bool Exam::needs_log() {
    if (!needs_process()) return false;
    if (!facts().observed.log.empty()) return true;
    skip("the server's log is no file that this user can read");
    return false;
}

std::string optimize_command(const Facts& facts) {
    std::string words = fmt::format("velollm optimize {}", shell_word(facts.model));
    if (facts.engine == "embedded") words += " -b embedded";
    if (facts.engine == "llama-server") words += fmt::format(" -b llamacpp --url {}", shell_word(facts.observed.url));
    if (facts.engine == "ollama" && facts.observed.url.find(":11434") == std::string::npos)
        words += fmt::format(" --url {}", shell_word(facts.observed.url));
    return words;
}

std::string engine_words(const std::string& engine) {
    if (engine == "ollama") return "Ollama";
    return engine == "embedded" ? "the embedded engine" : engine;
}

Diagnosis diagnosis_of(const Exam& exam, const Finding& finding, std::string code, Severity severity) {
    Diagnosis out;
    out.code = std::move(code);
    out.severity = severity;
    out.title = finding.title;
    out.evidence = finding.evidence;
    out.remedy = finding.advice;
    if (!finding.changes.empty() && (finding.advice.empty() || finding.trial))
        out.remedy = changes_words(finding.changes) + (finding.trial ? " " + finding.advice : "");
    if (!finding.trial) out.command = command_for(exam, finding.changes);
    out.gain = finding.effects;
    out.docs = "docs/optimize.md, rule " + finding.rule;
    return out;
}

int Report::count(Severity severity) const {
    return static_cast<int>(std::count_if(findings.begin(), findings.end(),
                                          [&](const Diagnosis& one) { return one.severity == severity; }));
}

Report examine(const Subject& subject) {
    Exam exam{subject, make_plan(subject.facts)};
    Report& report = exam.report;
    report.engine = subject.facts.engine;
    report.version = subject.facts.version;
    report.model = subject.facts.model;
    report.url = subject.facts.observed.url;
    for (const Check& check : kChecks) {
        exam.check = check.name;
        exam.skipped = false;
        check.make(exam);
        if (!exam.skipped) ++report.checks;
    }
    std::stable_sort(report.findings.begin(), report.findings.end(),
                     [](const Diagnosis& a, const Diagnosis& b) { return a.severity < b.severity; });
    return std::move(report);
}

std::vector<std::string> check_names() {
    std::vector<std::string> names;
    for (const Check& check : kChecks) names.emplace_back(check.name);
    return names;
}

std::string_view severity_name(Severity severity) {
    if (severity == Severity::kProblem) return "problem";
    return severity == Severity::kWarning ? "warning" : "note";
}

}  // namespace velollm::optimize
