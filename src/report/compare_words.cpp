#include "report/compare_words.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "metrics/table.h"

namespace velollm::report {
namespace {

using compare::MetricComparison;
using stats::Decision;

const metrics::Metric* known_metric(const std::string& key) {
    for (const metrics::Metric& metric : metrics::metric_table())
        if (metric.key == key) return &metric;
    return nullptr;
}

double percent(double factor) {
    return 100.0 * (factor - 1.0);
}

/// What a verdict rests on: "same" has an interval of its own.
const std::optional<stats::Factors>& shown_interval(const MetricComparison& metric) {
    const bool same = metric.judgement.decision == Decision::kSame && metric.judgement.within;
    return same ? metric.judgement.within : metric.judgement.interval;
}

/// No more digits than the interval supports, and enough to see that a small change isn't none.
int decimals(const MetricComparison& metric) {
    const auto& interval = shown_interval(metric);
    if (!interval) return 1;
    const bool near = std::min(std::abs(percent(interval->low)), std::abs(percent(interval->high))) < 0.05;
    const bool small = metric.judgement.decision == Decision::kSmall;
    return interval->high - interval->low < 0.002 || (small && near) ? 2 : 1;
}

std::string signed_text(double value, int digits) {
    const std::string text = fmt::format("{:+.{}f}", value, digits);
    // "-0.0" says nothing.
    return text.find_first_of("123456789") == std::string::npos ? fmt::format("{:.{}f}", 0.0, digits) : text;
}

std::string joined(const std::vector<std::string>& words, const char* between = ", ") {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

/// A share of which two digits are known.
std::string about_text(double share) {
    const double value = 100.0 * share;
    return fmt::format("{:.{}f} %", value, value < 1.0 ? 2 : value < 10.0 ? 1 : 0);
}

std::string values_list(const compare::Values& values, const std::string& key) {
    std::string text;
    for (const double value : values.few) text += (text.empty() ? "" : " ") + value_text(key, value);
    return text;
}

std::vector<std::string> why_unclear(const MetricComparison& metric, double delta) {
    const stats::Judgement& judgement = metric.judgement;
    std::vector<std::string> parts;
    if (!metric.because.empty()) parts.push_back(metric.because);
    if (!metric.baseline.few.empty() && !metric.other.few.empty() && metric.baseline.n + metric.other.n > 2)
        parts.push_back(fmt::format("{} against {}", values_list(metric.baseline, metric.key),
                                    values_list(metric.other, metric.key)));
    if (judgement.visible)
        parts.push_back(fmt::format("this test could only see {} or more", about_text(*judgement.visible)));
    if (judgement.pairs_for_delta)
        parts.push_back(fmt::format("{} takes about {} {}", share_text(delta), *judgement.pairs_for_delta,
                                    metric.paired ? "pairs" : "values on each side"));
    return parts;
}

/// What of many values was taken; empty where all were.
std::string drawn_text(const MetricComparison& metric) {
    const auto all = [](const compare::Values& values) { return std::max(values.n, values.drawn_from); };
    if (metric.baseline.drawn_from == 0 && metric.other.drawn_from == 0) return "";
    if (metric.paired) return fmt::format("drawn at random from {} pairs", metric.baseline.drawn_from);
    return fmt::format("drawn at random from {} and {} values", all(metric.baseline), all(metric.other));
}

/// The words of a text that another one lacks: of long settings those that differ.
std::string words_only_in(const std::string& text, const std::string& other) {
    const std::vector<std::string_view> there = base::split(other, ' ');
    std::string out;
    for (const std::string_view word : base::split(text, ' '))
        if (std::find(there.begin(), there.end(), word) == there.end())
            out += (out.empty() ? "" : " ") + std::string(word);
    return out;
}

}  // namespace

std::string measure_title(const std::string& key) {
    if (key == "tokens_per_second") return "overall";
    if (key == "time_to_first_token_ms") return "TTFT";
    if (key == "total_time_ms") return "total time";
    const metrics::Metric* metric = known_metric(key);
    if (metric == nullptr) return key;
    std::string title(metric->title);
    const bool word = title.size() > 1 && title[1] >= 'a' && title[1] <= 'z';
    if (word) title[0] = static_cast<char>(title[0] - 'A' + 'a');
    return title;
}

std::string measure_unit(const std::string& key) {
    if (key == "tokens_per_second") return "tok/s";
    if (const metrics::Metric* metric = known_metric(key)) return std::string(metric->unit);
    return key.ends_with("_ms") ? "ms" : "";
}

std::string value_text(const std::string& key, double value) {
    const metrics::Metric* metric = known_metric(key);
    // A slow model's speed keeps three digits.
    const int usual = metric == nullptr ? 1 : metric->decimals;
    return fmt::format("{:.{}f}", value, std::abs(value) < 10.0 ? std::max(usual, 2) : usual);
}

std::string verdict_word(Decision decision) {
    switch (decision) {
        case Decision::kFaster: return "FASTER";
        case Decision::kSlower: return "SLOWER";
        case Decision::kSmall: return "SMALL";
        case Decision::kSame: return "SAME";
        case Decision::kUnclear: return "UNCLEAR";
    }
    return "";
}

std::string change_text(const MetricComparison& metric) {
    return signed_text(percent(metric.judgement.factor), decimals(metric)) + " %";
}

std::string interval_text(const MetricComparison& metric) {
    const auto& interval = shown_interval(metric);
    if (!interval) return "";
    const int digits = decimals(metric);
    return fmt::format("[{}, {}]", signed_text(percent(interval->low), digits),
                       signed_text(percent(interval->high), digits));
}

std::string level_text(const MetricComparison& metric) {
    const auto& interval = shown_interval(metric);
    return interval ? fmt::format("{:.1f} %", 100.0 * interval->level) : "";
}

std::string amount_text(const MetricComparison& metric) {
    const std::size_t a = metric.baseline.n;
    const std::size_t b = metric.other.n;
    if (metric.paired) return fmt::format("{} {}", a, a == 1 ? "pair" : "pairs");
    if (a == 0 && b == 0) return "summaries";
    if (a == 0) return fmt::format("a summary and {} {}", b, b == 1 ? "value" : "values");
    if (b == 0) return fmt::format("{} {} and a summary", a, a == 1 ? "value" : "values");
    return fmt::format("{} and {} values", a, b);
}

std::string p_text(const MetricComparison& metric) {
    if (!metric.judgement.interval) return "";
    return metric.judgement.p < 0.001 ? "p < 0.001" : fmt::format("p = {:.3f}", metric.judgement.p);
}

std::string share_text(double share) {
    return fmt::format("{:.4g} %", 100.0 * share);
}

std::string remark_text(const MetricComparison& metric, double delta) {
    std::vector<std::string> parts;
    switch (metric.judgement.decision) {
        case Decision::kFaster:
        case Decision::kSlower: break;
        case Decision::kSmall:
            parts.push_back(fmt::format(
                "{} your {} limit", compare::within_limit(metric, delta) ? "real, and below" : "real, but may be under",
                share_text(delta)));
            break;
        case Decision::kSame:
            if (metric.judgement.visible)
                parts.push_back(fmt::format("would have seen {} or more", about_text(*metric.judgement.visible)));
            break;
        case Decision::kUnclear: parts = why_unclear(metric, delta); break;
    }
    if (const std::string drawn = drawn_text(metric); !drawn.empty()) parts.push_back(drawn);
    return joined(parts, "; ");
}

std::string difference_text(const compare::SeenDifference& seen, std::size_t benchmarks) {
    const compare::Difference& difference = seen.difference;
    const auto word = [](const std::string& value) {
        return value.empty() ? std::string("none") : compare::short_value(value);
    };
    const bool settings = difference.key == "settings";
    const std::string from = settings ? words_only_in(difference.baseline, difference.other) : difference.baseline;
    const std::string to = settings ? words_only_in(difference.other, difference.baseline) : difference.other;
    std::string text = fmt::format("{}: {} against {}", compare::title_of(difference.key), word(from), word(to));
    if (seen.benchmarks.size() < benchmarks) text += fmt::format(" ({})", joined(seen.benchmarks));
    if (difference.weight == compare::Weight::kRefuses) text += " - UNLIKE, and forced";
    return text;
}

std::string identity_text(const std::map<std::string, std::string>& identity) {
    const auto value = [&](const char* key) {
        const auto found = identity.find(key);
        return found == identity.end() ? std::string() : found->second;
    };
    std::vector<std::string> parts;
    const auto add = [&](const std::string& first, const std::string& second) {
        if (!first.empty()) parts.push_back(second.empty() ? first : first + " " + second);
    };
    add(value("engine"), value("engine_version"));
    add(value("model"), value("quantization"));
    if (!value("context_tokens").empty()) add("context", value("context_tokens"));
    add(value("machine"), "");
    return joined(parts);
}

std::string taking_text(const compare::Candidate& candidate) {
    const auto paired = std::count_if(candidate.benchmarks.begin(), candidate.benchmarks.end(),
                                      [](const compare::BenchmarkComparison& one) { return one.paired; });
    if (paired == static_cast<long>(candidate.benchmarks.size())) return "measured in turn, in pairs";
    const std::string apart = "measured at different times; drift of the machine is not excluded";
    return paired == 0 ? apart : "some in pairs; what isn't was " + apart;
}

std::string outcome_text(const compare::Comparison& comparison) {
    using compare::Outcome;
    if (comparison.outcome == Outcome::kSameOrBetter) return "same or better";
    std::vector<std::string> names;
    for (std::size_t i = 0; i < comparison.candidates.size(); ++i) {
        for (const compare::BenchmarkComparison& one : comparison.candidates[i].benchmarks) {
            compare::Candidate alone;
            alone.benchmarks = {one};
            if (outcome_of(alone, comparison.question.rule.delta) != comparison.outcome) continue;
            names.push_back(comparison.candidates.size() == 1 ? one.name : one.name + " in " + letter(i + 1));
        }
    }
    return (comparison.outcome == Outcome::kSlower ? "slower: " : "cannot tell: ") + joined(names);
}

std::string letter(std::size_t index) {
    return std::string(1, static_cast<char>('A' + index));
}

std::vector<ComparedRow> rows_of(const compare::Comparison& comparison) {
    std::vector<std::string> names;
    std::vector<ComparedRow> rows;
    for (const compare::Candidate& candidate : comparison.candidates)
        for (const compare::BenchmarkComparison& one : candidate.benchmarks)
            if (std::find(names.begin(), names.end(), one.name) == names.end()) names.push_back(one.name);
    for (const std::string& name : names)
        for (std::size_t i = 0; i < comparison.candidates.size(); ++i)
            for (const compare::BenchmarkComparison& one : comparison.candidates[i].benchmarks)
                if (one.name == name && !one.metrics.empty()) rows.push_back({i, &one});
    return rows;
}

std::vector<std::string> candidate_notes(const compare::Candidate& candidate, const std::string& baseline) {
    std::vector<std::string> notes;
    if (!candidate.only_in_baseline.empty())
        notes.push_back(fmt::format("Only in {}: {}", baseline, joined(candidate.only_in_baseline)));
    if (!candidate.only_here.empty())
        notes.push_back(fmt::format("Only in {}: {}", candidate.name, joined(candidate.only_here)));
    if (!candidate.unknown.empty()) {
        std::vector<std::string> titles;
        for (const std::string& key : candidate.unknown) titles.push_back(compare::title_of(key));
        notes.push_back(fmt::format("One side doesn't tell its {}: likeness in that is not checked", joined(titles)));
    }
    for (const compare::BenchmarkComparison& one : candidate.benchmarks) {
        if (one.runs > 1 || one.baseline_runs > 1)
            notes.push_back(fmt::format("{}: the values are of {} and {} runs", one.name, one.baseline_runs, one.runs));
        for (const compare::NotCompared& other : one.not_compared)
            notes.push_back(fmt::format("{}: {} is not compared: {}", one.name, other.key, other.because));
        for (const MetricComparison& metric : one.metrics)
            if (metric.left_out > 0)
                notes.push_back(fmt::format("{}: {} values of {} are 0 or less, or out of all range: left out",
                                            one.name, metric.left_out, metric.key));
        if (one.metrics.empty()) notes.push_back(fmt::format("{}: nothing to compare by", one.name));
    }
    return notes;
}

}  // namespace velollm::report
