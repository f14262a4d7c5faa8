// Series and clusters: how much they are worth, whether they move. Simulations have fixed seeds and known truth.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/split_mix.h"
#include "stats/change_points.h"
#include "stats/clustered.h"
#include "stats/dependence.h"
#include "stats/order_interval.h"
#include "stats/outliers.h"
#include "stats/proportion.h"
#include "stats/quantile.h"
#include "stats/sort.h"

namespace velollm::stats {
namespace stats_series_test {

/// Standard normal values by Box-Muller: the library's own distribution differs between libraries.
class Normal {
public:
    explicit Normal(std::uint64_t seed) : engine_(seed) {}
    double operator()() {
        const auto uniform = [&] { return (static_cast<double>(engine_() >> 11U) + 0.5) / 9007199254740992.0; };
        return std::sqrt(-2.0 * std::log(uniform())) * std::cos(2.0 * 3.14159265358979323846 * uniform());
    }

private:
    std::mt19937_64 engine_;
};

TEST(OrderBounds, MatchThePublishedRanks) {
    EXPECT_EQ(order_bounds(30, 0.90, 0.95), (RankBounds{23, std::nullopt}));
    EXPECT_EQ(order_bounds(100, 0.90, 0.95), (RankBounds{84, 96}));
    EXPECT_EQ(order_bounds(100, 0.95, 0.95), (RankBounds{90, 100}));
    EXPECT_EQ(order_bounds(300, 0.99, 0.95), (RankBounds{293, std::nullopt}));
    EXPECT_EQ(order_bounds(10'000, 0.999, 0.95), (RankBounds{9983, 9997}));
    EXPECT_EQ(order_bounds(1'000'000, 0.5, 0.95), (RankBounds{499'020, 500'981}));
}

TEST(Proportion, IsClopperPearson) {
    EXPECT_EQ(proportion_interval(0, 10).lower, 0.0);
    EXPECT_NEAR(proportion_interval(0, 10).upper, 0.30850, 1e-5);
    EXPECT_NEAR(proportion_interval(5, 10).lower, 0.18709, 1e-5);
    EXPECT_NEAR(proportion_interval(5, 10).upper, 0.81291, 1e-5);
    EXPECT_EQ(proportion_interval(10, 10).upper, 1.0);
}

TEST(Outliers, AreCountedByTukeysFences) {
    // Quartiles 3 and 9 (nearest rank of 12): fences at -15, -6, 18 and 27.
    const Outliers outliers = count_outliers({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 28});
    EXPECT_EQ(outliers.mild, 1u);
    EXPECT_EQ(outliers.severe, 1u);
    EXPECT_EQ(count_outliers({1, 2, 3, 4, 100}).severe, 0u) << "five values have no quartiles to speak of";
}

TEST(Outliers, TheSpreadIsBlindToThem) {
    EXPECT_NEAR(robust_cv({98, 99, 100, 101, 102}), 0.014826, 1e-9);
    EXPECT_NEAR(robust_cv({98, 99, 100, 101, 10'000}), 0.014826, 1e-9);
}

TEST(Dependence, NeighboursThatResembleEachOtherAreWorthLess) {
    Normal normal(7);
    constexpr double kRho = 0.6;
    constexpr std::size_t kValues = 400;
    int naive = 0;
    int honest = 0;
    constexpr int kRuns = 1500;
    for (int run = 0; run < kRuns; ++run) {
        std::vector<double> series;
        double value = normal();
        for (std::size_t i = 0; i < kValues; ++i) {
            series.push_back(value);
            value = kRho * value + std::sqrt(1.0 - kRho * kRho) * normal();
        }
        std::vector<double> sorted = series;
        std::sort(sorted.begin(), sorted.end());
        const auto covers = [&](std::size_t n) {
            const auto ranks = *order_interval(n, 0.5, 0.95);
            const double step = static_cast<double>(kValues - 1) / static_cast<double>(n - 1);
            const auto at = [&](double rank) { return sorted[static_cast<std::size_t>(rank)]; };
            return at(std::floor(static_cast<double>(ranks.lower - 1) * step)) <= 0.0 &&
                   at(std::ceil(static_cast<double>(ranks.upper - 1) * step - 1e-9)) >= 0.0;
        };
        naive += covers(kValues) ? 1 : 0;
        honest += covers(static_cast<std::size_t>(effective_n(series))) ? 1 : 0;
    }
    EXPECT_LT(naive, kRuns * 80 / 100);
    EXPECT_GT(honest, kRuns * 92 / 100);
}

TEST(Dependence, IndependentValuesKeepTheirWorth) {
    EXPECT_EQ(effective_n({1, 5, 2, 6, 1, 7}), 6.0) << "values that alternate are not worth more than their number";
    EXPECT_EQ(lag1_correlation({4, 4, 4, 4}), 0.0);
}

TEST(Trend, IsMannKendallsWithTheilSensSlope) {
    const Trend rising = trend({1, 2, 3, 4, 5, 6});
    EXPECT_NEAR(rising.p, std::erfc(14.0 / std::sqrt(6.0 * 5.0 * 17.0 / 18.0) / std::sqrt(2.0)), 1e-12);
    EXPECT_LT(rising.p, 0.01);
    EXPECT_EQ(rising.slope, 1.0);
    EXPECT_EQ(trend({3, 1, 2}).p, 1.0) << "too short";
    EXPECT_EQ(trend({5, 5, 5, 5, 5, 5}).p, 1.0);
    EXPECT_GT(trend({10, 10.1, 9.9, 10, 30, 10}).p, 0.3) << "one outlier is no trend";
}

TEST(Trend, CriesWolfAsRarelyAsItsPSays) {
    Normal normal(11);
    int alarms = 0;
    constexpr int kRuns = 5000;
    for (int run = 0; run < kRuns; ++run) {
        std::vector<double> series(10);
        for (double& value : series) value = normal();
        alarms += trend(series).p < 0.01 ? 1 : 0;
    }
    EXPECT_LE(alarms, kRuns * 13 / 1000);
}

/// -2 log likelihood of a part as normal, from its values.
double part_cost(const std::vector<double>& series, std::size_t begin, std::size_t end) {
    const auto n = static_cast<double>(end - begin);
    double sum = 0.0;
    for (std::size_t i = begin; i < end; ++i) sum += series[i];
    double squares = 0.0;
    for (std::size_t i = begin; i < end; ++i) squares += (series[i] - sum / n) * (series[i] - sum / n);
    return n * (std::log(std::max(squares / n, 1e-12 * 100.0 * 100.0)) + 1.0);
}

TEST(ChangePoints, AreFoundWhereTheyAre) {
    Normal normal(3);
    std::vector<double> series;
    for (int i = 0; i < 40; ++i) series.push_back(100.0 + normal());
    for (int i = 0; i < 60; ++i) series.push_back(90.0 + normal());
    EXPECT_EQ(change_points(series), (std::vector<std::size_t>{40}));
}

/// The least cost of all partitions into parts of three and more, found by trying every last part.
double least_cost(const std::vector<double>& series, std::size_t end, double penalty, std::vector<double>& known) {
    if (end == 0) return -penalty;
    if (known[end] < 1e300) return known[end];
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t begin = 0; begin + 3 <= end; ++begin)
        if (begin == 0 || begin >= 3)
            best = std::min(best, least_cost(series, begin, penalty, known) + part_cost(series, begin, end) + penalty);
    return known[end] = best;
}

TEST(ChangePoints, AreTheBestOfAllPartitions) {
    Normal normal(11);
    base::SplitMix random(11);
    for (int run = 0; run < 3000; ++run) {
        std::vector<double> series;
        const std::size_t length = 8 + random.below(20);
        double level = 100.0;
        for (std::size_t i = 0; i < length; ++i) {
            if (random.uniform() < 0.2) level += 20.0 * (random.uniform() - 0.5);
            series.push_back(level + (random.uniform() < 0.3 ? 0.01 : 1.0) * normal());
        }
        const double penalty = 15.0 * std::log(static_cast<double>(length));
        std::vector<double> known(length + 1, 1e301);
        double cost = -penalty;
        std::size_t begin = 0;
        std::vector<std::size_t> ends = change_points(series);
        ends.push_back(length);
        for (const std::size_t end : ends) {
            cost += part_cost(series, begin, end) + penalty;
            begin = end;
        }
        EXPECT_NEAR(cost, least_cost(series, length, penalty, known), 1e-6) << run;
    }
}

TEST(ChangePoints, ASteadySeriesHasNone) {
    Normal normal(5);
    int found = 0;
    for (int run = 0; run < 200; ++run) {
        std::vector<double> series(100);
        for (double& value : series) value = 50.0 + normal();
        found += change_points(series).empty() ? 0 : 1;
    }
    EXPECT_LE(found, 2);
    EXPECT_TRUE(change_points(std::vector<double>(50, 7.0)).empty());
    EXPECT_TRUE(change_points({1, 2, 3}).empty());
}

TEST(ChangePoints, OfALongSeriesAreFoundToWithinABlock) {
    Normal normal(9);
    std::vector<double> series;
    for (int i = 0; i < 100'000; ++i) series.push_back((i < 61'234 ? 100.0 : 99.0) + normal());
    const auto points = change_points(series);  // blocks of 50
    ASSERT_EQ(points.size(), 1u);
    EXPECT_NEAR(static_cast<double>(points[0]), 61'234.0, 50.0);
    std::fill(series.begin(), series.end(), 100.0);
    for (double& value : series) value += normal();
    EXPECT_TRUE(change_points(series).empty());
}

TEST(Sort, LongSeriesAreSortedAsShortOnesAre) {
    Normal normal(21);
    std::vector<std::uint64_t> memory;
    for (const std::size_t n : {std::size_t{100}, std::size_t{20'000}, std::size_t{9000}}) {
        std::vector<double> values(n);
        for (double& value : values) value = normal() * std::exp(20.0 * normal());
        values[n / 2] = values[n / 3];
        values[1] = 0.0;
        values[2] = std::numeric_limits<double>::infinity();
        values[3] = -std::numeric_limits<double>::infinity();
        values[4] = std::numeric_limits<double>::denorm_min();
        std::vector<double> right = values;
        std::sort(right.begin(), right.end());
        std::vector<double> again = values;
        sort_values(values);
        EXPECT_EQ(values, right) << n;
        sort_values(again, memory);
        EXPECT_EQ(again, right) << n;
    }
}

TEST(Quantile, TheMedianNeedsNoOrder) {
    Normal normal(22);
    for (const std::size_t n : {1U, 2U, 3U, 10U, 11U, 100U}) {
        std::vector<double> values(n);
        for (double& value : values) value = std::round(3.0 * normal()) + 40.0 + (n % 2 == 0 ? 0.25 * normal() : 0.0);
        std::vector<double> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        EXPECT_EQ(median_of(values), median(sorted)) << n;
        // And the spread, which sorts nothing either.
        std::vector<double> distances;
        for (const double value : sorted) distances.push_back(std::abs(value - median(sorted)));
        const double centre = std::abs(median(sorted));
        EXPECT_EQ(robust_cv(sorted), centre == 0.0 ? 0.0 : 1.4826 * median_of(distances) / centre) << n;
    }
}

TEST(Clustered, TheIntervalHoldsWhereTokensOfARequestAreAlike) {
    Normal normal(13);
    constexpr int kRuns = 600;
    int clustered = 0;
    int naive = 0;
    for (int run = 0; run < kRuns; ++run) {
        std::vector<std::vector<double>> requests(30);
        std::vector<double> all;
        for (auto& request : requests) {
            const double own = 0.5 * normal();
            for (int i = 0; i < 20; ++i) request.push_back(20.0 + own + normal());
            all.insert(all.end(), request.begin(), request.end());
        }
        std::sort(all.begin(), all.end());
        const auto interval = *clustered_interval(requests, 0.5);
        clustered += interval.lower <= 20.0 && interval.upper >= 20.0 ? 1 : 0;
        const auto ranks = *order_interval(all.size(), 0.5, 0.95);
        naive += all[ranks.lower - 1] <= 20.0 && all[ranks.upper - 1] >= 20.0 ? 1 : 0;
    }
    EXPECT_GE(clustered, kRuns * 93 / 100);
    EXPECT_LT(naive, kRuns * 85 / 100);
}

TEST(Clustered, NeedsSixClusters) {
    EXPECT_FALSE(clustered_interval({{1, 2}, {1}, {2}, {3}, {1}}, 0.5));
    EXPECT_TRUE(clustered_interval({{1, 2}, {1}, {2}, {3}, {1}, {2}}, 0.5));
    EXPECT_FALSE(clustered_interval({{1, 2}, {1}, {2}, {3}, {1}, {}}, 0.5));
}

}  // namespace stats_series_test
}  // namespace velollm::stats
