#include "benchmark/ab.h"

#include <algorithm>
#include <cmath>

#include "base/split_mix.h"
#include "metrics/table.h"
#include "stats/dependence.h"
#include "stats/looks.h"
#include "stats/quantile.h"

namespace velollm::benchmark {
namespace {

constexpr std::size_t kPilotPairs = 3;  // method 2.4
constexpr std::size_t kPilotRequests = 5;
constexpr std::size_t kMostRequests = 10;
constexpr std::size_t kFailingPairs = 3;  // in a row
constexpr double kTrendP = 0.01;
/// Metrics that are shown beside the deciding one.
constexpr std::string_view kShown[] = {"decode_tps", "ttft_ms", "prefill_tps", "e2e_ms"};

const metrics::Metric* find_metric(std::string_view key) {
    for (const metrics::Metric& metric : metrics::metric_table())
        if (metric.key == key) return &metric;
    return nullptr;
}

bool higher_is_better(std::string_view key) {
    const metrics::Metric* metric = find_metric(key);
    return metric == nullptr || metric->better == metrics::Better::kHigher;
}

/// Logarithms of the deciding metric, request by request, for the pilot.
std::vector<double> request_logs(const Block& block, const metrics::Metric& metric) {
    std::vector<double> out;
    for (const RequestRecord& record : block.requests) {
        const auto value = metric.of(record).value;
        if (record.outcome == Outcome::kOk && value && *value > 0.0) out.push_back(std::log(*value));
    }
    return out;
}

/// How many requests each load should have from now on.
stats::LoadLevels judge_pilot(const std::vector<AbPair>& pairs, std::string_view key) {
    const metrics::Metric* metric = find_metric(key);
    std::vector<std::vector<double>> loads;
    double load_seconds = 0.0;
    double request_seconds = 0.0;
    double requests = 0.0;
    for (std::size_t side = 0; side < 2; ++side) {
        double centre = 0.0;
        std::vector<std::vector<double>> mine;
        for (const AbPair& pair : pairs) {
            const Block& block = pair.sides[side];
            mine.push_back(request_logs(block, *metric));
            load_seconds += to_seconds(block.load);
            for (const RequestRecord& record : block.requests) {
                request_seconds += to_seconds(record.done.value_or(Ns{0}));
                requests += 1.0;
            }
        }
        // What A and B differ by is no spread of loads.
        double count = 0.0;
        for (const auto& load : mine)
            for (const double value : load) centre += value, count += 1.0;
        if (count > 0.0) centre /= count;
        for (auto& load : mine) {
            for (double& value : load) value -= centre;
            loads.push_back(std::move(load));
        }
    }
    const double loads_made = static_cast<double>(2 * pairs.size());
    return stats::load_levels(loads, load_seconds / loads_made, requests > 0.0 ? request_seconds / requests : 0.0,
                              kMostRequests);
}

std::optional<double> deciding_value(const AbPlan& plan, const Block& block) {
    return plan.value ? plan.value(block) : block_value(block, plan.metric);
}

stats::Judgement judge_now(const AbPlan& plan, const AbResult& result) {
    std::vector<double> ratios;
    for (const AbPair& pair : result.pairs)
        if (pair.complete()) ratios.push_back(std::log(*pair.values[1] / *pair.values[0]));
    if (ratios.empty()) return {};
    stats::Limits limits = plan.limits;
    limits.higher_is_better = result.higher_is_better;
    return plan.watch ? stats::judge_anytime(ratios, limits) : stats::judge_look(ratios, limits);
}

void judge_others(const AbPlan& plan, AbResult& result) {
    std::vector<double> p;
    std::vector<std::vector<double>> all;
    for (const std::string_view key : kShown) {
        std::vector<double> ratios = log_ratios(result.pairs, key);
        if ((key == plan.metric && !plan.value) || ratios.empty()) continue;
        result.others.push_back({std::string(key), {}});
        p.push_back(stats::Shift::of_pairs(ratios).p());
        all.push_back(std::move(ratios));
    }
    const std::vector<double> alphas = stats::holm_alphas(p, plan.limits.alpha);
    for (std::size_t i = 0; i < all.size(); ++i) {
        stats::Limits limits = plan.limits;
        limits.alpha = alphas[i];
        limits.higher_is_better = higher_is_better(result.others[i].key);
        result.others[i].judgement = stats::judge_pairs(all[i], limits);
    }
}

/// A machine that got slower or faster under A's own, unchanged settings.
std::optional<double> drift_of(const std::vector<AbPair>& pairs) {
    std::vector<double> series;
    for (const AbPair& pair : pairs)
        if (pair.complete()) series.push_back(std::log(*pair.values[0]));
    const stats::Trend trend = stats::trend(series);
    if (trend.p >= kTrendP) return std::nullopt;
    return std::expm1(trend.slope);
}

/// Measures one pair. The user's stop, or an error.
Result<AbPair> measure_pair(const AbPlan& plan, const MeasureBlock& measure, std::size_t requests, bool b_first) {
    AbPair pair;
    pair.b_first = b_first;
    for (const std::size_t side : {b_first ? 1U : 0U, b_first ? 0U : 1U}) {
        auto block = measure(side, requests);
        if (!block) return block.error();
        pair.values[side] = deciding_value(plan, *block);
        pair.sides[side] = std::move(*block);
    }
    return pair;
}

}  // namespace

std::optional<double> block_value(const Block& block, std::string_view metric) {
    const metrics::Metric* row = find_metric(metric);
    if (row == nullptr) return std::nullopt;
    std::vector<double> values;
    for (const RequestRecord& record : block.requests) {
        const auto value = row->of(record).value;
        if (record.outcome == Outcome::kOk && value && *value > 0.0) values.push_back(*value);
    }
    if (values.empty()) return std::nullopt;
    return stats::median_of(std::move(values));
}

std::vector<double> log_ratios(const std::vector<AbPair>& pairs, std::string_view metric) {
    std::vector<double> out;
    for (const AbPair& pair : pairs) {
        const auto a = block_value(pair.sides[0], metric);
        const auto b = block_value(pair.sides[1], metric);
        if (a && b) out.push_back(std::log(*b / *a));
    }
    return out;
}

Result<AbResult> run_ab(const AbPlan& plan, const MeasureBlock& measure, Clock& clock,
                        const std::function<bool()>& stop, const OnPair& on_pair) {
    if (find_metric(plan.metric) == nullptr)
        return Error{ErrorCode::kUsage, "Unknown metric: " + plan.metric, "docs/metrics.md lists them."};
    AbResult result;
    result.higher_is_better = plan.value ? plan.limits.higher_is_better : higher_is_better(plan.metric);
    base::SplitMix order(plan.seed);
    const TimePoint begin = clock.now();
    const bool pilot = plan.reload && plan.requests == 0;
    std::size_t requests = plan.requests > 0 ? plan.requests : pilot ? kPilotRequests : 1;
    std::size_t failing = 0;
    Ns last{0};  // what a pair took
    while (plan.watch || result.pairs.size() < plan.most_pairs + result.failed_pairs) {
        if (stop && stop()) {
            result.end = AbEnd::kStopped;
            break;
        }
        // A pair that would end after its time isn't begun.
        if (plan.budget && clock.now() - begin + last >= *plan.budget && (last > Ns{0} || *plan.budget <= Ns{0})) {
            result.end = AbEnd::kBudgetOver;
            break;
        }
        const TimePoint turn = clock.now();
        auto pair = measure_pair(plan, measure, requests, (order.next() >> 63U) != 0);
        last = clock.now() - turn;
        if (!pair) {
            if (pair.error().code != ErrorCode::kInterrupted || result.pairs.empty()) return pair.error();
            result.end = AbEnd::kStopped;
            break;
        }
        const bool complete = pair->complete();
        result.pairs.push_back(std::move(*pair));
        failing = complete ? 0 : failing + 1;
        result.failed_pairs += complete ? 0 : 1;
        if (failing == kFailingPairs) {
            result.end = AbEnd::kFailing;
            break;
        }
        if (pilot && result.pairs.size() == kPilotPairs) {
            result.levels = judge_pilot(result.pairs, plan.metric);
            requests = result.levels->requests;
        }
        const std::size_t good = result.pairs.size() - result.failed_pairs;
        result.judgement = judge_now(plan, result);
        if (on_pair) on_pair(result);
        const bool looks = complete && (plan.watch || stats::is_look(good));
        if (looks && result.judgement.decision != stats::Decision::kUnclear) {
            result.end = AbEnd::kDecided;
            break;
        }
    }
    result.judgement = judge_now(plan, result);
    judge_others(plan, result);
    result.drift_per_pair = drift_of(result.pairs);
    return result;
}

}  // namespace velollm::benchmark
