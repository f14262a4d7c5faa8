#include "report/compare_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "report/compare_words.h"

namespace velollm::report {
namespace {

using compare::BenchmarkComparison;
using compare::Candidate;
using compare::Comparison;
using compare::MetricComparison;
using stats::Decision;

constexpr std::size_t kColumns = 100;

/// Breaks at blanks; lines after the first stand under `indent` blanks.
std::string wrapped(const std::string& text, std::size_t indent) {
    const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
    std::string out = text.substr(0, begin);
    std::size_t column = begin;
    std::size_t words = 0;
    for (const std::string_view word : base::split(std::string_view(text).substr(begin), ' ')) {
        if (words++ > 0 && column + 1 + word.size() > kColumns) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        } else if (words > 1) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out + "\n";
}

/// The end of a long name: the beginning is the folder.
std::string cut(const std::string& name, std::size_t width) {
    if (name.size() <= width) return name;
    std::size_t from = name.size() - (width - 2);
    while (from < name.size() && (static_cast<unsigned char>(name[from]) & 0xC0U) == 0x80U) ++from;
    return ".." + name.substr(from);
}

std::string measure_line(const MetricComparison& metric, double delta) {
    const stats::Judgement& judgement = metric.judgement;
    std::string text = fmt::format("  {:<8} {} ", verdict_word(judgement.decision), measure_title(metric.key));
    if (judgement.decision == Decision::kSame) text += fmt::format("within {}: ", share_text(delta));
    text += change_text(metric);
    const std::string interval = interval_text(metric);
    if (!interval.empty()) text += fmt::format(" {} {}", interval, level_text(metric));
    text += "  " + amount_text(metric);
    if (judgement.interval && judgement.decision != Decision::kSame) text += ", " + p_text(metric);
    const std::string unit = measure_unit(metric.key);
    text += fmt::format("  ({} -> {}{})", value_text(metric.key, metric.baseline.centre),
                        value_text(metric.key, metric.other.centre), unit.empty() ? "" : " " + unit);
    text = wrapped(text, 11);
    const std::string remark = remark_text(metric, delta);
    return remark.empty() ? text : text + wrapped(std::string(11, ' ') + remark, 11);
}

std::string sentences(const Candidate& candidate, double delta) {
    std::string text;
    for (const BenchmarkComparison& one : candidate.benchmarks) {
        if (one.metrics.empty()) continue;
        text += "\n" + wrapped(one.name, 0);
        for (const MetricComparison& metric : one.metrics) text += measure_line(metric, delta);
    }
    return text;
}

std::string head(const Comparison& comparison) {
    std::string text = wrapped("A  " + comparison.baseline + "  (baseline)", 3);
    const std::string identity = identity_text(comparison.identity);
    if (!identity.empty()) text += wrapped("   " + identity, 5);
    for (std::size_t i = 0; i < comparison.candidates.size(); ++i) {
        const Candidate& candidate = comparison.candidates[i];
        text += wrapped(letter(i + 1) + "  " + candidate.name, 3);
        for (const compare::SeenDifference& seen : candidate.differences)
            text += wrapped("   " + difference_text(seen, candidate.benchmarks.size()), 5);
        text += wrapped("   " + taking_text(candidate), 5);
    }
    return text;
}

using Row = std::vector<std::string>;

Row table_row(const Candidate& candidate, std::size_t index, const BenchmarkComparison& one) {
    const MetricComparison& primary = one.metrics.front();
    const std::string interval = interval_text(primary);
    return {letter(index) + " " + candidate.name,
            verdict_word(primary.judgement.decision),
            value_text(primary.key, primary.other.centre),
            change_text(primary),
            interval.empty() ? "too few" : interval,
            level_text(primary),
            amount_text(primary)};
}

/// The rows with their columns under one another; the first one takes what width is left.
std::string laid_out(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size() && row.size() > 1; ++i) {
            widths.resize(std::max(widths.size(), row.size()));
            widths[i] = std::max(widths[i], row[i].size());
        }
    std::size_t rest = 2;
    for (std::size_t i = 1; i < widths.size(); ++i) rest += 2 + widths[i];
    if (!widths.empty() && widths[0] + rest > kColumns) widths[0] = kColumns - std::min(rest, kColumns - 12);
    std::string text;
    for (const Row& row : rows) {
        if (row.size() == 1) {
            text += "\n" + wrapped(row.front(), 2);
            continue;
        }
        const std::string name = row[0].substr(0, 2) + cut(row[0].substr(2), widths[0] - 2);
        std::string line = fmt::format("  {:<{}}", name, widths[0]);
        for (std::size_t i = 1; i < row.size(); ++i) {
            const bool number = i == 2 || i == 3 || i == 5;
            line += number ? fmt::format("  {:>{}}", row[i], widths[i]) : fmt::format("  {:<{}}", row[i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

/// All sides under each benchmark of the baseline.
std::string table(const Comparison& comparison) {
    std::vector<Row> rows;
    std::string last;
    for (const ComparedRow& row : rows_of(comparison)) {
        const MetricComparison& primary = row.benchmark->metrics.front();
        if (rows.empty() || row.benchmark->name != last)
            rows.push_back({fmt::format("{}: {} {}, A {}", row.benchmark->name, measure_title(primary.key),
                                        measure_unit(primary.key), value_text(primary.key, primary.baseline.centre))});
        last = row.benchmark->name;
        rows.push_back(table_row(comparison.candidates[row.candidate], row.candidate + 1, *row.benchmark));
    }
    return laid_out(rows);
}

std::string as_notes(const std::vector<std::string>& lines, const std::string& mark, std::size_t indent) {
    std::string text;
    for (const std::string& line : lines) text += wrapped(mark + line, indent);
    return text;
}

}  // namespace

std::vector<std::string> mean_lines(const Comparison& comparison) {
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < comparison.candidates.size(); ++i) {
        for (const compare::Mean& mean : comparison.candidates[i].means) {
            MetricComparison change;
            change.judgement.factor = mean.factor;
            const std::string who = comparison.candidates.size() == 1 ? "Geometric" : letter(i + 1) + ", geometric";
            lines.push_back(fmt::format("{} mean of {} benchmarks: {} {}", who, mean.benchmarks,
                                        measure_title(mean.key), change_text(change)));
        }
    }
    return lines;
}

std::vector<std::string> note_lines(const Comparison& comparison) {
    std::vector<std::string> lines;
    const auto say = [&](const std::string& note) {
        if (std::find(lines.begin(), lines.end(), note) == lines.end()) lines.push_back(note);
    };
    // Notes of files tell of tools and folders, not of sides.
    for (const std::string& note : comparison.baseline_notes) say(note);
    for (const Candidate& candidate : comparison.candidates)
        for (const std::string& note : candidate.notes) say(note);
    for (std::size_t i = 0; i < comparison.candidates.size(); ++i) {
        const std::string who = comparison.candidates.size() == 1 ? "" : letter(i + 1) + ": ";
        for (const std::string& note : candidate_notes(comparison.candidates[i], comparison.baseline)) say(who + note);
    }
    return lines;
}

std::string comparison_text(const Comparison& comparison, bool verbose) {
    const double delta = comparison.question.rule.delta;
    const bool one_other = comparison.candidates.size() == 1;
    std::string text = head(comparison);
    if (one_other) text += sentences(comparison.candidates.front(), delta);
    for (std::size_t i = 0; verbose && !one_other && i < comparison.candidates.size(); ++i) {
        const Candidate& candidate = comparison.candidates[i];
        text += "\n" + wrapped(fmt::format("{} against A: {}", letter(i + 1), candidate.name), 2);
        text += sentences(candidate, delta);
    }
    if (!one_other) text += table(comparison);
    const std::string mean = as_notes(mean_lines(comparison), "", 2);
    if (!mean.empty()) text += "\n" + mean;
    const std::string said = as_notes(note_lines(comparison), "Note: ", 6);
    if (!said.empty()) text += "\n" + said;
    return text + "\n" +
           wrapped(fmt::format("Result, with {} as the limit: {}", share_text(delta), outcome_text(comparison)), 2);
}

}  // namespace velollm::report
