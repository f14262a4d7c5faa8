#include "report/ab_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/compare_words.h"
#include "report/facts.h"
#include "stats/looks.h"

namespace velollm::report {
namespace {

using benchmark::AbEnd;
using benchmark::AbPair;
using benchmark::AbPlan;
using benchmark::AbResult;
using stats::Decision;

constexpr double kBusy = 0.10;
using stats::kLeastPairs;

/// In the form that `compare` has words for.
compare::MetricComparison as_metric(const std::string& key, const AbResult& result, const stats::Judgement& judgement) {
    compare::MetricComparison metric;
    metric.key = key;
    metric.paired = true;
    metric.judgement = judgement;
    if (judgement.n < kLeastPairs) metric.because = fmt::format("fewer than {} pairs can't tell", kLeastPairs);
    std::array<std::vector<double>, 2> both;
    for (const AbPair& pair : result.pairs) {
        if (!pair.complete()) continue;
        const auto a = benchmark::block_value(pair.sides[0], key);
        const auto b = benchmark::block_value(pair.sides[1], key);
        if (!a || !b) continue;
        both[0].push_back(*a);
        both[1].push_back(*b);
    }
    for (std::size_t side = 0; side < 2; ++side) {
        std::vector<double>& values = both[side];
        if (values.empty()) continue;
        std::sort(values.begin(), values.end());
        compare::Values& out = side == 0 ? metric.baseline : metric.other;
        out.n = values.size();
        const std::size_t half = values.size() / 2;
        out.centre = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2.0;
    }
    return metric;
}

std::string metric_line(const compare::MetricComparison& metric, double delta) {
    const stats::Judgement& judgement = metric.judgement;
    std::string text = fmt::format("{:<8} {} ", verdict_word(judgement.decision), measure_title(metric.key));
    if (judgement.decision == Decision::kSame) text += fmt::format("within {}: ", share_text(delta));
    text += change_text(metric);
    if (judgement.interval) text += fmt::format(" {} {}", interval_text(metric), level_text(metric));
    text += "  " + amount_text(metric);
    if (judgement.interval && judgement.decision != Decision::kSame) text += ", " + p_text(metric);
    if (judgement.interval && judgement.decision == Decision::kUnclear && judgement.p < 0.05)
        text += fmt::format(" where {:.2g} is asked", 1.0 - judgement.interval->level);
    text += fmt::format("  (A {} -> B {} {})\n", value_text(metric.key, metric.baseline.centre),
                        value_text(metric.key, metric.other.centre), measure_unit(metric.key));
    const std::string remark = remark_text(metric, delta);
    return remark.empty() ? text : text + fmt::format("         {}\n", remark);
}

std::string end_words(const AbPlan& plan, const AbResult& result) {
    switch (result.end) {
        case AbEnd::kDecided: return "";
        case AbEnd::kPairsOver:
            return fmt::format("Stopped after {} pair{}, as planned.", plan.most_pairs,
                               plan.most_pairs == 1 ? "" : "s");
        case AbEnd::kBudgetOver: return "Stopped because the time was over.";
        case AbEnd::kStopped: return "Stopped by you: this is what had been measured.";
        case AbEnd::kFailing: return "Stopped because pair after pair brought no value.";
        case AbEnd::kLost: return fmt::format("Ended after {} pairs: {}", result.pairs.size(), result.error->message);
    }
    return "";
}

/// Where the model's memory differs by what can be seen.
std::string memory_text(const AbResult& result) {
    constexpr double kSame = 0.01;
    const auto a = benchmark::most_model_bytes(result.pairs, 0);
    const auto b = benchmark::most_model_bytes(result.pairs, 1);
    if (!a || !b) return "";
    const double change = static_cast<double>(*b) / static_cast<double>(*a) - 1.0;
    if (std::abs(change) <= kSame) return "";
    return fmt::format("The model takes {:.0f} MiB of memory with A, {:.0f} MiB with B ({:+.0f} %).\n",
                       static_cast<double>(*a) / static_cast<double>(kMib),
                       static_cast<double>(*b) / static_cast<double>(kMib), 100.0 * change);
}

/// What came of proposals, where an engine made some.
std::string drafts_text(const AbResult& result) {
    std::string text;
    for (std::size_t side = 0; side < 2; ++side) {
        std::int64_t drafted = 0;
        std::int64_t accepted = 0;
        for (const AbPair& pair : result.pairs)
            for (const RequestRecord& record : pair.sides[side].requests) {
                drafted += record.server.draft_tokens.value_or(0);
                accepted += record.server.accepted_tokens.value_or(0);
            }
        if (drafted > 0)
            text += fmt::format("{}: {} of {} proposed tokens were taken, {:.0f} %.\n", side == 0 ? "A" : "B", accepted,
                                drafted, 100.0 * static_cast<double>(accepted) / static_cast<double>(drafted));
    }
    return text;
}

std::string remarks(const AbPlan& plan, const AbResult& result, const AbContext& context) {
    std::string text;
    const std::string end = end_words(plan, result);
    if (!end.empty()) text += end + "\n";
    if (result.failed_pairs > 0)
        text += fmt::format("{} of {} pairs brought no value on one side, and aren't counted.\n", result.failed_pairs,
                            result.pairs.size());
    if (result.levels && plan.requests == 0)
        text += fmt::format(
            "A pilot of 3 loads each: loads differ by {} beside {} within a load, so each load had {} request{}.\n",
            share_text(std::sqrt(result.levels->between)), share_text(std::sqrt(result.levels->within)),
            result.levels->requests, result.levels->requests == 1 ? "" : "s");
    if (result.drift_per_pair)
        text += fmt::format("The machine drifted: A changed by {:+.1f} % from pair to pair. Pairs take that out.\n",
                            100.0 * *result.drift_per_pair);
    if (context.before && context.before->busy_share.value_or(0.0) > kBusy)
        text += fmt::format(
            "The machine was not idle before: {:.0f} % of its processors were in use. Close other "
            "programs for a narrower interval.\n",
            100.0 * *context.before->busy_share);
    text += drafts_text(result);
    text += memory_text(result);
    if (context.common_text && *context.common_text < 1.0)
        text += fmt::format("To one fixed question A and B answer alike for the first {:.0f} % of the text{}.\n",
                            100.0 * *context.common_text,
                            *context.common_text < 0.5 ? ": the settings may change answers" : "");
    for (const std::string& note : context.notes) text += note + "\n";
    return text;
}

std::string looks_text(const AbPlan& plan) {
    if (plan.most_pairs < kLeastPairs) return fmt::format("{} are the least that can tell", kLeastPairs);
    std::string text;
    const std::vector<stats::Look> looks = stats::planned_looks(plan.most_pairs);
    for (std::size_t i = 0; i < looks.size(); ++i)
        text += fmt::format("{}{}", i == 0 ? "" : i + 1 == looks.size() ? " and " : ", ", looks[i].pairs);
    return "looked at after " + text;
}

/// What variables of the environment set, where it isn't in the words.
std::string environment_text(const AbContext& context) {
    std::string text;
    for (std::size_t side = 0; side < 2; ++side) {
        std::string settings;
        for (const auto& [option, value, variable] : context.from_environment[side])
            settings += fmt::format("{}{}={} ({})", settings.empty() ? "" : ", ", option, value, variable);
        if (!settings.empty()) text += fmt::format("{}  also {}\n", side == 0 ? "A" : "B", settings);
    }
    return text;
}

}  // namespace

std::string ab_opening(const AbPlan& plan, const AbContext& context) {
    std::string text = fmt::format("A  {}\nB  {}{}\n", context.words[0], context.words[1],
                                   context.null_test ? "  (the same: any difference found is a false alarm)" : "");
    text += environment_text(context);
    text += fmt::format("{}, {}; {} decides, a difference is {}\n", context.engine, context.model,
                        measure_title(plan.metric), share_text(plan.limits.delta));
    text += plan.watch ? fmt::format("Pairs in random order, looked at after each, until you stop it with Ctrl-C{}\n",
                                     plan.budget ? " or the time is over" : "")
                       : fmt::format("Pairs in random order, at most {}; {}\n", plan.most_pairs, looks_text(plan));
    if (plan.reload)
        text += fmt::format("Each half of a pair: a load, {} requests that don't count, {} that do\n", context.warm_up,
                            plan.requests > 0 ? std::to_string(plan.requests) : "5 at first");
    return text + fmt::format("\n  pair        {:>10}  {:>10}  {:>9}\n", "A", "B", "B / A");
}

std::string ab_pair(const AbPlan& plan, const AbResult& result) {
    const AbPair& pair = result.pairs.back();
    const auto value = [&](std::size_t side) {
        return pair.values[side] ? value_text(plan.metric, *pair.values[side]) : std::string("none");
    };
    std::string text = fmt::format("  {:>4}  {}  {:>10}  {:>10}", result.pairs.size(), pair.b_first ? "B A" : "A B",
                                   value(0), value(1));
    text += pair.complete() ? fmt::format("  {:>+7.1f} %\n", 100.0 * (*pair.values[1] / *pair.values[0] - 1.0)) : "\n";
    const std::size_t good = result.pairs.size() - result.failed_pairs;
    if (!pair.complete() || plan.watch || result.look.pairs != good || good < kLeastPairs ||
        stats::look_at(stats::planned_looks(plan.most_pairs), good) == nullptr)
        return text;
    const compare::MetricComparison metric = as_metric(plan.metric, result, result.judgement);
    return text + fmt::format("        after {}: {} {} {}\n", amount_text(metric),
                              verdict_word(result.judgement.decision), change_text(metric), interval_text(metric));
}

std::string ab_verdict(const AbPlan& plan, const AbResult& result, const AbContext& context) {
    if (result.judgement.n == 0) return "\n" + remarks(plan, result, context) + "Nothing was measured.\n";
    std::string text = "\n" + metric_line(as_metric(plan.metric, result, result.judgement), plan.limits.delta);
    for (const benchmark::AbMetric& other : result.others)
        text += metric_line(as_metric(other.key, result, other.judgement), plan.limits.delta);
    const std::string more = remarks(plan, result, context);
    return more.empty() ? text : text + "\n" + more;
}

std::string ab_markdown(const AbPlan& plan, const AbResult& result, const AbContext& context) {
    std::string text = fmt::format(
        "| | A: `{}` | B: `{}` | B / A | interval | verdict | pairs |\n"
        "|---|---:|---:|---:|---|---|---:|\n",
        context.words[0], context.words[1]);
    const auto row = [&](const std::string& key, const stats::Judgement& judgement) {
        const compare::MetricComparison metric = as_metric(key, result, judgement);
        const std::string unit = measure_unit(key);
        text += fmt::format("| {}{} | {} | {} | {} | {} {} | {} | {} |\n", measure_title(key),
                            unit.empty() ? "" : ", " + unit, value_text(key, metric.baseline.centre),
                            value_text(key, metric.other.centre), change_text(metric), interval_text(metric),
                            level_text(metric), verdict_word(judgement.decision), judgement.n);
    };
    if (result.judgement.n > 0) row(plan.metric, result.judgement);
    for (const benchmark::AbMetric& other : result.others) row(other.key, other.judgement);
    return text + fmt::format("\nvelollm {}, {}, {}: {} pairs in random order{}, a difference is {}.\n",
                              context.version, context.engine, context.model, result.pairs.size(),
                              plan.reload ? ", each half with a load of its own" : "", share_text(plan.limits.delta));
}

}  // namespace velollm::report
