#include "compare/judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "base/split_mix.h"
#include "compare/likeness.h"
#include "stats/quantile.h"

namespace velollm::compare {
namespace {

using serde::MeasuredMetric;
using serde::MeasuredWorkload;
using stats::Judgement;

/// Pairs, and values on each side, that have an interval of 95 %.
constexpr std::size_t kFewest = 6;
constexpr std::size_t kFewestValues = 4;
/// All differences are formed: of more values, so many are drawn.
constexpr std::size_t kMostValues = 1000;
/// No time and no speed is beyond these, and what is computed from values between them stays finite.
constexpr double kLeastValue = 1e-15;
constexpr double kGreatestValue = 1e15;

constexpr std::array<std::string_view, 7> kPrimary{"decode_tps", "tokens_per_second", "prefill_tps", "e2e_tps",
                                                   "tpot_ms",    "ttft_ms",           "e2e_ms"};
/// Beside the second, the first says nothing new.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kSayTheSame{{
    {"tpot_ms", "decode_tps"},
    {"server_decode_tps", "decode_tps"},
    {"tokens_per_second", "e2e_ms"},
    {"e2e_tps", "e2e_ms"},
    {"total_time_ms", "e2e_ms"},
    {"time_to_first_token_ms", "ttft_ms"},
    {"e2e_tps", "tokens_per_second"},
    {"ttfo_ms", "ttft_ms"},
    {"ttfb_ms", "ttft_ms"},
}};
/// Judged beside the primary measure, unless another one says the same.
constexpr std::array<std::string_view, 9> kSecondary{
    "decode_tps",    "prefill_tps",       "ttft_ms", "e2e_ms", "tpot_ms", "tokens_per_second", "time_to_first_token_ms",
    "total_time_ms", "energy_j_per_token"};
/// Means that stand alone in a file whose samples have another name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kSamplesOf{{
    {"tokens_per_second", "e2e_tps"},
    {"time_to_first_token_ms", "ttft_ms"},
}};
/// They grow or fall with the length of the answer alone.
const std::set<std::string_view> kOfWholeRequests{"e2e_ms", "e2e_tps", "tokens_per_second", "total_time_ms",
                                                  "stall_ms"};

bool usable(double value) {
    return value >= kLeastValue && value <= kGreatestValue;
}

bool has_value(const MeasuredMetric& metric) {
    return std::any_of(metric.samples.begin(), metric.samples.end(), usable) ||
           (metric.samples.empty() && metric.centre && usable(*metric.centre));
}

/// The metric, where it has a value.
std::optional<MeasuredMetric> find(const Benchmark& benchmark, std::string_view key) {
    const MeasuredMetric* metric = benchmark.measured.find(key);
    if (metric == nullptr || !has_value(*metric)) return std::nullopt;
    for (const auto& [mean, samples] : kSamplesOf) {
        const MeasuredMetric* all = benchmark.measured.find(samples);
        if (mean != key || !metric->samples.empty() || all == nullptr || !has_value(*all)) continue;
        MeasuredMetric full = *all;
        full.key = key;
        return full;
    }
    return *metric;
}

/// Leaves at most kMostValues, drawn at random and in their order: every k-th would lock on whatever repeats. Samples
/// of one size keep the same places, so that pairs stay pairs, and a comparison can be repeated.
void draw(std::vector<double>& samples) {
    constexpr std::uint64_t kSeed = 1;
    if (samples.size() <= kMostValues) return;
    base::SplitMix random(kSeed);
    std::vector<double> drawn;
    // Selection sampling: Knuth, The Art of Computer Programming 2, section 3.4.2, algorithm S.
    for (std::size_t i = 0; drawn.size() < kMostValues; ++i)
        if (random.below(samples.size() - i) < kMostValues - drawn.size()) drawn.push_back(samples[i]);
    samples = std::move(drawn);
}

/// Draws what is compared, and says what that is; the median is that of all.
Values values_of(std::vector<double>& samples) {
    const std::size_t all = samples.size();
    const double centre = stats::median_of(samples);
    draw(samples);
    Values out{.n = samples.size(), .centre = centre, .centre_is = "median"};
    if (samples.size() < all) out.drawn_from = all;
    if (samples.size() < kFewest) out.few = samples;
    return out;
}

std::vector<double> usable_of(const std::vector<double>& samples) {
    std::vector<double> out;
    std::copy_if(samples.begin(), samples.end(), std::back_inserter(out), usable);
    return out;
}

/// Samples that have a partner on the other side, in the order of the baseline. A key that occurs twice is none.
struct Pairs {
    std::vector<double> baseline;
    std::vector<double> other;
    std::size_t left_out = 0;
};

std::map<std::string_view, double> by_pair_key(const MeasuredMetric& metric) {
    std::map<std::string_view, double> values;
    std::set<std::string_view> twice;
    if (metric.pair_keys.size() != metric.samples.size()) return values;
    for (std::size_t i = 0; i < metric.samples.size(); ++i)
        if (!values.emplace(metric.pair_keys[i], metric.samples[i]).second) twice.insert(metric.pair_keys[i]);
    for (const std::string_view key : twice) values.erase(key);
    return values;
}

Pairs pairs_of(const MeasuredMetric& a, const MeasuredMetric& b) {
    Pairs pairs;
    const auto from = by_pair_key(a);
    const auto to = by_pair_key(b);
    for (const std::string& key : a.pair_keys) {
        const auto left = from.find(key);
        const auto right = to.find(key);
        if (left == from.end() || right == to.end()) continue;
        if (!usable(left->second) || !usable(right->second)) {
            ++pairs.left_out;
            continue;
        }
        pairs.baseline.push_back(left->second);
        pairs.other.push_back(right->second);
    }
    return pairs;
}

/// Few pairs have no interval, and are still what was measured in turn; beside many samples of other runs they are too
/// few to leave those out. `samples`: of the smaller side.
bool go_in_pairs(const Pairs& pairs, std::size_t samples) {
    return pairs.baseline.size() >= kFewest ||
           (!pairs.baseline.empty() && 2 * (pairs.baseline.size() + pairs.left_out) >= samples);
}

/// Values as they are judged.
struct Samples {
    std::vector<double> baseline;
    std::vector<double> other;
    bool paired = false;
};

Judgement judge_values(const Samples& samples, const stats::Limits& limits) {
    Judgement out;
    if (samples.paired) {
        std::vector<double> log_ratios;
        for (std::size_t i = 0; i < samples.baseline.size(); ++i)
            log_ratios.push_back(std::log(samples.other[i] / samples.baseline[i]));
        out = stats::judge_pairs(log_ratios, limits);
    } else {
        out = stats::judge_samples(samples.baseline, samples.other, limits);
    }
    const std::size_t fewest = samples.paired ? kFewest : kFewestValues;
    if (out.pairs_for_delta) out.pairs_for_delta = std::max(*out.pairs_for_delta, fewest);
    if (out.n < fewest) {
        // Three values against many have an interval by the letter, and one odd value on that side makes a verdict.
        out.interval.reset();
        out.within.reset();
        out.pairs_for_delta.reset();
        out.decision = stats::Decision::kUnclear;
    }
    // The smallest effect is that of a test, and without an interval there is none.
    if (!out.interval) out.visible.reset();
    return out;
}

Values summary_of(const MeasuredMetric& metric) {
    if (metric.samples.empty()) return {.n = 0, .centre = *metric.centre, .centre_is = metric.centre_is};
    // A stated mean stands against the mean: the two are then at least of one kind.
    const std::vector<double> samples = usable_of(metric.samples);
    return {.n = samples.size(), .centre = stats::mean(samples), .centre_is = "mean"};
}

/// One of both sides has a number alone.
MetricComparison of_summaries(const MeasuredMetric& a, const MeasuredMetric& b) {
    MetricComparison out{.key = a.key, .higher_is_better = a.higher_is_better};
    out.baseline = summary_of(a);
    out.other = summary_of(b);
    out.judgement.factor = out.other.centre / out.baseline.centre;
    out.because = a.samples.empty() && b.samples.empty() ? "one value each: nothing is known of the spread"
                                                         : "one value on one side: nothing is known of its spread";
    return out;
}

/// What is wrong with so few; empty: nothing.
std::string too_few(const Samples& samples, double alpha) {
    const std::size_t a = samples.baseline.size();
    const std::size_t b = samples.other.size();
    if (samples.paired && a < kFewest)
        return fmt::format("{} {}; an interval takes {}", a, a == 1 ? "pair" : "pairs", kFewest);
    if (a == 1 && b == 1) return "one value each: nothing is known of the spread";
    if (std::min(a, b) < kFewestValues)
        return fmt::format("too few values: an interval takes {} on each side (velollm benchmark --runs {})",
                           kFewestValues, kFewest);
    if (alpha < 0.05) return "too few values for so many measures at once";
    return "too few values for an interval";
}

/// A metric with its samples, before it is known how strictly it is to be judged.
struct Prepared {
    MetricComparison comparison;
    Samples samples;
};

Prepared prepare(const MeasuredMetric& a, const MeasuredMetric& b) {
    if (a.samples.empty() || b.samples.empty()) return {of_summaries(a, b), {}};
    Prepared out{{.key = a.key, .higher_is_better = a.higher_is_better}, {}};
    Pairs pairs = pairs_of(a, b);
    out.samples.paired = go_in_pairs(pairs, std::min(a.samples.size(), b.samples.size()));
    if (out.samples.paired) {
        out.samples.baseline = std::move(pairs.baseline);
        out.samples.other = std::move(pairs.other);
        out.comparison.left_out = pairs.left_out;
    } else {
        out.samples.baseline = usable_of(a.samples);
        out.samples.other = usable_of(b.samples);
        out.comparison.left_out =
            a.samples.size() + b.samples.size() - out.samples.baseline.size() - out.samples.other.size();
    }
    out.comparison.paired = out.samples.paired;
    out.comparison.baseline = values_of(out.samples.baseline);
    out.comparison.other = values_of(out.samples.other);
    return out;
}

void decide(Prepared& prepared, double delta, double alpha) {
    if (prepared.samples.baseline.empty()) return;
    MetricComparison& out = prepared.comparison;
    out.alpha = alpha;
    out.judgement =
        judge_values(prepared.samples, {.delta = delta, .alpha = alpha, .higher_is_better = out.higher_is_better});
    out.because = out.judgement.interval ? "" : too_few(prepared.samples, alpha);
}

bool told_by_another(std::string_view key, std::string_view primary, const Match& match) {
    return std::any_of(kSayTheSame.begin(), kSayTheSame.end(), [&](const auto& pair) {
        return pair.first == key &&
               (pair.second == primary || (find(*match.baseline, pair.second) && find(*match.other, pair.second)));
    });
}

bool is_secondary(std::string_view key) {
    return std::find(kSecondary.begin(), kSecondary.end(), key) != kSecondary.end();
}

/// The measures of both sides, in the order of the baseline.
std::vector<std::string> common_keys(const Match& match) {
    std::vector<std::string> keys;
    for (const MeasuredMetric& metric : match.baseline->measured.metrics)
        if (has_value(metric) && find(*match.other, metric.key)) keys.push_back(metric.key);
    return keys;
}

/// Whether sums are over one and the same number of requests.
bool over_as_many(const MeasuredMetric& a, const MeasuredMetric& b) {
    return a.n == b.n && a.n > 0;
}

std::string choose_primary(const std::vector<std::string>& keys, const Match& match, const Rule& rule) {
    const auto there = [&](std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
    if (!rule.metric.empty()) return there(rule.metric) ? rule.metric : "";
    for (const std::string_view key : kPrimary)
        if (there(key)) return std::string(key);
    // Of keys that only another tool knows: samples tell more than a mean, and a mean more than a percentile.
    const auto worth = [&](const std::string& key) {
        const auto a = find(*match.baseline, key);
        const auto b = find(*match.other, key);
        if (!a->samples.empty() && !b->samples.empty()) return 2;
        return a->centre_is.starts_with('p') || b->centre_is.starts_with('p') ? 0 : 1;
    };
    const auto best = std::max_element(keys.begin(), keys.end(),
                                       [&](const std::string& a, const std::string& b) { return worth(a) < worth(b); });
    return best == keys.end() ? "" : *best;
}

}  // namespace

Judged judge(const Match& match, const Rule& rule) {
    Judged out;
    const bool other_length = lengths_differ(match);
    std::vector<std::string> keys;
    for (const std::string& key : common_keys(match)) {
        if (other_length && kOfWholeRequests.contains(key)) {
            out.not_compared.push_back({key, "answers differ in length by more than 1 %"});
        } else if (key == "total_time_ms" && !over_as_many(*find(*match.baseline, key), *find(*match.other, key))) {
            out.not_compared.push_back({key, "it is a sum, and not known to be over as many requests"});
        } else {
            keys.push_back(key);
        }
    }
    const std::string primary = choose_primary(keys, match, rule);
    if (primary.empty()) return out;
    std::vector<Prepared> others;
    for (const std::string& key : keys) {
        Prepared prepared = prepare(*find(*match.baseline, key), *find(*match.other, key));
        if (key == primary) {
            prepared.comparison.primary = true;
            decide(prepared, rule.delta, prepared.comparison.alpha);
            out.metrics.push_back(std::move(prepared.comparison));
        } else if (is_secondary(key) && !told_by_another(key, primary, match)) {
            decide(prepared, rule.delta, prepared.comparison.alpha);
            others.push_back(std::move(prepared));
        }
    }
    // What can't be told in any case takes nothing from the share of the others.
    std::vector<double> p;
    for (const Prepared& one : others)
        if (one.comparison.judgement.interval) p.push_back(one.comparison.judgement.p);
    const std::vector<double> alphas = stats::holm_alphas(p, stats::Limits{}.alpha);
    auto alpha = alphas.begin();
    for (Prepared& one : others) {
        if (one.comparison.judgement.interval) decide(one, rule.delta, *alpha++);
        out.metrics.push_back(std::move(one.comparison));
    }
    std::stable_partition(out.metrics.begin(), out.metrics.end(),
                          [](const MetricComparison& one) { return one.primary; });
    return out;
}

bool within_limit(const MetricComparison& metric, double delta) {
    const auto& interval = metric.judgement.interval;
    return interval && interval->low >= 1.0 / (1.0 + delta) && interval->high <= 1.0 + delta;
}

bool may_be_worse(const MetricComparison& metric, double delta) {
    if (metric.judgement.decision != stats::Decision::kSmall || within_limit(metric, delta)) return false;
    return metric.judgement.interval->low > 1.0 ? !metric.higher_is_better : metric.higher_is_better;
}

}  // namespace velollm::compare
