#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/json_writer.h"
#include "base/text.h"
#include "optimize/doctor_checks.h"

namespace velollm::optimize {
namespace {

std::string counted(int count, std::string_view word) {
    return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string first_line(const Report& report, bool unicode) {
    std::vector<std::string> parts;
    for (const Severity severity : {Severity::kProblem, Severity::kWarning, Severity::kNote})
        if (const int count = report.count(severity); count > 0)
            parts.push_back(counted(count, severity_name(severity)));
    std::string what = engine_words(report.engine);
    if (!report.version.empty()) what += " " + report.version;
    for (const std::string& more : {report.model, report.url})
        if (!more.empty()) what += ", " + more;
    if (parts.empty())
        return fmt::format("{}Nothing wrong found; {}: {}\n", unicode ? "✓ " : "", counted(report.checks, "check"),
                           what);
    return fmt::format("{} found: {}\n", fmt::join(parts, ", "), what);
}

std::string gain_words(const std::vector<Effect>& gain) {
    std::string text;
    for (const Effect& effect : gain) {
        if (effect.high <= effect.low && effect.high == 1.0) continue;
        if (!text.empty()) text += ", ";
        text += effect.high <= 1.0 ? fmt::format("{} x {:.2g} to {:.2g}", effect.metric, effect.low, effect.high)
                                   : fmt::format("{} {:.2g} to {:.2g} times", effect.metric, effect.low, effect.high);
    }
    return text;
}

std::string severity_title(Severity severity) {
    std::string word(severity_name(severity));
    word.front() = static_cast<char>(word.front() - 'a' + 'A');
    return word;
}

/// `text` behind a label of eight columns, broken between words; what follows the first line stands below its text.
std::string wrapped(std::string_view label, std::string_view text, std::size_t indent) {
    constexpr std::size_t kColumns = 100;
    std::string out(label);
    std::size_t column = label.size();
    bool first = true;
    for (const std::string_view word : base::split(text, ' ')) {
        if (!first && column + 1 + word.size() > kColumns) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
            first = true;
        }
        if (!first) out += ' ';
        out += word;
        column += word.size() + (first ? 0 : 1);
        first = false;
    }
    return out + "\n";
}

constexpr std::size_t kLabel = 8;

std::string diagnosis_text(const Diagnosis& found) {
    std::string text = fmt::format("{}: {}  [{}]\n", severity_title(found.severity), found.title, found.code);
    if (!found.evidence.empty())
        text += wrapped("  seen  ", fmt::format("{}", fmt::join(found.evidence, "; ")), kLabel);
    if (!found.remedy.empty()) text += wrapped("  do    ", found.remedy, kLabel);
    if (!found.command.empty()) text += fmt::format("  run   {}\n", found.command);
    const std::string gain = gain_words(found.gain);
    if (!gain.empty() || !found.docs.empty())
        text += fmt::format("  {}  {}{}{}\n", gain.empty() ? "more" : "gain", gain,
                            gain.empty() || found.docs.empty() ? "" : "; more: ", found.docs);
    return text;
}

std::string benchmark_command(const Report& report) {
    std::string words = "velollm benchmark";
    if (!report.model.empty()) words += " -m " + shell_word(report.model);
    if (report.engine != "ollama") words += report.engine == "embedded" ? " -b embedded" : " -b llamacpp";
    if (report.engine != "embedded") words += " --url " + shell_word(report.url);
    return words;
}

std::string next_step(const Report& report) {
    if (report.findings.empty()) return benchmark_command(report);
    for (const Diagnosis& found : report.findings)
        if (found.severity != Severity::kNote && !found.command.empty()) return found.command;
    if (report.findings.front().severity == Severity::kNote) return benchmark_command(report);
    return "mend the first of these, then 'velollm doctor' again";
}

void write_text(base::JsonWriter& json, std::string_view key, const std::string& text) {
    if (text.empty())
        json.key(key).null();
    else
        json.field(key, text);
}

void write_diagnosis(base::JsonWriter& json, const Diagnosis& found) {
    json.begin_object().field("code", found.code).field("severity", severity_name(found.severity));
    json.field("title", found.title).key("evidence").begin_array();
    for (const std::string& one : found.evidence) json.value(one);
    json.end_array();
    write_text(json, "remedy", found.remedy);
    write_text(json, "command", found.command);
    json.key("expected").begin_array();
    for (const Effect& effect : found.gain)
        json.begin_object()
            .field("metric", effect.metric)
            .field("factor_low", effect.low, 3)
            .field("factor_high", effect.high, 3)
            .end_object();
    json.end_array();
    write_text(json, "docs", found.docs);
    json.end_object();
}

}  // namespace

std::string report_text(const Report& report, bool unicode) {
    std::string text = first_line(report, unicode);
    for (const Diagnosis& found : report.findings) text += "\n" + diagnosis_text(found);
    if (!report.findings.empty()) text += fmt::format("\n{} made.\n", counted(report.checks, "check"));
    if (!report.unchecked.empty()) {
        // One line for each reason: several checks often lack the same thing.
        text += "Not checked:\n";
        std::vector<std::string> told;
        for (const Unchecked& one : report.unchecked) {
            if (std::find(told.begin(), told.end(), one.why) != told.end()) continue;
            told.push_back(one.why);
            std::vector<std::string> names;
            for (const Unchecked& other : report.unchecked)
                if (other.why == one.why) names.push_back(other.check);
            text += wrapped("  ", fmt::format("{}: {}", fmt::join(names, ", "), one.why), 4);
        }
    }
    return base::printable(text + fmt::format("Next:  {}\n", next_step(report)));
}

std::string report_json(const Report& report, int indent, const std::string& created) {
    base::JsonWriter json(indent);
    json.begin_object().field("schema", "velollm-doctor-1");
    if (!created.empty()) json.field("created", created);
    json.field("engine", report.engine);
    write_text(json, "version", report.version);
    write_text(json, "model", report.model);
    write_text(json, "url", report.url);
    json.field("checks", report.checks);
    json.field("problems", report.count(Severity::kProblem)).field("warnings", report.count(Severity::kWarning));
    json.field("notes", report.count(Severity::kNote));
    json.key("findings").begin_array();
    for (const Diagnosis& found : report.findings) write_diagnosis(json, found);
    json.end_array().key("unchecked").begin_array();
    for (const Unchecked& one : report.unchecked)
        json.begin_object().field("check", one.check).field("why", one.why).end_object();
    json.end_array();
    write_text(json, "next", next_step(report));
    json.end_object();
    return json.text();
}

}  // namespace velollm::optimize
