#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "optimize/doctor_checks.h"
#include "optimize/proof.h"
#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr const char* kNewOllama = "0.30.0";
constexpr const char* kNewLlamaServer = "0.5.0";

std::string backend_word(const std::string& engine) {
    return engine == "llama-server" ? "llamacpp" : engine;
}

/// "ollama pull NAME", at the server that is looked at.
std::string ollama_command(const Facts& facts, const std::string& words) {
    const bool usual = facts.observed.url.find("localhost:11434") != std::string::npos ||
                       facts.observed.url.find("127.0.0.1:11434") != std::string::npos;
    return (usual ? "" : fmt::format("OLLAMA_HOST={} ", shell_word(facts.observed.url))) + words;
}

std::vector<std::string> installed_words(const Exam& exam) {
    const std::string name = exam.facts().engine == "ollama" ? "ollama" : "llama-server";
    std::vector<std::string> out = {fmt::format("{}: {}", exam.facts().observed.url, exam.sight().at.detail)};
    if (exam.sight().program.empty())
        out.push_back(fmt::format("no program {} is in $PATH", name));
    else
        out.push_back(fmt::format("installed: {}{}{}", exam.sight().program, exam.facts().version.empty() ? "" : " ",
                                  exam.facts().version));
    return out;
}

void add_start(const Exam& exam, Diagnosis& down) {
    const bool ollama = exam.facts().engine == "ollama";
    if (ollama && exam.sight().unit_installed) {
        down.remedy = "Start the service; 'systemctl status ollama' says why it stopped.";
        down.command = "sudo systemctl start ollama";
    } else if (!exam.sight().program.empty()) {
        down.remedy = ollama ? "Start it, in a terminal of its own." : "Start it with a model.";
        down.command = ollama ? "ollama serve" : "llama-server -m MODEL.gguf --port 8080";
    } else {
        down.remedy = ollama ? "Install it, or name the machine that has it with --url: https://ollama.com/download"
                             : "Install it, or name the machine that has it with --url: "
                               "https://github.com/ggml-org/llama.cpp/releases";
    }
}

/// A variable of this shell that the server would read, and what became of it.
std::optional<Diagnosis> judge_shell(const Facts& facts, const std::string& name, const std::string& value) {
    const NameVerdict verdict = judge_name(facts.engine, facts.version, "environment", name);
    if (verdict.use != NameUse::kRead || verdict.setting.empty() || value.empty()) return std::nullopt;
    const ObservedProcess& server = *facts.observed.server;
    const auto it = server.env.find(name);
    const Knob* knob = find_knob(facts.engine, facts.version, "environment", name);
    const std::string type = knob == nullptr ? "string" : knob->type;
    if (it != server.env.end() && same_value(type, it->second, value)) return std::nullopt;
    const Proof proof = prove({{verdict.setting, value, "environment", name}}, facts).front();
    if (proof.state == ProofState::kVerified || in_force(facts.settings, verdict.setting, value)) return std::nullopt;
    Diagnosis out;
    out.code = "shell_variable";
    out.title = fmt::format("{} is set in this shell, and the server never sees it", name);
    out.evidence = {fmt::format("this shell: {}={}", name, value),
                    it == server.env.end()
                        ? fmt::format("the server (process {}) has none", server.pid)
                        : fmt::format("the server (process {}) has {}={}", server.pid, name, it->second)};
    if (!proof.observed.empty()) out.evidence.push_back(fmt::format("in force: {} ({})", proof.observed, proof.place));
    out.docs = "docs/doctor.md";
    const Observed& seen = facts.observed;
    if (seen.container) {
        out.remedy = fmt::format("It runs in a container: give the variable with  -e {}={}  when that is made.", name,
                                 shell_word(value));
    } else if (!seen.unit.empty()) {
        out.remedy = fmt::format("{} starts the server: add the line  Environment={}={}  to its drop-in, restart it.",
                                 seen.manager, name, value);
        out.command = fmt::format("sudo systemctl edit {}", seen.unit);
    } else {
        out.remedy =
            "A server keeps the environment that it was started with: stop it, and start it from this shell. The "
            "desktop app has settings of its own.";
    }
    return out;
}

void check_model_file(Exam& exam) {
    if (!exam.sight().model_trouble) return;
    Diagnosis missing;
    missing.code = "model_missing";
    missing.severity = Severity::kProblem;
    missing.title = exam.sight().model_trouble->message;
    missing.remedy = exam.sight().model_trouble->hint;
    missing.docs = "docs/doctor.md";
    exam.find(std::move(missing));
}

}  // namespace

void check_server(Exam& exam) {
    const Facts& facts = exam.facts();
    if (facts.engine == "embedded") return exam.skip("the embedded engine has no server");
    if (facts.observed.answering || !exam.sight().at.who.empty()) return;
    Diagnosis down;
    down.severity = Severity::kProblem;
    down.evidence = installed_words(exam);
    down.docs = "docs/doctor.md";
    if (!exam.sight().elsewhere.empty()) {
        const Elsewhere& found = exam.sight().elsewhere.front();
        down.code = "server_elsewhere";
        down.title = fmt::format("Nothing listens at {}, but {} does at {}", facts.observed.url, found.who, found.url);
        down.remedy = "Name that address with --url, or in OLLAMA_HOST for all programs.";
        down.command = fmt::format("velollm doctor -b {} --url {}", backend_word(facts.engine), found.url);
    } else {
        down.code = "server_down";
        down.title = fmt::format("{} is not running", engine_words(facts.engine));
        add_start(exam, down);
    }
    exam.find(std::move(down));
}

void check_address(Exam& exam) {
    const Facts& facts = exam.facts();
    const AtAddress& at = exam.sight().at;
    if (facts.engine == "embedded") return exam.skip("the embedded engine has no server");
    if (facts.observed.answering) return;
    if (at.who.empty()) return exam.skip("nobody answers there");
    Diagnosis wrong;
    wrong.code = "wrong_url";
    wrong.severity = Severity::kProblem;
    wrong.title = fmt::format("{} is not {}", facts.observed.url, engine_words(facts.engine));
    wrong.evidence = {fmt::format("what answers there is {}", at.who)};
    wrong.docs = "docs/doctor.md";
    if (!exam.sight().elsewhere.empty()) {
        const Elsewhere& found = exam.sight().elsewhere.front();
        wrong.evidence.push_back(fmt::format("{} answers at {}", found.who, found.url));
        wrong.remedy = "Take that address.";
        wrong.command = fmt::format("velollm doctor -b {} --url {}", backend_word(facts.engine), found.url);
    } else if (!at.engine.empty()) {
        wrong.remedy = "Name the engine that it is, or the other one's address.";
        wrong.command =
            fmt::format("velollm doctor -b {} --url {}", backend_word(at.engine), shell_word(facts.observed.url));
    } else {
        wrong.remedy = fmt::format("Look up the server's address: {} is usual.",
                                   facts.engine == "ollama" ? "http://localhost:11434" : "http://localhost:8080");
    }
    exam.find(std::move(wrong));
}

/// A model that is there, and doesn't come up: by the log's last word on a load.
void check_last_load(Exam& exam) {
    const std::string& log = exam.facts().observed.log;
    constexpr std::string_view kFailed = "msg=\"Load failed\"";
    const std::size_t failed = log.rfind(kFailed);
    if (failed == std::string::npos || log.find("msg=\"starting llama-server\"", failed) != std::string::npos) return;
    const std::string line = log.substr(failed, log.find('\n', failed) - failed);
    const std::size_t at = line.find("error=");
    Diagnosis out;
    out.code = "load_failed";
    out.severity = Severity::kProblem;
    out.title = "The last load of a model failed";
    out.evidence = {base::one_line(at == std::string::npos ? line : line.substr(at), 300),
                    fmt::format("the log {}", exam.facts().observed.log_path)};
    const bool cache = line.find("quantized V cache requires flash_attn") != std::string::npos;
    out.remedy = cache ? "Let the server have OLLAMA_FLASH_ATTENTION=1, or take OLLAMA_KV_CACHE_TYPE away."
                       : "Mend what its words name, and use the model again.";
    out.docs = "docs/doctor.md";
    exam.find(std::move(out));
}

void check_model(Exam& exam) {
    const Facts& facts = exam.facts();
    if (facts.engine == "embedded") return check_model_file(exam);
    if (!exam.needs_answer()) return;
    if (facts.engine != "ollama") return exam.skip("llama-server holds one model, whatever name is asked for");
    if (!exam.sight().models) return exam.skip("the server didn't list its models");
    const std::vector<std::string>& names = *exam.sight().models;
    const auto same = [&](const std::string& name) {
        return base::lower(name) == base::lower(facts.model) ||
               base::lower(name) == base::lower(facts.model + ":latest");
    };
    if (std::any_of(names.begin(), names.end(), same)) return check_last_load(exam);
    Diagnosis missing;
    missing.code = "model_missing";
    missing.severity = Severity::kProblem;
    missing.title =
        names.empty() ? "The server has no model at all" : fmt::format("The server has no model {}", facts.model);
    const std::string near = base::nearest_names(facts.model, names, true);
    if (!near.empty()) missing.evidence.push_back(fmt::format("near it are: {}", near));
    constexpr std::size_t kFew = 5;
    const std::vector<std::string> few(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(std::min(kFew, names.size())));
    missing.evidence.push_back(names.empty() ? fmt::format("{}/api/tags lists none", facts.observed.url)
                                             : fmt::format("of its {} models: {}", names.size(), fmt::join(few, ", ")));
    missing.remedy = near.empty() ? "Get it." : "Take one of those, or get it.";
    missing.command = ollama_command(facts, fmt::format("ollama pull {}", shell_word(facts.model)));
    missing.docs = "docs/doctor.md";
    exam.find(std::move(missing));
}

void check_shell(Exam& exam) {
    const Facts& facts = exam.facts();
    if (!exam.needs_process()) return;
    if (!facts.observed.server->env_known) return exam.skip("the server's environment isn't readable: try with sudo");
    for (const auto& [name, value] : facts.shell)
        if (auto found = judge_shell(facts, name, value)) exam.find(std::move(*found));
}

void check_dead_names(Exam& exam) {
    if (exam.facts().engine == "embedded") return exam.skip("no dead variable of the embedded engine is known");
    // Asked for itself: in the plan a name counts as in force once another rule has set its value.
    Draft draft(exam.facts());
    rule_dead_names(draft);
    for (const Finding& finding : draft.plan.findings) {
        Diagnosis dead = diagnosis_of(exam, finding, "dead_variable", Severity::kWarning);
        if (dead.remedy.empty()) dead.remedy = "Take it away: it only looks like a setting.";
        dead.command.clear();
        exam.find(std::move(dead));
    }
}

void check_settings(Exam& exam) {
    const Facts& facts = exam.facts();
    if (!exam.needs_process()) return;
    for (const Proof& proof : prove(expected_of_server(facts), facts)) {
        if (proof.state != ProofState::kNotApplied) continue;
        if (judge_name(facts.engine, facts.version, "environment", proof.knob).use != NameUse::kRead &&
            find_knob(facts.engine, facts.version, "modelfile", proof.knob) == nullptr)
            continue;  // a name that nothing reads is told above
        Diagnosis unused;
        unused.code = "not_in_force";
        unused.title = fmt::format("{}={} is set, and something else is in force", proof.knob, proof.expected);
        unused.evidence = {fmt::format("{}: {}", proof.place, proof.observed.empty() ? "nothing" : proof.observed)};
        if (!proof.why.empty()) unused.evidence.push_back(proof.why);
        unused.remedy = "Take away the one that isn't meant.";
        unused.command =
            facts.engine == "llama-server"
                ? fmt::format("velollm optimize --check -b llamacpp --url {}", shell_word(facts.observed.url))
                : fmt::format("velollm optimize --check --url {}", shell_word(facts.observed.url));
        unused.docs = "docs/optimize.md, the proof";
        exam.find(std::move(unused));
    }
}

void check_version(Exam& exam) {
    const Facts& facts = exam.facts();
    if (facts.engine == "embedded") return;
    if (facts.version.empty()) return exam.skip("the engine didn't say its version");
    const bool ollama = facts.engine == "ollama";
    const char* newer = ollama ? kNewOllama : kNewLlamaServer;
    if (!version_less(facts.version, newer)) return;
    Diagnosis old;
    old.code = "old_version";
    old.severity = Severity::kNote;
    old.title = fmt::format("{} {} is old", engine_words(facts.engine), facts.version);
    old.evidence = {ollama ? "from 0.30 on Ollama runs llama.cpp's own server, whose settings act (LLAMA_ARG_...)"
                           : "releases before 0.5.0 are known here by few of their settings"};
    old.remedy = "Measure before and after updating: new releases have been slower, too.";
    old.command = "velollm benchmark -o before.json";
    old.docs = "docs/doctor.md";
    exam.find(std::move(old));
}

}  // namespace velollm::optimize
