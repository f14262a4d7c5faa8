#include <fmt/core.h>

#include <algorithm>

#include "base/json_writer.h"
#include "report/compare_report.h"
#include "report/compare_words.h"
#include "report/delimited.h"

namespace velollm::report {
namespace {

using base::JsonWriter;
using compare::BenchmarkComparison;
using compare::Candidate;
using compare::Comparison;
using compare::MetricComparison;

constexpr int kDecimals = 6;

void write_texts(JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
    json.key(key).begin_array();
    for (const std::string& text : texts) json.value(text);
    json.end_array();
}

void write_factors(JsonWriter& json, std::string_view key, const std::optional<stats::Factors>& factors) {
    json.key(key);
    if (!factors) {
        json.null();
        return;
    }
    json.begin_object().field("low", factors->low, kDecimals).field("high", factors->high, kDecimals);
    json.field("level", factors->level, kDecimals).end_object();
}

void write_values(JsonWriter& json, std::string_view key, const compare::Values& values) {
    json.key(key).begin_object().field("n", std::uint64_t{values.n});
    json.field("value", values.centre, kDecimals).field("is", values.centre_is);
    if (values.drawn_from > 0) json.field("drawn_from", std::uint64_t{values.drawn_from});
    if (!values.few.empty()) {
        json.key("all").begin_array();
        for (const double value : values.few) json.value(value, kDecimals);
        json.end_array();
    }
    json.end_object();
}

void write_metric(JsonWriter& json, const MetricComparison& metric, double delta) {
    const stats::Judgement& judgement = metric.judgement;
    json.begin_object().field("metric", metric.key).field("higher_is_better", metric.higher_is_better);
    json.field("primary", metric.primary).field("paired", metric.paired);
    write_values(json, "baseline", metric.baseline);
    write_values(json, "compared", metric.other);
    json.field("ratio", judgement.factor, kDecimals);
    write_factors(json, "interval", judgement.interval);
    write_factors(json, "interval_for_same", judgement.within);
    json.key("p");
    judgement.interval ? json.value(judgement.p, kDecimals) : json.null();
    json.field("verdict", stats::decision_name(judgement.decision)).field("alpha", metric.alpha, kDecimals);
    json.key("visible");
    judgement.visible ? json.value(*judgement.visible, kDecimals) : json.null();
    json.key("n_for_delta");
    judgement.pairs_for_delta ? json.value(std::uint64_t{*judgement.pairs_for_delta}) : json.null();
    json.field("may_be_worse", compare::may_be_worse(metric, delta)).field("left_out", std::uint64_t{metric.left_out});
    json.field("remark", remark_text(metric, delta)).end_object();
}

void write_benchmark(JsonWriter& json, const BenchmarkComparison& one, double delta) {
    json.begin_object().field("name", one.name).field("paired", one.paired);
    json.field("baseline_runs", std::uint64_t{one.baseline_runs}).field("compared_runs", std::uint64_t{one.runs});
    json.field("baseline_measured", one.baseline_when).field("compared_measured", one.when);
    json.key("metrics").begin_array();
    for (const MetricComparison& metric : one.metrics) write_metric(json, metric, delta);
    json.end_array();
    json.key("not_compared").begin_array();
    for (const compare::NotCompared& other : one.not_compared)
        json.begin_object().field("metric", other.key).field("because", other.because).end_object();
    json.end_array().end_object();
}

void write_candidate(JsonWriter& json, const Candidate& candidate, const Comparison& comparison) {
    const double delta = comparison.question.rule.delta;
    json.begin_object().field("name", candidate.name);
    json.field("outcome", compare::outcome_name(compare::outcome_of(candidate, delta)));
    json.key("differences").begin_array();
    for (const auto& [difference, benchmarks] : candidate.differences) {
        json.begin_object().field("key", difference.key).field("baseline", difference.baseline);
        json.field("compared", difference.other).field("weight", compare::weight_name(difference.weight));
        write_texts(json, "benchmarks", benchmarks);
        json.end_object();
    }
    json.end_array();
    write_texts(json, "unknown", candidate.unknown);
    json.key("benchmarks").begin_array();
    for (const BenchmarkComparison& one : candidate.benchmarks) write_benchmark(json, one, delta);
    json.end_array();
    write_texts(json, "only_in_baseline", candidate.only_in_baseline);
    write_texts(json, "only_in_compared", candidate.only_here);
    json.key("geometric_means").begin_array();
    for (const compare::Mean& mean : candidate.means)
        json.begin_object()
            .field("metric", mean.key)
            .field("ratio", mean.factor, kDecimals)
            .field("benchmarks", std::uint64_t{mean.benchmarks})
            .end_object();
    json.end_array();
    write_texts(json, "notes", candidate.notes);
    json.end_object();
}

std::string optional_number(const std::optional<double>& value) {
    return value ? fmt::format("{:.6f}", *value) : "";
}

std::vector<std::string> csv_fields(const Candidate& candidate, const BenchmarkComparison& one,
                                    const MetricComparison& metric, const Comparison& comparison) {
    const stats::Judgement& judgement = metric.judgement;
    const auto& interval = judgement.interval;
    const auto yes = [](bool flag) { return std::string(flag ? "yes" : "no"); };
    return {comparison.baseline,
            candidate.name,
            one.name,
            metric.key,
            yes(metric.primary),
            yes(metric.paired),
            fmt::format("{}", metric.baseline.n),
            fmt::format("{}", metric.other.n),
            fmt::format("{:.6f}", metric.baseline.centre),
            fmt::format("{:.6f}", metric.other.centre),
            fmt::format("{:.6f}", judgement.factor),
            interval ? fmt::format("{:.6f}", interval->low) : "",
            interval ? fmt::format("{:.6f}", interval->high) : "",
            interval ? fmt::format("{:.4f}", interval->level) : "",
            interval ? fmt::format("{:.6f}", judgement.p) : "",
            std::string(stats::decision_name(judgement.decision)),
            optional_number(judgement.visible),
            judgement.pairs_for_delta ? fmt::format("{}", *judgement.pairs_for_delta) : "",
            remark_text(metric, comparison.question.rule.delta)};
}

std::string markdown_interval(const MetricComparison& metric) {
    const std::string interval = interval_text(metric);
    return interval.empty() ? "none" : interval + " " + level_text(metric);
}

std::string markdown_row(const std::vector<std::string>& cells) {
    std::string row = "|";
    for (const std::string& cell : cells) row += " " + markdown_cell(cell) + " |";
    return row + "\n";
}

std::string markdown_value(const MetricComparison& metric, double value) {
    const std::string unit = measure_unit(metric.key);
    return value_text(metric.key, value) + (unit.empty() ? "" : " " + unit);
}

}  // namespace

std::string comparison_json(const Comparison& comparison, int indent) {
    JsonWriter json(indent);
    json.begin_object().field("schema", "velollm-comparison-1");
    json.field("delta", comparison.question.rule.delta, kDecimals);
    write_texts(json, "varied", {comparison.question.varied.begin(), comparison.question.varied.end()});
    json.field("forced", comparison.question.force);
    json.key("baseline").begin_object().field("name", comparison.baseline).key("identity").begin_object();
    for (const auto& [key, value] : comparison.identity)
        if (!value.empty()) json.field(key, value);
    json.end_object();
    write_texts(json, "notes", comparison.baseline_notes);
    json.end_object();
    json.field("outcome", compare::outcome_name(comparison.outcome));
    json.key("compared").begin_array();
    for (const Candidate& candidate : comparison.candidates) write_candidate(json, candidate, comparison);
    json.end_array().end_object();
    return json.text() + "\n";
}

std::string comparison_csv(const Comparison& comparison) {
    std::string text = csv_row({"baseline", "compared", "benchmark", "metric", "primary", "paired", "baseline_n",
                                "compared_n", "baseline_value", "compared_value", "ratio", "low", "high", "level", "p",
                                "verdict", "visible", "n_for_delta", "remark"});
    for (const Candidate& candidate : comparison.candidates)
        for (const BenchmarkComparison& one : candidate.benchmarks)
            for (const MetricComparison& metric : one.metrics)
                text += csv_row(csv_fields(candidate, one, metric, comparison));
    return text;
}

std::string comparison_markdown(const Comparison& comparison) {
    const bool one_other = comparison.candidates.size() == 1;
    std::vector<std::string> titles = {"benchmark", "measure", one_other ? comparison.baseline : "A"};
    if (!one_other) titles.emplace_back("compared");
    titles.push_back(one_other ? comparison.candidates.front().name : "value");
    titles.insert(titles.end(), {"change", "interval", "verdict", "n"});
    std::string text = markdown_row(titles) + "|";
    for (std::size_t i = 0; i < titles.size(); ++i) text += "---|";
    text += "\n";
    for (const ComparedRow& row : rows_of(comparison)) {
        for (const MetricComparison& metric : row.benchmark->metrics) {
            if (!one_other && !metric.primary) continue;
            std::vector<std::string> cells = {row.benchmark->name, measure_title(metric.key),
                                              markdown_value(metric, metric.baseline.centre)};
            if (!one_other) cells.push_back(letter(row.candidate + 1));
            cells.push_back(markdown_value(metric, metric.other.centre));
            cells.insert(cells.end(), {change_text(metric), markdown_interval(metric),
                                       verdict_word(metric.judgement.decision), amount_text(metric)});
            text += markdown_row(cells);
        }
    }
    const std::string identity = identity_text(comparison.identity);
    text += fmt::format("\nResult, with {} as the limit: {}.\n\n- {}{}: {}\n",
                        share_text(comparison.question.rule.delta), outcome_text(comparison), one_other ? "" : "A, ",
                        comparison.baseline, identity.empty() ? "engine and model unknown" : identity);
    for (std::size_t i = 0; i < comparison.candidates.size(); ++i) {
        const Candidate& candidate = comparison.candidates[i];
        text +=
            fmt::format("- {}{}: {}", one_other ? "" : letter(i + 1) + ", ", candidate.name, taking_text(candidate));
        for (const compare::SeenDifference& seen : candidate.differences)
            text += "; " + difference_text(seen, candidate.benchmarks.size());
        text += "\n";
    }
    for (const ComparedRow& row : rows_of(comparison))
        for (const MetricComparison& metric : row.benchmark->metrics) {
            const std::string remark = remark_text(metric, comparison.question.rule.delta);
            if (remark.empty() || (!one_other && !metric.primary)) continue;
            text += fmt::format("- {}, {}{}: {}\n", row.benchmark->name,
                                one_other ? "" : letter(row.candidate + 1) + ", ", measure_title(metric.key), remark);
        }
    for (const std::string& line : mean_lines(comparison)) text += fmt::format("- {}\n", line);
    for (const std::string& line : note_lines(comparison)) text += fmt::format("- Note: {}\n", line);
    return text;
}

}  // namespace velollm::report
