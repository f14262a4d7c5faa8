// Whether decisions hold, judged on a simulated machine with known truth: shares of wrong and right verdicts, pairs and
// runs that they took. Time is virtual; the road is that of the program, from the load loop over the metrics to the
// verdict. Prints one table.
//
//   decisions [--seeds N] [--seed FIRST] [--only TEXT]
//
// 1000 seeds from 1 on; tuning takes half as many. --only: rows whose name holds the text.

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/split_mix.h"
#include "benchmark/ab.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "mock/plant.h"
#include "optimize/confirm.h"
#include "optimize/race.h"
#include "stats/looks.h"
#include "stats/quantile.h"
#include "system/system.h"

namespace {

using namespace velollm;
using mock::Drift;
using stats::Decision;

constexpr std::int64_t kTokens = 8;
constexpr std::size_t kPromptWords = 100;

/// A request to an engine of the plant, through the load loop.
Result<benchmark::Block> measure(mock::Plant& plant, mock::PlantEngine& engine, std::size_t requests, bool reload) {
    benchmark::Block block;
    if (reload) {
        const TimePoint begin = plant.clock().now();
        if (const auto gone = engine.unload(); !gone) return gone.error();
        if (const auto loaded = engine.load(); !loaded) return loaded.error();
        block.load = plant.clock().now() - begin;
    }
    std::string text;
    for (std::size_t i = 0; i < kPromptWords; ++i) text += "word ";
    const std::vector<Prompt> prompts(requests, Prompt{.text = text, .max_tokens = kTokens});
    Run run = load::run_load(load::closed_loop(requests, 1), prompts, engine, plant.clock(), std::chrono::hours(1), {});
    block.requests = std::move(run.requests);
    return block;
}

struct Case {
    std::string name;
    mock::PlantSpec plant;
    double gain = 1.0;         ///< B against A
    double prompt_gain = 1.0;  ///< beside that, of the prompt's speed
    bool reload = false;
    bool watch = false;
    double delta = 0.02;
    std::size_t most_pairs = 30;
};

struct Tally {
    std::size_t seeds = 0;
    std::size_t better = 0;  ///< faster, or a small change for the better
    std::size_t worse = 0;
    std::size_t same = 0;
    std::size_t same_in_10 = 0;
    std::size_t others_different = 0;  ///< at least one of the metrics beside the deciding one
    std::size_t prompt_different = 0;  ///< TTFT
    std::size_t prompt_same = 0;
    std::vector<double> pairs;
    std::vector<double> pairs_of_better;

    double share(std::size_t count) const { return 100.0 * static_cast<double>(count) / static_cast<double>(seeds); }
};

bool different(const stats::Judgement& judged) {
    return judged.decision == Decision::kFaster || judged.decision == Decision::kSlower ||
           judged.decision == Decision::kSmall;
}

/// What is said of the metrics that don't decide.
void count_others(const benchmark::AbResult& result, Tally& tally) {
    bool any = false;
    for (const benchmark::AbMetric& other : result.others) {
        any = any || different(other.judgement);
        if (other.key != "ttft_ms") continue;
        tally.prompt_different += different(other.judgement) ? 1U : 0U;
        tally.prompt_same += other.judgement.decision == Decision::kSame ? 1 : 0;
    }
    tally.others_different += any ? 1 : 0;
}

Tally try_ab(const Case& one, std::uint64_t first, std::size_t seeds) {
    Tally tally;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        mock::Plant plant(one.plant, seed);
        mock::PlantEngine a(plant, 1.0);
        mock::PlantEngine b(plant, one.gain, one.prompt_gain);
        benchmark::AbPlan plan;
        plan.limits.delta = one.delta;
        plan.reload = one.reload;
        plan.watch = one.watch;
        plan.most_pairs = one.most_pairs;
        plan.seed = base::split_mix(seed);
        std::size_t made = 0;
        const auto done = benchmark::run_ab(
            plan,
            [&](std::size_t side, std::size_t requests) {
                return measure(plant, side == 0 ? a : b, requests, one.reload);
            },
            plant.clock(), [&] { return one.watch && made >= 100; },
            [&](const benchmark::AbResult& now) { made = now.pairs.size(); });
        if (!done) {
            fmt::print(stderr, "seed {}: {}\n", seed, done.error().message);
            std::exit(1);
        }
        const stats::Judgement& judged = done->judgement;
        ++tally.seeds;
        count_others(*done, tally);
        tally.better += different(judged) && judged.factor > 1.0 ? 1U : 0U;
        tally.worse += different(judged) && judged.factor < 1.0 ? 1U : 0U;
        tally.same += judged.decision == Decision::kSame ? 1 : 0;
        tally.same_in_10 += judged.decision == Decision::kSame && judged.n <= 10 ? 1 : 0;
        tally.pairs.push_back(static_cast<double>(judged.n));
        if (different(judged) && judged.factor > 1.0) tally.pairs_of_better.push_back(static_cast<double>(judged.n));
    }
    return tally;
}

std::string_view only;  // --only: rows whose name holds this

bool wanted(std::string_view name) {
    return name.find(only) != std::string_view::npos;
}

void row(std::string_view name, std::string_view goal, const std::string& reached, bool good) {
    fmt::print("{:<52} {:<38} {:<46} {}\n", name, goal, reached, good ? "yes" : "NO");
    std::fflush(stdout);
}

/// Three standard errors of a share of 5 %.
double sampling_error(std::size_t seeds) {
    return 300.0 * std::sqrt(0.05 * 0.95 / static_cast<double>(seeds));
}

mock::PlantSpec noisy(double noise, Drift drift = {}) {
    mock::PlantSpec spec;
    spec.noise = noise;
    spec.drift = drift;
    return spec;
}

mock::PlantSpec with_outliers(mock::PlantSpec spec) {
    spec.outlier_share = 0.05;
    return spec;
}

void print_null(std::uint64_t first, std::size_t seeds) {
    mock::PlantSpec loads = noisy(0.03);
    loads.load_noise = 0.03;
    loads.reload = std::chrono::seconds(2);
    const Case cases[] = {
        {"equal, 3 % noise, no drift", noisy(0.03)},
        {"equal, 3 % noise, linear drift 5 % in 20 requests", noisy(0.03, {Drift::Kind::kLinear, 0.05, 20})},
        {"equal, 3 % noise, warm-up 8 %, tau 5 requests", noisy(0.03, {Drift::Kind::kWarmUp, 0.08, 5})},
        {"equal, 3 % noise, saw-tooth 3 %, period 4", noisy(0.03, {Drift::Kind::kSawTooth, 0.03, 4})},
        {"equal, 3 % noise, 5 % outliers x 1.3", with_outliers(noisy(0.03))},
        {"equal, 1 % noise, linear drift 5 % in 20 requests", noisy(0.01, {Drift::Kind::kLinear, 0.05, 20})},
        {"equal, loads differ by 3 % beside 3 % noise", loads, 1.0, 1.0, true},
        {"equal, 3 % noise, looked at after each of 100 pairs", noisy(0.03), 1.0, 1.0, false, true},
    };
    for (const Case& one : cases) {
        if (!wanted(one.name)) continue;
        const Tally tally = try_ab(one, first, seeds);
        row(one.name, "called different: at most 5 %",
            fmt::format("{:.1f} % (faster {:.1f}, slower {:.1f}); same {:.1f} %",
                        tally.share(tally.better + tally.worse), tally.share(tally.better), tally.share(tally.worse),
                        tally.share(tally.same)),
            tally.share(tally.better + tally.worse) <= 5.0 + sampling_error(seeds));
    }
}

void print_power(std::uint64_t first, std::size_t seeds) {
    const auto found = [&](const Case& one, double share, double pairs) {
        if (!wanted(one.name)) return;
        const Tally tally = try_ab(one, first, seeds);
        const double took = tally.pairs_of_better.empty() ? 0.0 : stats::median_of(tally.pairs_of_better);
        row(one.name, fmt::format("found: at least {:.0f} %, median <= {:.0f} pairs", share, pairs),
            fmt::format("{:.1f} %, median {:.0f} pairs; wrong way {:.1f} %", tally.share(tally.better), took,
                        tally.share(tally.worse)),
            tally.share(tally.better) >= share && took <= pairs);
    };
    found({"5 % faster, 3 % noise", noisy(0.03), 1.05}, 95.0, 12.0);
    found({"3 % faster, 3 % noise, 5 % outliers x 1.3", with_outliers(noisy(0.03)), 1.03}, 85.0, 30.0);
    if (wanted("equal, 1 % noise, limit 2 %")) {
        const Tally tally = try_ab({"", noisy(0.01)}, first, seeds);
        row("equal, 1 % noise, limit 2 %", "same within 10 pairs: at least 95 %",
            fmt::format("{:.1f} %, median {:.0f} pairs", tally.share(tally.same_in_10), stats::median_of(tally.pairs)),
            tally.share(tally.same_in_10) >= 95.0);
    }
    // How often differs with the noise: where it is least the difference is seen, where it is most nothing is.
    for (const double noise : {0.01, 0.014, 0.016, 0.018, 0.02, 0.025, 0.03}) {
        const std::string name = fmt::format("2 % faster, {:.1f} % noise, limit 2 %", 100.0 * noise);
        if (!wanted(name)) continue;
        const Tally tally = try_ab({"", noisy(noise), 1.02}, first, seeds);
        row(name, "called the same: at most 5 %", fmt::format("{:.1f} %", tally.share(tally.same)),
            tally.share(tally.same) <= 5.0 + sampling_error(seeds));
    }
}

/// The metrics beside the deciding one, judged where that one ended the measurement.
void print_others(std::uint64_t first, std::size_t seeds) {
    const auto spec = [](double noise, double prompt_noise) {
        mock::PlantSpec out = noisy(noise);
        out.prompt_noise = prompt_noise;
        return out;
    };
    const auto most = [&](const Case& one, std::string_view goal, std::size_t Tally::*count) {
        if (!wanted(one.name)) return;
        const Tally tally = try_ab(one, first, seeds);
        row(one.name, goal,
            fmt::format("{:.1f} %, median {:.0f} pairs", tally.share(tally.*count), stats::median_of(tally.pairs)),
            tally.share(tally.*count) <= 5.0 + sampling_error(seeds));
    };
    const std::string_view different = "others called different: at most 5 %";
    most({"others: all equal, 3 % noise", spec(0.03, 0.03)}, different, &Tally::others_different);
    most({"others: all equal, 1 % noise", spec(0.01, 0.01)}, different, &Tally::others_different);
    most({"others: all equal, they move as the deciding one", spec(0.03, 0.0)}, different, &Tally::others_different);
    most({"others: all equal, they hardly do", spec(0.005, 0.03)}, different, &Tally::others_different);
    most({"others: all equal, 5 % outliers x 1.3", with_outliers(spec(0.03, 0.03))}, different,
         &Tally::others_different);
    most({"others: looked at after each of 100 pairs", spec(0.03, 0.03), 1.0, 1.0, false, true}, different,
         &Tally::others_different);
    most({"others: decode 20 % faster, prompts equal", spec(0.01, 0.03), 1.2, 1.0 / 1.2}, "TTFT different: at most 5 %",
         &Tally::prompt_different);
    for (const double noise : {0.01, 0.03})
        most({fmt::format("others: prompts 2 % faster, {:.0f} % noise", 100.0 * noise), spec(0.01, noise), 1.0, 1.02},
             "TTFT called the same: at most 5 %", &Tally::prompt_same);
    const Case found = {"others: decode, prompts 30 % faster, 3 % noise", spec(0.03, 0.03), 1.3};
    if (!wanted(found.name)) return;
    const Tally tally = try_ab(found, first, seeds);
    row(found.name, "TTFT found: at least 90 %",
        fmt::format("{:.1f} %, median {:.0f} pairs", tally.share(tally.prompt_different),
                    stats::median_of(tally.pairs)),
        tally.share(tally.prompt_different) >= 90.0);
}

/// A race among `gains.size()` settings, then the confirmation of the best against the first, the default.
struct Tuned {
    double regret = 0.0;
    std::size_t runs = 0;
    bool improved = false;
};

Tuned tune(const std::vector<double>& gains, const mock::PlantSpec& spec, std::uint64_t seed) {
    mock::Plant plant(spec, seed);
    std::vector<mock::PlantEngine> engines;
    for (const double gain : gains) engines.emplace_back(plant, gain);
    const auto cost = [&](std::size_t runner) -> Result<double> {
        const auto block = measure(plant, engines[runner], 1, false);
        if (!block) return block.error();
        const auto speed = benchmark::block_value(*block, "decode_tps");
        if (!speed) return Error{ErrorCode::kFailed, "no value", ""};
        return 1.0 / *speed;
    };
    const optimize::RaceResult raced =
        optimize::race(gains.size(), cost, {.most_runs = 130, .seed = base::split_mix(seed)});
    const std::size_t best = raced.ranking.front();
    const double truth = *std::max_element(gains.begin(), gains.end());
    Tuned out{.regret = 1.0 - gains[best] / truth, .runs = raced.runs};
    if (best == 0) return out;
    const auto confirmed = optimize::confirm(
        [&](std::size_t side, std::size_t requests) {
            return measure(plant, engines[side == 0 ? 0 : best], requests, false);
        },
        {.requests = 1, .seed = base::split_mix(seed + 1)}, plant.clock(), {}, {});
    out.improved = confirmed && confirmed->improved;
    return out;
}

void print_tuning(std::uint64_t first, std::size_t seeds) {
    if (!wanted("tune")) return;
    constexpr std::size_t kSettings = 24;
    mock::PlantSpec spec = noisy(0.03, {Drift::Kind::kSawTooth, 0.03, 40});
    std::size_t near = 0;
    std::size_t most = 0;
    double regret = 0.0;
    std::size_t unfounded = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        base::SplitMix random(base::split_mix(seed + 7));
        std::vector<double> gains;
        for (std::size_t i = 0; i < kSettings; ++i) gains.push_back(1.0 - 0.15 * random.uniform());
        const Tuned tuned = tune(gains, spec, seed);
        near += tuned.regret <= 0.01 ? 1 : 0;
        regret += tuned.regret;
        most = std::max(most, tuned.runs);
        unfounded += tune(std::vector<double>(kSettings, 1.0), spec, seed).improved ? 1U : 0U;
    }
    const auto all = static_cast<double>(seeds);
    row("tune: 24 settings up to 15 % apart, noise, drift 3 %", "within 1 % of the best: at least 95 %",
        fmt::format("{:.1f} % with at most {} runs; mean regret {:.2f} %", 100.0 * static_cast<double>(near) / all,
                    most, 100.0 * regret / all),
        static_cast<double>(near) >= 0.95 * all && most <= 130);
    row("tune: 24 settings, all equal", "no measurable improvement: at least 95 %",
        fmt::format("{:.1f} %", 100.0 - 100.0 * static_cast<double>(unfounded) / all),
        static_cast<double>(unfounded) <= 0.05 * all);
}

void print_time() {
    base::SplitMix random(1);
    std::vector<double> ratios;
    for (int i = 0; i < 1000; ++i) ratios.push_back(0.1 * (random.uniform() + random.uniform() - 1.0));
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
        const Ns begin = system::process_cpu_time();  // what others take of the machine is no fault of ours
        const stats::Judgement judged = stats::judge_pairs(ratios, {});
        if (judged.n == 1000) best = std::min(best, to_ms(system::process_cpu_time() - begin));
    }
    row("statistics of 1000 pairs", "below 50 ms", fmt::format("{:.1f} ms", best), best < 50.0);
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1;
    std::size_t seeds = 1000;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view option = argv[i];
        if (option == "--seeds") seeds = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--only") only = argv[i + 1];
        if (option == "--seed") first = std::strtoull(argv[i + 1], nullptr, 10);
    }
    if (seeds < 2) seeds = 2;
    fmt::print("{} seeds from {} on; 'yes' allows for three standard errors where a share must be at most 5 %\n\n",
               seeds, first);
    fmt::print("{:<52} {:<38} {:<46} {}\n", "what", "goal", "reached", "");
    print_null(first, seeds);
    print_power(first, seeds);
    print_others(first, seeds);
    print_tuning(first, std::max<std::size_t>(1, seeds / 2));
    print_time();
}
