#include "optimize/proof.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "optimize/observe.h"
#include "optimize/registry.h"

namespace velollm::optimize {
namespace {

std::string as_switch(std::string text) {
    text = base::lower(text);
    for (const char* yes : {"1", "true", "on", "enabled", "yes"})
        if (text == yes) return "on";
    for (const char* no : {"0", "false", "off", "disabled", "no"})
        if (text == no) return "off";
    return text;
}

std::optional<std::string> in_process(const std::optional<ObservedProcess>& process, const serde::ReadBack& back) {
    if (!process) return std::nullopt;
    if (back.place == "command_line") return flag_value(process->words, back.keys);
    if (!back.unless.empty() && flag_value(process->words, back.unless)) return std::nullopt;
    const auto it = process->env.find(back.keys.front());
    return it == process->env.end() ? std::nullopt : std::optional(it->second);
}

const std::optional<ObservedProcess>& computing(const Observed& observed) {
    return observed.engine == "ollama" ? observed.worker : observed.server;
}

/// A variable's value as the engine reads it.
std::string as_read(const std::string& engine, const Knob& knob, const std::string& value) {
    if (engine != "ollama" || !knob.name.starts_with("OLLAMA_")) return value;
    const std::string text = ollama_value(value);
    return knob.type == "boolean" && !text.empty() ? (ollama_switch(text) ? "true" : "false") : text;
}

/// Ollama takes 0 parallel requests for "as it likes".
bool by_zero(const Knob& knob) {
    return knob.engine == "ollama" && knob.setting == "parallel";
}

/// The value says that the engine chooses.
bool is_default(const Knob& knob, const std::string& value) {
    return value == "-1" || value == "auto" || (by_zero(knob) && value == "0");
}

/// A flag may be given by its variable instead.
std::optional<Proof> by_variable(const Expected& expected, const Facts& facts) {
    const Knob* variable = knob_for(facts.engine, facts.version, "environment", expected.setting);
    const auto& server = facts.observed.server;
    if (expected.channel != "flag" || variable == nullptr || !server) return std::nullopt;
    const auto it = server->env.find(variable->name);
    const Knob* flag = find_knob(facts.engine, facts.version, "flag", expected.knob);
    if (it == server->env.end() || flag == nullptr) return std::nullopt;
    if (flag_value(server->words, names_of(*flag)) || !same_value(variable->type, it->second, expected.value))
        return std::nullopt;
    return Proof{expected.setting,
                 expected.knob,
                 expected.value,
                 it->second,
                 fmt::format("{} in the environment of the server, process {}", variable->name, server->pid),
                 ProofState::kVerified,
                 ""};
}

/// A command line is seen as a whole: a flag that isn't there is the default.
bool place_was_seen(const serde::ReadBack& back, const Observed& observed, const std::string& model) {
    const auto& process = computing(observed);
    if (back.place == "ps") return observed.find_model(model) != nullptr;
    if (back.place == "command_line") return process && !process->words.empty();
    if (back.place == "child_environment") return process && process->env_known;
    if (back.place == "environment") return observed.server && observed.server->env_known;
    return false;
}

std::string place_words(const serde::ReadBack& back, const Observed& observed) {
    const auto& process = computing(observed);
    const int pid = process ? process->pid : 0;
    if (back.place == "ps") return "/api/ps";
    if (back.place == "props") return "/props";
    if (back.place == "command_line") return fmt::format("command line of process {}", pid);
    if (back.place == "child_environment") return fmt::format("environment of the engine, process {}", pid);
    if (back.place == "environment")
        return fmt::format("environment of the server, process {}", observed.server ? observed.server->pid : 0);
    return observed.log_path.empty() ? "the server's log" : fmt::format("the log {}", observed.log_path);
}

std::string why_unseen(const Observed& observed, const Facts& facts) {
    if (!observed.answering) return fmt::format("no server answers at {}", observed.url);
    if (observed.engine == "ollama" && observed.find_model(facts.model) == nullptr)
        return fmt::format("{} isn't loaded: use it once, then check again", facts.model);
    if (!observed.server) return "the server's process can't be seen from here: try with sudo";
    return "the server shows it nowhere that this user can read";
}

/// Why a value that was written isn't the one that is in force.
std::string why_not(const Expected& expected, const Knob* knob, const Facts& facts) {
    const Observed& observed = facts.observed;
    const auto& process = computing(observed);
    if (knob == nullptr) return "";
    for (const serde::ReadBack& back : knob->read_back)
        if (process && back.place != "command_line" && !back.unless.empty())
            if (const auto flag = flag_value(process->words, back.unless))
                return fmt::format("the engine's command line has {} {}, which wins", back.unless.front(), *flag);
    for (const auto& [name, value] : observed.modelfile) {
        const Knob* parameter = find_knob(facts.engine, facts.version, "modelfile", name);
        if (expected.channel != "modelfile" && parameter != nullptr && parameter->setting == expected.setting)
            return fmt::format("the model's Modelfile has {} {}, which wins", name, value);
    }
    if (expected.channel == "modelfile")
        return fmt::format("the model {} has no {} {}: create the new tag and use it", facts.model, expected.knob,
                           expected.value);
    if (expected.channel == "request") return "the last request asked for something else, or for nothing";
    if (expected.channel == "flag") {
        const auto now = process ? flag_value(process->words, names_of(*knob)) : std::nullopt;
        return now ? fmt::format("the server was started with {} {}", expected.knob, *now)
                   : fmt::format("the server was started without {}", expected.knob);
    }
    if (!observed.server || !observed.server->env_known) return "";
    if (const auto it = observed.server->env.find(expected.knob); it != observed.server->env.end())
        return same_value(knob->type, as_read(facts.engine, *knob, it->second), expected.value)
                   ? "the server has it, and something else wins"
                   : fmt::format("the server was started with {}={}", expected.knob, it->second);
    const std::string where =
        observed.container      ? fmt::format("it runs in a container, which needs -e {}=...", expected.knob)
        : observed.unit.empty() ? "it must be started again from where the variable is set"
                                : fmt::format("{} starts it: a drop-in and 'systemctl restart {}' are needed",
                                              observed.manager, observed.unit);
    return facts.shell.contains(expected.knob)
               ? fmt::format("it is set in this shell, but the server (process {}) was started without it; {}",
                             observed.server->pid, where)
               : fmt::format("the server (process {}) was started without it; {}", observed.server->pid, where);
}

Proof prove_gone(const Expected& expected, const Facts& facts, Proof proof) {
    const auto& server = facts.observed.server;
    if (!server || !server->env_known) {
        proof.why = why_unseen(facts.observed, facts);
        return proof;
    }
    proof.place = fmt::format("environment of the server, process {}", server->pid);
    const auto it = server->env.find(expected.knob);
    if (it == server->env.end()) {
        proof.state = ProofState::kVerified;
        return proof;
    }
    proof.observed = it->second;
    if (in_force(facts.settings, expected.setting, it->second)) {
        proof.state = ProofState::kVerified;
        proof.why = "it is still there, and its value is in force by other means";
        return proof;
    }
    proof.state = ProofState::kNotApplied;
    proof.why = "the server still has it";
    return proof;
}

Proof prove_one(const Expected& expected, const Facts& facts) {
    const Observed& observed = facts.observed;
    Proof proof{expected.setting, expected.knob, expected.value, "", "", ProofState::kCannotVerify, ""};
    if (expected.value.empty()) return prove_gone(expected, facts, std::move(proof));
    const Knob* knob = find_knob(facts.engine, facts.version, expected.channel, expected.knob);
    if (knob == nullptr) {
        const NameVerdict verdict = judge_name(facts.engine, facts.version, expected.channel, expected.knob);
        const bool dead = verdict.use == NameUse::kDead || verdict.use == NameUse::kMisspelt;
        proof.state = dead ? ProofState::kNotApplied : ProofState::kCannotVerify;
        proof.why = dead ? verdict.reason : "it isn't in the registry of settings";
        if (!verdict.instead.empty()) proof.why += fmt::format(" What works: {}", verdict.instead);
        return proof;
    }
    if (!knob->unverifiable.empty()) {
        proof.why = knob->unverifiable;
        return proof;
    }
    for (const serde::ReadBack& back : knob->read_back) {
        const auto shown = shown_at(back, observed, facts.model);
        if (!shown && !place_was_seen(back, observed, facts.model)) continue;
        proof.place = place_words(back, observed);
        proof.observed = shown.value_or("");
        const std::string wanted =
            expected.channel == "environment" ? as_read(facts.engine, *knob, expected.value) : expected.value;
        const bool as_default = is_default(*knob, wanted) && (!shown || by_zero(*knob));
        const bool same = as_default || (shown && same_value(knob->type, *shown, wanted));
        if (!same)
            if (auto other = by_variable(expected, facts)) return *other;
        proof.state = same ? ProofState::kVerified : ProofState::kNotApplied;
        if (!same) proof.why = why_not(expected, knob, facts);
        return proof;
    }
    proof.why = why_unseen(observed, facts);
    return proof;
}

}  // namespace

bool same_value(const std::string& type, std::string a, std::string b) {
    a = std::string(base::trim(a));
    b = std::string(base::trim(b));
    if (a == b) return true;
    if (type == "duration") {
        const auto x = duration_seconds(a);
        const auto y = duration_seconds(b);
        // Ollama shows "for ever" as the longest time there is, of 292 years.
        constexpr double kForEver = 9e9;
        const auto for_ever = [&](double seconds) { return seconds < 0 || seconds > kForEver; };
        return x && y && (*x == *y || (for_ever(*x) && for_ever(*y)));
    }
    const auto x = base::parse_double(a);
    const auto y = base::parse_double(b);
    if (type == "integer" || type == "bytes") return x && y && *x == *y;
    return as_switch(a) == as_switch(b);
}

std::optional<std::string> shown_at(const serde::ReadBack& back, const Observed& observed, const std::string& model) {
    const std::string& key = back.keys.front();
    if (back.place == "ps") {
        const ObservedModel* loaded = observed.find_model(model);
        if (loaded == nullptr) return std::nullopt;
        return std::to_string(loaded->context);
    }
    if (back.place == "props") {
        auto value = key == "n_ctx" ? observed.slot_context : observed.slots;
        if (value && key == "n_ctx" && !observed.shares_cache()) *value *= observed.slots.value_or(1);
        return value ? std::optional(std::to_string(*value)) : std::nullopt;
    }
    if (back.place == "environment") return in_process(observed.server, back);
    if (back.place == "command_line" || back.place == "child_environment") {
        // "--load-mode none" is how Ollama says that a file isn't mapped.
        const auto& process = computing(observed);
        auto value = in_process(process, back);
        if (process && observed.engine == "ollama" && key == "-lm") return value && *value == "none" ? "false" : "true";
        return value;
    }
    if (back.place == "log_threads") {
        // Of several models the last line is of the one that was loaded last; of none, of one that is gone.
        if (observed.engine == "ollama" && (!observed.worker || observed.models.size() > 1)) return std::nullopt;
        return threads_in_log(observed.log);
    }
    if (back.place == "log_load") return load_in_log(observed.log, key);
    if (back.place == "log_config") {
        auto value = config_in_log(observed.log, key);
        return value && !value->empty() ? value : std::nullopt;
    }
    return std::nullopt;
}

std::vector<Proof> prove(const std::vector<Expected>& expected, const Facts& facts) {
    std::vector<Proof> proofs;
    for (const Expected& one : expected) proofs.push_back(prove_one(one, facts));
    return proofs;
}

std::vector<Expected> expected_of(const std::vector<Change>& changes) {
    std::vector<Expected> out;
    for (const Change& change : changes) out.push_back({change.setting, change.value, change.channel, change.knob});
    return out;
}

std::vector<Expected> expected_of_server(const Facts& facts) {
    std::vector<Expected> out;
    if (facts.observed.server)
        for (const auto& [name, value] : facts.observed.server->env) {
            const NameVerdict verdict = judge_name(facts.engine, facts.version, "environment", name);
            if (value.empty() || verdict.use == NameUse::kUnknown) continue;
            if (verdict.use == NameUse::kRead && verdict.setting.empty()) continue;  // read for another end
            if (sent_by_us(name) && in_force(facts.settings, verdict.setting, value)) continue;
            // Which is meant to win for this model.
            if (verdict.use == NameUse::kRead && in_modelfile(facts, verdict.setting)) continue;
            out.push_back({verdict.setting, value, "environment", name});
        }
    for (const auto& [name, value] : facts.observed.modelfile)
        if (const Knob* knob = find_knob(facts.engine, facts.version, "modelfile", name))
            out.push_back({knob->setting, value, "modelfile", name});
    return out;
}

std::string_view state_name(ProofState state) {
    if (state == ProofState::kVerified) return "verified";
    return state == ProofState::kNotApplied ? "not applied" : "cannot verify";
}

std::string proofs_text(const std::vector<Proof>& proofs) {
    std::string text;
    for (const Proof& proof : proofs) {
        const std::string name = proof.expected.empty() ? fmt::format("no {}", proof.knob)
                                                        : fmt::format("{}={}", proof.knob, proof.expected);
        std::string rest = proof.place;
        if (proof.state == ProofState::kNotApplied && !proof.observed.empty())
            rest = fmt::format("{}: {}", proof.place, proof.observed);
        if (!proof.why.empty()) rest += fmt::format("{}{}", rest.empty() ? "" : "; ", proof.why);
        text += fmt::format("  {:<13}  {:<32}  {}\n", state_name(proof.state), base::one_line(name, 400),
                            base::one_line(rest, 2000));
    }
    return base::printable(std::move(text));
}

}  // namespace velollm::optimize
