#include <gtest/gtest.h>

#include <numeric>

#include "stats/order_interval.h"
#include "stats/quantile.h"

namespace velollm::stats {
namespace stats_test {

std::vector<double> upto(std::size_t n) {
    std::vector<double> values(n);
    std::iota(values.begin(), values.end(), 1.0);
    return values;
}

TEST(OrderInterval, MedianRanksMatchThePublishedTable) {
    struct Row {
        std::size_t n, lower, upper;
    };
    for (const Row row : {Row{6, 1, 6}, Row{10, 2, 9}, Row{30, 10, 21}, Row{100, 40, 61}, Row{1000, 469, 532}}) {
        const auto interval = order_interval(row.n, 0.5, 0.95);
        ASSERT_TRUE(interval) << row.n;
        EXPECT_EQ(interval->lower, row.lower) << row.n;
        EXPECT_EQ(interval->upper, row.upper) << row.n;
        EXPECT_GE(interval->coverage, 0.95) << row.n;
    }
}

TEST(OrderInterval, CoverageIsTheExactOneNotTheOneAskedFor) {
    EXPECT_NEAR(order_interval(6, 0.5, 0.95)->coverage, 1.0 - 2.0 / 64.0, 1e-12);
    EXPECT_NEAR(order_interval(10, 0.5, 0.95)->coverage, 1.0 - 2.0 * 11.0 / 1024.0, 1e-12);
}

TEST(OrderInterval, RefusesWhatTheSampleCannotTell) {
    EXPECT_EQ(order_interval(0, 0.5, 0.95), std::nullopt);
    EXPECT_EQ(order_interval(5, 0.5, 0.95), std::nullopt);
    EXPECT_NE(order_interval(6, 0.5, 0.95), std::nullopt);
}

TEST(OrderInterval, MedianIntervalIsSymmetric) {
    for (std::size_t n = 6; n <= 300; ++n) {
        const auto interval = order_interval(n, 0.5, 0.95);
        EXPECT_EQ(interval->lower + interval->upper, n + 1) << n;
    }
}

TEST(Quantile, MedianOfAnEvenCountIsTheMeanOfTheMiddle) {
    EXPECT_EQ(median({1, 2, 3, 10}), 2.5);
    EXPECT_EQ(median({1, 2, 10}), 2.0);
    EXPECT_EQ(median({7}), 7.0);
}

TEST(Quantile, NearestRankIsAnObservedValueAtTheRankOfTheDefinition) {
    EXPECT_EQ(nearest_rank(upto(10), 0.9), 9.0);  // ceil(9.000000000000000x) must not become 10
    EXPECT_EQ(nearest_rank(upto(10), 0.91), 10.0);
    EXPECT_EQ(nearest_rank(upto(100), 0.99), 99.0);
    EXPECT_EQ(nearest_rank(upto(1), 0.5), 1.0);
}

TEST(Quantile, DeepOnesNeedTheSampleThatSupportsThem) {
    EXPECT_EQ(supported_quantile(upto(28), 0.90), std::nullopt);
    EXPECT_EQ(supported_quantile(upto(29), 0.90), 27.0);
    EXPECT_EQ(supported_quantile(upto(58), 0.95), std::nullopt);
    EXPECT_TRUE(supported_quantile(upto(59), 0.95));
    EXPECT_EQ(supported_quantile(upto(298), 0.99), std::nullopt);
    EXPECT_TRUE(supported_quantile(upto(299), 0.99));
}

}  // namespace stats_test
}  // namespace velollm::stats
