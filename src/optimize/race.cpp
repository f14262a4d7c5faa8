#include "optimize/race.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/split_mix.h"
#include "stats/quantile.h"

namespace velollm::optimize {
namespace {

constexpr double kGoOn = 0.6;
constexpr double kTooFar = 3.0;      // standard errors
constexpr double kDisturbed = 4.0;   // standard deviations of a run
constexpr double kEnoughBlocks = 5;  // fewer don't tell who was disturbed
constexpr double kToDeviation = 1.4826;
constexpr double kLeastNoise = 0.002;  // two runs that are alike by chance are no proof of a quiet machine

class Race {
public:
    Race(std::size_t runners, const MeasureCost& measure, const RaceRules& rules,
         const std::function<void(const RaceResult&)>& on_block)
        : measure_(measure), rules_(rules), on_block_(on_block), random_(rules.seed) {
        result_.runners.resize(runners);
        live_.resize(runners);
        std::iota(live_.begin(), live_.end(), 0U);
    }

    RaceResult run() {
        while (live_.size() > 1 && !result_.stopped && result_.runs + live_.size() <= rules_.most_runs) {
            const std::size_t blocks = blocks_of_round();
            for (std::size_t i = 0; i < blocks && live_.size() > 1 && !result_.stopped; ++i) {
                if (result_.runs + live_.size() > rules_.most_runs) break;
                run_block();
                drop_hopeless();
                if (on_block_) on_block_(result_);
            }
            halve();
        }
        rank();
        return std::move(result_);
    }

private:
    /// Runs are shared out evenly over the rounds that are left.
    std::size_t blocks_of_round() const {
        std::size_t rounds = 1;
        for (std::size_t k = live_.size(); k > 2; k = after(k)) ++rounds;
        const double runs = static_cast<double>(rules_.most_runs - result_.runs) / static_cast<double>(rounds);
        const double blocks = std::round(runs / static_cast<double>(live_.size()));
        return static_cast<std::size_t>(std::max(1.0, blocks));
    }

    static std::size_t after(std::size_t k) {
        return std::max<std::size_t>(2, static_cast<std::size_t>(std::ceil(kGoOn * static_cast<double>(k))));
    }

    void run_block() {
        std::vector<std::size_t> order = live_;
        for (std::size_t left = order.size(); left > 1; --left) std::swap(order[left - 1], order[random_.below(left)]);
        std::vector<std::pair<std::size_t, double>> costs;
        for (const std::size_t runner : order) {
            const auto cost = measure_(runner);
            if (!cost && cost.error().code == ErrorCode::kInterrupted) {
                result_.stopped = true;  // a block that isn't whole says nothing
                return;
            }
            ++result_.runs;
            if (cost && *cost > 0.0) {
                costs.emplace_back(runner, std::log(*cost));
            } else {
                result_.runners[runner].failed = cost ? "it brought no value" : cost.error().message;
                std::erase(live_, runner);
            }
        }
        for (const auto& [runner, log] : costs) result_.runners[runner].logs.push_back(log);
    }

    /// Costs against the block's middle, for each of those who are in: they all ran in the same blocks.
    std::vector<std::vector<double>> centred() const {
        const std::size_t blocks = live_.empty() ? 0 : result_.runners[live_.front()].logs.size();
        std::vector<std::vector<double>> out(live_.size());
        for (std::size_t block = 0; block < blocks; ++block) {
            std::vector<double> logs;
            for (const std::size_t runner : live_) logs.push_back(result_.runners[runner].logs[block]);
            const double middle = stats::mean(logs);
            for (std::size_t i = 0; i < logs.size(); ++i) out[i].push_back(logs[i] - middle);
        }
        return out;
    }

    /// Brings those who are in into their order, and says how far each is behind. Gives the spread of a run. The mean
    /// is what tells small differences best; a run that something else disturbed, far from the others of its setting,
    /// is left out of it.
    double judge() {
        const std::vector<std::vector<double>> values = centred();
        if (values.empty() || values.front().empty()) return 0.0;
        std::vector<double> medians;
        std::vector<double> rest;
        for (const std::vector<double>& mine : values) {
            medians.push_back(stats::median_of(mine));
            const double centre = stats::mean(mine);
            for (const double value : mine) rest.push_back(std::abs(value - centre));
        }
        const auto blocks = static_cast<double>(values.front().size());
        // What was estimated from the same values makes them look calmer than they are.
        const double lost = blocks > 1.0 ? std::sqrt(blocks / (blocks - 1.0)) : 1.0;
        const double noise = std::max(kLeastNoise, kToDeviation * stats::median_of(std::move(rest)) * lost);
        std::vector<std::pair<double, std::size_t>> standing;
        for (std::size_t i = 0; i < live_.size(); ++i)
            standing.emplace_back(
                blocks < kEnoughBlocks ? stats::mean(values[i]) : calm_mean(values[i], medians[i], kDisturbed * noise),
                live_[i]);
        std::sort(standing.begin(), standing.end());
        for (std::size_t i = 0; i < live_.size(); ++i) {
            live_[i] = standing[i].second;
            result_.runners[live_[i]].behind = standing[i].first - standing.front().first;
        }
        return noise;
    }

    static double calm_mean(const std::vector<double>& values, double middle, double reach) {
        double sum = 0.0;
        double count = 0.0;
        for (const double value : values) {
            if (std::abs(value - middle) > reach) continue;
            sum += value;
            count += 1.0;
        }
        return count > 0.0 ? sum / count : middle;
    }

    void drop_hopeless() {
        constexpr std::size_t kLeastBlocks = 3;
        const double noise = judge();
        const std::size_t blocks = live_.empty() ? 0 : result_.runners[live_.front()].logs.size();
        if (blocks < kLeastBlocks) return;
        const double limit = kTooFar * noise * std::sqrt(2.0 / static_cast<double>(blocks));
        while (live_.size() > 1 && result_.runners[live_.back()].behind > limit) drop_last();
    }

    void halve() {
        judge();
        const std::size_t keep = after(live_.size());
        while (live_.size() > keep) drop_last();
    }

    void drop_last() {
        gone_.push_back(live_.back());
        live_.pop_back();
    }

    void rank() {
        judge();
        result_.ranking = live_;
        result_.ranking.insert(result_.ranking.end(), gone_.rbegin(), gone_.rend());
    }

    const MeasureCost& measure_;
    RaceRules rules_;
    const std::function<void(const RaceResult&)>& on_block_;
    base::SplitMix random_;
    RaceResult result_;
    std::vector<std::size_t> live_;  ///< best first, once judged
    std::vector<std::size_t> gone_;  ///< the last one to go is the best of them
};

}  // namespace

RaceResult race(std::size_t runners, const MeasureCost& measure, const RaceRules& rules,
                const std::function<void(const RaceResult&)>& on_block) {
    return Race(runners, measure, rules, on_block).run();
}

}  // namespace velollm::optimize
