#include "compare/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace velollm::compare {
namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::vector<std::string> names_of(const Side& side) {
    std::vector<std::string> names;
    for (const Benchmark& one : side.benchmarks) names.push_back(one.measured.name);
    return names;
}

void add_difference(const Difference& difference, const std::string& benchmark, std::vector<SeenDifference>& out) {
    const auto known =
        std::find_if(out.begin(), out.end(), [&](const SeenDifference& one) { return one.difference == difference; });
    if (known == out.end()) {
        out.push_back({difference, {benchmark}});
    } else {
        known->benchmarks.push_back(benchmark);
    }
}

BenchmarkComparison compare_one(const Match& match, const Rule& rule) {
    BenchmarkComparison out{.name = match.baseline->measured.name, .metrics = {}, .not_compared = {}};
    out.baseline_runs = match.baseline->runs;
    out.runs = match.other->runs;
    out.baseline_when = match.baseline->measured.when;
    out.when = match.other->measured.when;
    Judged judged = judge(match, rule);
    out.metrics = std::move(judged.metrics);
    out.not_compared = std::move(judged.not_compared);
    out.paired = !out.metrics.empty() && out.metrics.front().paired;
    return out;
}

std::vector<Mean> means_of(const std::vector<BenchmarkComparison>& benchmarks) {
    std::vector<Mean> means;
    for (const BenchmarkComparison& one : benchmarks) {
        if (one.metrics.empty()) continue;
        const MetricComparison& primary = one.metrics.front();
        auto mean =
            std::find_if(means.begin(), means.end(), [&](const Mean& known) { return known.key == primary.key; });
        if (mean == means.end()) mean = means.insert(means.end(), {primary.key, 0.0, 0});
        mean->factor += std::log(primary.judgement.factor);  // the sum of logarithms, until all are there
        ++mean->benchmarks;
    }
    means.erase(std::remove_if(means.begin(), means.end(), [](const Mean& mean) { return mean.benchmarks < 2; }),
                means.end());
    for (Mean& mean : means) mean.factor = std::exp(mean.factor / static_cast<double>(mean.benchmarks));
    return means;
}

Error unlike(const Side& baseline, const Candidate& candidate, const Question& question) {
    std::string lines;
    std::string keys;  // with those that are allowed already: the hint is to be taken as it stands
    for (const std::string& key : question.varied) keys += (keys.empty() ? "" : ",") + key;
    const std::size_t allowed = keys.size();
    bool worthless = false;
    for (const auto& [difference, benchmarks] : candidate.differences) {
        if (difference.weight != Weight::kRefuses) continue;
        lines += fmt::format("{}: {} against {}  ({})\n", title_of(difference.key), short_value(difference.baseline),
                             short_value(difference.other), joined(benchmarks));
        if (difference.key == "status") {
            worthless = true;
        } else if (("," + keys + ",").find("," + difference.key + ",") == std::string::npos) {
            keys += (keys.empty() ? "" : ",") + difference.key;
        }
    }
    if (worthless) lines += "Measure again what is invalid or failed.\n";
    if (keys.size() > allowed) lines += fmt::format("If that is what you want to compare: --vary {}\n", keys);
    return {ErrorCode::kFailed,
            fmt::format("{} was not measured as {} was, so speeds can't be compared", candidate.name, baseline.name),
            lines + "To compare all the same: --force"};
}

Error nothing_common(const Side& baseline, const Side& other, const Question& question) {
    const char* next = question.varied.contains("workload")
                           ? "Which is meant can't be known: FILE@name=NAME takes one"
                           : "One benchmark on each side under two names: --vary workload";
    return {ErrorCode::kFailed, fmt::format("{} and {} have no benchmark in common", baseline.name, other.name),
            fmt::format("{}: {}\n{}: {}\n{}", baseline.name, joined(names_of(baseline)), other.name,
                        joined(names_of(other)), next)};
}

Error no_measure(const Side& baseline, const Side& other, const Rule& rule) {
    const std::string what = rule.metric.empty() ? "measure in common" : "values of " + rule.metric + " on both sides";
    std::string keys;
    for (const Benchmark& one : other.benchmarks)
        for (const serde::MeasuredMetric& metric : one.measured.metrics)
            if (keys.find(metric.key) == std::string::npos) keys += (keys.empty() ? "" : ", ") + metric.key;
    return {ErrorCode::kFailed, fmt::format("{} and {} have no {}", baseline.name, other.name, what),
            fmt::format("{} has {}", other.name, keys.empty() ? "no values at all" : keys)};
}

/// Nobody measures the same values twice.
bool same_measurement(const Match& match) {
    constexpr std::size_t kNoChance = 3;
    const auto& metrics = match.baseline->measured.metrics;
    return std::any_of(metrics.begin(), metrics.end(), [&](const serde::MeasuredMetric& a) {
        const serde::MeasuredMetric* b = match.other->measured.find(a.key);
        return b != nullptr && a.samples.size() >= kNoChance && a.samples == b->samples && a.samples.front() > 0.0 &&
               a.samples.front() != a.samples.back();
    });
}

Result<Candidate> compare_side(const Side& baseline, const Side& side, const Question& question) {
    const Matches matches = match(baseline, side, question.varied.contains("workload"));
    if (matches.both.empty()) return nothing_common(baseline, side, question);
    Candidate out{.name = side.name,
                  .benchmarks = {},
                  .differences = {},
                  .unknown = {},
                  .only_in_baseline = matches.only_in_baseline,
                  .only_here = matches.only_in_other,
                  .means = {},
                  .notes = side.notes};
    bool refused = false;
    for (const Match& one : matches.both) {
        for (const Difference& difference : differences(one, question.varied)) {
            add_difference(difference, one.baseline->measured.name, out.differences);
            refused = refused || difference.weight == Weight::kRefuses;
        }
        for (const std::string& key : unknown_traits(one))
            if (std::find(out.unknown.begin(), out.unknown.end(), key) == out.unknown.end()) out.unknown.push_back(key);
    }
    if (refused && !question.force) return unlike(baseline, out, question);
    for (const Match& one : matches.both) out.benchmarks.push_back(compare_one(one, question.rule));
    if (std::all_of(out.benchmarks.begin(), out.benchmarks.end(),
                    [](const BenchmarkComparison& one) { return one.metrics.empty(); }))
        return no_measure(baseline, side, question.rule);
    if (std::any_of(matches.both.begin(), matches.both.end(), same_measurement))
        out.notes.push_back(fmt::format("{} and {} hold the same measurement", baseline.name, side.name));
    out.means = means_of(out.benchmarks);
    return out;
}

/// What all benchmarks of a side share.
std::map<std::string, std::string> shared_identity(const Side& side) {
    std::map<std::string, std::string> shared = side.benchmarks.front().measured.identity;
    for (const Benchmark& one : side.benchmarks)
        for (auto& [key, value] : shared)
            if (trait(one.measured, key) != value) value.clear();
    return shared;
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
    switch (outcome) {
        case Outcome::kSameOrBetter: return "same_or_better";
        case Outcome::kSlower: return "slower";
        case Outcome::kUnclear: return "unclear";
    }
    return "";
}

Outcome outcome_of(const Candidate& candidate, double delta) {
    Outcome outcome = Outcome::kSameOrBetter;
    for (const BenchmarkComparison& one : candidate.benchmarks) {
        if (one.metrics.empty()) {
            outcome = Outcome::kUnclear;
            continue;
        }
        const MetricComparison& primary = one.metrics.front();
        if (primary.judgement.decision == stats::Decision::kSlower) return Outcome::kSlower;
        if (primary.judgement.decision == stats::Decision::kUnclear || may_be_worse(primary, delta))
            outcome = Outcome::kUnclear;
    }
    return outcome;
}

Result<Comparison> compare(const Side& baseline, const std::vector<Side>& others, const Question& question) {
    Comparison out{.question = question,
                   .baseline = baseline.name,
                   .identity = shared_identity(baseline),
                   .baseline_notes = baseline.notes,
                   .candidates = {}};
    for (const Side& side : others) {
        auto candidate = compare_side(baseline, side, question);
        if (!candidate) return candidate.error();
        const Outcome outcome = outcome_of(*candidate, question.rule.delta);
        if (outcome == Outcome::kSlower || out.outcome == Outcome::kSameOrBetter) out.outcome = outcome;
        out.candidates.push_back(std::move(*candidate));
    }
    return out;
}

}  // namespace velollm::compare
