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
constexpr std::size_t kJudgedEach = 100;
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
                              kMostRequests, 2);
}

std::optional<double> deciding_value(const AbPlan& plan, const Block& block) {
    return plan.value ? plan.value(block) : block_value(block, plan.metric);
}

std::vector<double> deciding_ratios(const AbResult& result) {
    std::vector<double> ratios;
    for (const AbPair& pair : result.pairs)
        if (pair.complete()) ratios.push_back(std::log(*pair.values[1] / *pair.values[0]));
    return ratios;
}

/// Judges the pairs so far, with the shares of `result.look`.
stats::Judgement judge_now(const AbPlan& plan, const AbResult& result) {
    const std::vector<double> ratios = deciding_ratios(result);
    if (ratios.empty()) return {};
    stats::Limits limits = plan.limits;
    limits.higher_is_better = result.higher_is_better;
    return plan.watch ? stats::judge_anytime(ratios, limits) : stats::judge_look(ratios, limits, result.look);
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
    const auto count = static_cast<double>(all.size());
    const std::vector<double> alphas = stats::holm_alphas(p, plan.limits.alpha);
    for (std::size_t i = 0; i < all.size(); ++i) {
        stats::Limits limits = plan.limits;
        limits.alpha = plan.watch ? plan.limits.alpha / count : alphas[i];
        limits.alpha_same /= count;
        limits.higher_is_better = higher_is_better(result.others[i].key);
        stats::Judgement& judged = result.others[i].judgement;
        judged = plan.watch ? stats::judge_anytime(all[i], limits) : stats::judge_pairs(all[i], limits);
        // What eight are too few for in the deciding measure, seven are in the others.
        if (!plan.watch && judged.n < stats::kLeastPairs) {
            judged.decision = stats::Decision::kUnclear;
            judged.interval.reset();
            judged.within.reset();
        }
        if (judged.interval) continue;
        judged.visible.reset();
        judged.pairs_for_delta.reset();
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

/// One measurement from its first pair to its end.
class Pairs {
public:
    Pairs(const AbPlan& plan, const MeasureBlock& measure, Clock& clock, const std::function<bool()>& stop,
          const OnPair& on_pair)
        : plan_(plan),
          measure_(measure),
          clock_(clock),
          stop_(stop),
          on_pair_(on_pair),
          looks_(stats::planned_looks(plan.most_pairs)),
          order_(plan.seed),
          pilot_(plan.reload && plan.requests == 0),
          requests_(plan.requests > 0 ? plan.requests
                    : pilot_          ? kPilotRequests
                                      : 1) {}

    Result<AbResult> run() {
        begin_ = clock_.now();
        result_.higher_is_better = plan_.value ? plan_.limits.higher_is_better : higher_is_better(plan_.metric);
        while (may_go_on()) {
            const TimePoint turn = clock_.now();
            auto pair = measure_pair(plan_, measure_, requests_, (order_.next() >> 63U) != 0);
            const Ns took = clock_.now() - turn;
            // The first one may hold a load, and a warm-up, that the next don't: it says nothing of them.
            if (!result_.pairs.empty()) shortest_ = std::min(shortest_.value_or(took), took);
            if (!pair) {
                if (good() == 0) return pair.error();
                const bool stopped = pair.error().code == ErrorCode::kInterrupted;
                result_.end = stopped ? AbEnd::kStopped : AbEnd::kLost;
                if (!stopped) result_.error = pair.error();
                break;
            }
            if (!take(std::move(*pair))) break;
        }
        conclude();
        return std::move(result_);
    }

private:
    std::size_t good() const { return result_.pairs.size() - result_.failed_pairs; }

    bool may_go_on() {
        if (!plan_.watch && good() >= plan_.most_pairs) return false;
        if (stop_ && stop_()) {
            result_.end = AbEnd::kStopped;
            return false;
        }
        // A pair that would end after its time isn't begun.
        if (plan_.budget && clock_.now() - begin_ + shortest_.value_or(Ns{0}) >= *plan_.budget) {
            result_.end = AbEnd::kBudgetOver;
            return false;
        }
        return true;
    }

    /// Whether another pair should follow.
    bool take(AbPair pair) {
        const bool complete = pair.complete();
        result_.pairs.push_back(std::move(pair));
        failing_ = complete ? 0 : failing_ + 1;
        result_.failed_pairs += complete ? 0U : 1U;
        if (failing_ == kFailingPairs) {
            result_.end = AbEnd::kFailing;
            if (on_pair_) on_pair_(result_);
            return false;
        }
        if (pilot_ && result_.pairs.size() == kPilotPairs) {
            result_.levels = judge_pilot(result_.pairs, plan_.metric);
            requests_ = result_.levels->requests;
        }
        const stats::Look* look = stats::look_at(looks_, good());
        result_.look = look != nullptr ? *look : stats::look_at_end(looks_, good(), false);
        // Of very many pairs each one more costs much to judge, and says little.
        if (look != nullptr || good() <= kJudgedEach || good() % (good() / kJudgedEach) == 0)
            result_.judgement = judge_now(plan_, result_);
        if (on_pair_) on_pair_(result_);
        if (!complete || (look == nullptr && !plan_.watch)) return true;
        if (result_.judgement.decision == stats::Decision::kUnclear) return true;
        result_.end = AbEnd::kDecided;
        return false;
    }

    void conclude() {
        if (result_.end != AbEnd::kDecided && stats::look_at(looks_, good()) == nullptr)
            result_.look = stats::look_at_end(looks_, good(), result_.end != AbEnd::kStopped);
        result_.judgement = judge_now(plan_, result_);
        judge_others(plan_, result_);
        result_.drift_per_pair = drift_of(result_.pairs);
    }

    const AbPlan& plan_;
    const MeasureBlock& measure_;
    Clock& clock_;
    const std::function<bool()>& stop_;
    const OnPair& on_pair_;
    std::vector<stats::Look> looks_;
    base::SplitMix order_;
    bool pilot_;
    std::size_t requests_;
    TimePoint begin_;
    std::optional<Ns> shortest_;
    std::size_t failing_ = 0;
    AbResult result_;
};

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

std::optional<std::int64_t> most_model_bytes(const std::vector<AbPair>& pairs, std::size_t side) {
    std::optional<std::int64_t> most;
    for (const AbPair& pair : pairs)
        if (const auto bytes = pair.sides[side].model_bytes; bytes && *bytes > most.value_or(0)) most = bytes;
    return most;
}

std::vector<double> log_ratios(const std::vector<AbPair>& pairs, std::string_view metric) {
    std::vector<double> out;
    for (const AbPair& pair : pairs) {
        if (!pair.complete()) continue;
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
    return Pairs(plan, measure, clock, stop, on_pair).run();
}

}  // namespace velollm::benchmark
