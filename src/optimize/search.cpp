#include "optimize/search.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/split_mix.h"
#include "optimize/rules.h"
#include "stats/looks.h"
#include "stats/power.h"

namespace velollm::optimize {
namespace {

constexpr std::size_t kNoisePairs = 4;
constexpr std::size_t kAblationPairs = 10;
constexpr double kRaceShare = 0.45;      // of the time; the rest is for leaving out and confirming
constexpr double kSearchShare = 0.65;    // of it, noise included, must do for all stages
constexpr std::size_t kLeastBlocks = 3;  // of each setting in a race
constexpr double kWorse = 1.05;
using stats::kLeastPairs;
constexpr double kMostPairs = 30.0;
constexpr std::size_t kMostRests = 2;  // for one block: a machine that is always hot must not be waited for

class Search {
public:
    Search(const SearchPlan& plan, const MeasureChoice& measure, Clock& clock, const std::function<bool()>& stop,
           const OnProgress& progress)
        : plan_(plan), measure_(measure), clock_(clock), stop_(stop), progress_(progress), seed_(plan.seed) {}

    Result<SearchResult> run() {
        begin_ = clock_.now();
        result_.best = plan_.start;
        if (const auto known = measure_noise(); !known) return known.error();
        for (const Stage& stage : plan_.stages) later_ += runs_of_stage(stage.values.size() + 1);
        for (const Stage& stage : plan_.stages) {
            if (stopped()) return give_up();
            later_ -= runs_of_stage(stage.values.size() + 1);
            if (has_time_for(stage))
                run_stage(stage);
            else
                say(fmt::format("{} {}: not tried, the time for it is over", stage.id, stage.setting));
        }
        if (stopped()) return give_up();
        if (result_.best.size() > 1) leave_out();
        if (stopped()) return give_up();
        if (result_.best.empty()) {
            if (!result_.stages.empty()) say("No setting that was tried is better than what is in force.");
            return std::move(result_);
        }
        if (const auto done = confirm_best(); !done) return done.error();
        return std::move(result_);
    }

private:
    bool stopped() const { return stop_ && stop_(); }
    void say(const std::string& text) const {
        if (progress_) progress_({text});
    }

    /// How far it is, with the time that is left: what `blocks` take, which are those still to come in this step, in
    /// later stages and in the confirmation, should none of them end early.
    void show(const std::string& text, std::size_t blocks) const {
        if (!progress_) return;
        const double seconds = static_cast<double>(blocks) * to_seconds(result_.block);
        const std::string time =
            seconds < 180.0 ? fmt::format("{:.0f} s", seconds) : fmt::format("{:.0f} min", seconds / 60.0);
        progress_({result_.block == Ns{0} ? text : fmt::format("{}; some {} left", text, time), true});
    }

    std::size_t blocks_to_confirm() const { return 2 * pairs_to_confirm(); }
    std::uint64_t next_seed() { return base::split_mix(seed_ += base::kSplitMixStep); }

    SearchResult give_up() {
        result_.end = SearchEnd::kStopped;
        return std::move(result_);
    }

    Result<benchmark::Block> block(const Choice& choice, std::size_t requests) {
        for (std::size_t rests = 0;; ++rests) {
            const auto before = heat_events();
            auto measured = measure_(choice, requests);
            if (measured) ++result_.blocks;
            const auto after = heat_events();
            const bool hot = before && after && *after > *before;
            if (!measured || !hot || rests == kMostRests || stopped()) return measured;
            say("    the processor was slowed down for heat: this block doesn't count, and a rest is taken");
            if (plan_.rest) plan_.rest();
        }
    }

    std::optional<std::int64_t> heat_events() const { return plan_.heat_events ? plan_.heat_events() : std::nullopt; }

    /// A against A: what two blocks of the same settings differ by, and what a block takes.
    Result<void> measure_noise() {
        const TimePoint begin = clock_.now();
        const auto one = [&](std::size_t, std::size_t requests) -> Result<benchmark::Block> {
            const TimePoint before = clock_.now();
            auto measured = block({}, requests);
            if (measured && 2 * (clock_.now() - before) > plan_.budget) return too_long(clock_.now() - before);
            return measured;
        };
        const auto same = confirm(one,
                                  {.cost = plan_.cost,
                                   .delta = plan_.delta,
                                   .reload = plan_.reload,
                                   .requests = plan_.requests,
                                   .most_pairs = kNoisePairs,
                                   .budget = plan_.budget / 3,
                                   .seed = next_seed()},
                                  clock_, stop_, [&](const benchmark::AbResult& now) {
                                      show(fmt::format("Noise: pair {} of {}", now.pairs.size(), kNoisePairs), 0);
                                  });
        if (!same) return same.error();
        if (same->measured.end == benchmark::AbEnd::kStopped)
            return Error{ErrorCode::kInterrupted, "Stopped", "Nothing was changed."};
        if (same->measured.error) return *same->measured.error;
        std::vector<double> ratios;
        for (const benchmark::AbPair& pair : same->measured.pairs)
            if (pair.complete()) ratios.push_back(std::log(*pair.values[1] / *pair.values[0]));
        const Ns spent = clock_.now() - begin;
        if (ratios.size() < 2 && 3 * spent > plan_.budget)
            return too_long(spent / static_cast<std::int64_t>(2 * same->measured.pairs.size()));
        if (ratios.size() < 2)
            return Error{ErrorCode::kNoValidResult, "The settings as they are brought no speed to compare with",
                         "See  velollm benchmark"};
        result_.noise = stats::deviation(ratios);
        result_.block = spent / static_cast<std::int64_t>(2 * same->measured.pairs.size());
        const std::size_t pairs = pairs_to_confirm();
        result_.visible = visible_gain(result_.noise, pairs, plan_.delta);
        say(
            fmt::format("Equal settings differ by {:.1f} % from block to block (a block takes {:.1f} s); the "
                        "confirmation, in some {} "
                        "pairs, finds a gain of {:.1f} %.",
                        100.0 * result_.noise, to_seconds(result_.block), pairs, 100.0 * result_.visible));
        return {};
    }

    static Error too_long(Ns block) {
        return {ErrorCode::kNoValidResult,
                fmt::format("The settings as they are take {:.0f} s for one block: too long for this budget",
                            to_seconds(block)),
                "Do what the rules say first:  velollm optimize\nor take a larger budget, or a smaller model."};
    }

    /// The pairs that the time left by the search is enough for; the first look is after 8.
    std::size_t pairs_to_confirm() const {
        const double seconds = (1.0 - kSearchShare) * to_seconds(plan_.budget);
        const double pairs = seconds / (2.0 * std::max(1e-3, to_seconds(result_.block)));
        return static_cast<std::size_t>(std::clamp(pairs, static_cast<double>(kLeastPairs), kMostPairs));
    }

    /// A race of the least length, with what is needed to confirm afterwards: else the search would run far beyond its
    /// time.
    bool has_time_for(const Stage& stage) const {
        const auto least = static_cast<std::int64_t>(kLeastBlocks * (stage.values.size() + 1));
        const Ns spent = clock_.now() - begin_ + least * result_.block;
        return to_seconds(spent) <= kSearchShare * to_seconds(plan_.budget);
    }

    /// Time is shared out evenly over the stages.
    std::size_t runs_of_stage(std::size_t runners) const {
        const double seconds = kRaceShare * to_seconds(plan_.budget) / static_cast<double>(plan_.stages.size());
        const double runs = seconds / std::max(1e-3, to_seconds(result_.block));
        return std::max(kLeastBlocks * runners, static_cast<std::size_t>(std::min(runs, 130.0)));
    }

    void run_stage(const Stage& stage) {
        StageResult done{.stage = stage, .values = {""}, .race = {}, .taken = ""};
        done.values.insert(done.values.end(), stage.values.begin(), stage.values.end());
        const auto with = [&](std::size_t runner) {
            Choice choice = result_.best;
            if (runner > 0) choice[stage.setting] = done.values[runner];
            return choice;
        };
        const RaceRules rules{.most_runs = runs_of_stage(done.values.size()), .seed = next_seed()};
        say(fmt::format("{} {}: as it is and {} other value{}, at most {} runs", stage.id, stage.setting,
                        stage.values.size(), stage.values.size() == 1 ? "" : "s", rules.most_runs));
        std::size_t runs = 0;
        std::string standing;
        done.race = race(
            done.values.size(),
            [&](std::size_t runner) -> Result<double> {
                if (stopped()) return Error{ErrorCode::kInterrupted, "Stopped", ""};
                show(fmt::format("{} {}: run {} of at most {}{}", stage.id, stage.setting, runs + 1, rules.most_runs,
                                 standing),
                     rules.most_runs - std::min(runs, rules.most_runs) + later_ + blocks_to_confirm());
                ++runs;
                const auto measured = block(with(runner), plan_.requests);
                if (!measured) return measured.error();
                const auto cost = plan_.cost(*measured);
                if (!cost) return Error{ErrorCode::kFailed, "it brought no value", ""};
                return *cost;
            },
            rules, [&](const RaceResult& now) { standing = standing_of(done.values, now); });
        take_winner(done);
        result_.stages.push_back(std::move(done));
    }

    /// Who is ahead so far, and by how much of the second that is still in.
    static std::string standing_of(const std::vector<std::string>& values, const RaceResult& now) {
        std::size_t first = values.size();
        double second = 0.0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const Runner& one = now.runners[i];
            if (!one.failed.empty() || one.logs.empty()) continue;
            if (one.behind <= 0.0)
                first = i;
            else if (second == 0.0 || one.behind < second)
                second = one.behind;
        }
        if (first == values.size()) return "";
        return fmt::format(", {} ahead by {:.1f} %", values[first].empty() ? "as it is" : values[first],
                           100.0 * std::expm1(second));
    }

    /// A change must earn its place: without half of delta ahead, what was stays.
    void take_winner(StageResult& done) {
        for (std::size_t i = 1; i < done.values.size(); ++i)
            if (const std::string& why = done.race.runners[i].failed; !why.empty())
                say(fmt::format("    {}={}: out, {}", done.stage.setting, done.values[i], why));
        if (done.race.ranking.empty() || done.race.ranking.front() == 0) {
            say(fmt::format("    {} stays as it is", done.stage.setting));
            return;
        }
        if (const std::string& why = done.race.runners[0].failed; !why.empty()) {
            say(fmt::format("    {} stays: as it is it failed, and nothing can be compared with that: {}",
                            done.stage.setting, why));
            return;
        }
        const std::size_t winner = done.race.ranking.front();
        const double ahead = done.race.runners[0].behind;
        if (ahead < std::log1p(plan_.delta / 2.0)) {
            say(fmt::format("    {} stays as it is: no value was ahead", done.stage.setting));
            return;
        }
        done.taken = done.values[winner];
        done.gain = std::expm1(ahead);
        result_.best[done.stage.setting] = done.taken;
        say(fmt::format("    {}={} is ahead", done.stage.setting, done.taken));
    }

    ConfirmPlan confirm_plan(std::size_t pairs) {
        const Ns left = plan_.budget - (clock_.now() - begin_);
        // Below the time of the first look nothing could be said at all; some more, since blocks vary.
        const Ns least = least_to_confirm();
        return {.cost = plan_.cost,
                .delta = plan_.delta,
                .reload = plan_.reload,
                .requests = plan_.requests,
                .most_pairs = pairs,
                .budget = std::max(left, least),
                .seed = next_seed()};
    }

    Ns least_to_confirm() const { return 2 * static_cast<std::int64_t>(kLeastPairs + 3) * result_.block; }

    /// Each change that nobody misses is taken out: fewer changes are fewer superstitions.
    void leave_out() {
        const Choice all = result_.best;
        for (const auto& [setting, value] : all) {
            if (stopped() || result_.best.size() < 2) return;
            // What the confirmation needs is left to it.
            ConfirmPlan one = confirm_plan(kAblationPairs);
            if (plan_.budget - (clock_.now() - begin_) < 2 * least_to_confirm()) {
                say(fmt::format("{}={} stays: no time to see whether it is missed", setting, value));
                continue;
            }
            one.budget = *one.budget - least_to_confirm();
            Choice without = result_.best;
            without.erase(setting);
            say(fmt::format("Without {}={}: is it missed?", setting, value));
            const auto on_pair = [&](const benchmark::AbResult& now) {
                show(fmt::format("    pair {} of {}", now.pairs.size(), kAblationPairs),
                     2 * (kAblationPairs - std::min(now.pairs.size(), kAblationPairs)) + blocks_to_confirm());
            };
            const auto missed =
                confirm([&](std::size_t side,
                            std::size_t requests) { return block(side == 0 ? without : result_.best, requests); },
                        one, clock_, stop_, on_pair);
            // Nothing is taken out for want of pairs, or because it doesn't run without.
            if (!missed || missed->measured.error || missed->measured.judgement.n < kLeastPairs) continue;
            if (missed->measured.judgement.factor * (1.0 + plan_.delta) <= 1.0) continue;
            result_.best = std::move(without);
            for (StageResult& stage : result_.stages) stage.dropped = stage.dropped || stage.stage.setting == setting;
            say("    no: it is left out");
        }
    }

    Result<void> confirm_best() {
        say("Confirming against what was, on fresh requests ...");
        auto confirmed =
            confirm([&](std::size_t side,
                        std::size_t requests) { return block(side == 0 ? Choice{} : result_.best, requests); },
                    confirm_plan(static_cast<std::size_t>(kMostPairs)), clock_, stop_,
                    [&](const benchmark::AbResult& now) {
                        say(fmt::format("    pair {}: {:+.1f} %", now.pairs.size(),
                                        100.0 * (1.0 / now.judgement.factor - 1.0)));
                        show(fmt::format("    pair {}", now.pairs.size() + 1),
                             blocks_to_confirm() - std::min(blocks_to_confirm(), 2 * now.pairs.size()));
                    });
        if (!confirmed) {
            if (confirmed.error().code != ErrorCode::kInterrupted) return confirmed.error();
            result_.end = SearchEnd::kStopped;
            return {};
        }
        if (confirmed->measured.error) say(fmt::format("    it ended early: {}", confirmed->measured.error->message));
        if (const auto drift = confirmed->measured.drift_per_pair)
            say(fmt::format("    the machine drifted: A changed by {:+.1f} % from pair to pair; pairs take that out",
                            100.0 * *drift));
        const bool cut = confirmed->measured.end == benchmark::AbEnd::kStopped;
        result_.end = confirmed->improved ? SearchEnd::kImproved
                      : cut               ? SearchEnd::kStopped
                                          : SearchEnd::kNoImprovement;
        if (confirmed->improved) judge_others(*confirmed);
        result_.visible = visible_gain(result_.noise, confirmed->measured.judgement.n, plan_.delta);
        result_.confirmed = std::move(*confirmed);
        return {};
    }

    void judge_others(const Confirmation& confirmed) {
        for (const benchmark::AbMetric& other : confirmed.measured.others) {
            const stats::Judgement& judged = other.judgement;
            const bool higher = other.key.ends_with("_tps");
            const double loss = higher ? 1.0 / judged.factor : judged.factor;
            const bool real = judged.decision == stats::Decision::kSlower || judged.decision == stats::Decision::kSmall;
            if (!real || loss <= kWorse) continue;
            result_.end = SearchEnd::kTradeoff;
            result_.worse = fmt::format("{} is worse by {:.0f} %", other.key, 100.0 * (loss - 1.0));
        }
        const auto before = benchmark::most_model_bytes(confirmed.measured.pairs, 0);
        const auto after = benchmark::most_model_bytes(confirmed.measured.pairs, 1);
        if (!before || !after || static_cast<double>(*after) <= kWorse * static_cast<double>(*before)) return;
        result_.end = SearchEnd::kTradeoff;
        result_.worse = fmt::format("{}{}{} of memory in place of {}", result_.worse,
                                    result_.worse.empty() ? "the model takes " : ", and it takes ", size_words(*after),
                                    size_words(*before));
    }

    const SearchPlan& plan_;
    const MeasureChoice& measure_;
    Clock& clock_;
    const std::function<bool()>& stop_;
    const OnProgress& progress_;
    std::uint64_t seed_;
    TimePoint begin_;
    std::size_t later_ = 0;  // blocks of the stages to come, at most
    SearchResult result_;
};

}  // namespace

double visible_gain(double noise, std::size_t pairs, double delta) {
    if (pairs == 0) return 0.0;
    constexpr double kPowerErrors = 0.84;  // standard errors: the normal quantile of 80 %
    const double told = stats::planned_looks(pairs).back().reach * noise;
    const double large = std::log1p(delta) + kPowerErrors * noise / std::sqrt(static_cast<double>(pairs));
    return std::expm1(std::max(told, large));
}

Result<SearchResult> search(const SearchPlan& plan, const MeasureChoice& measure, Clock& clock,
                            const std::function<bool()>& stop, const OnProgress& progress) {
    return Search(plan, measure, clock, stop, progress).run();
}

}  // namespace velollm::optimize
