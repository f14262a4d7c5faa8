#include "stats/change_points.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "stats/quantile.h"

namespace velollm::stats {
namespace {

constexpr std::size_t kShortest = 3;
/// The time grows with the square of the length where nothing changes.
constexpr std::size_t kLongest = 2000;

/// -2 log likelihood of values [from, to) as normal with a mean and variance of their own, from prefix sums.
class SegmentCost {
public:
    explicit SegmentCost(const std::vector<double>& series) : sum_(series.size() + 1), squares_(series.size() + 1) {
        centre_ = mean(series);
        for (std::size_t i = 0; i < series.size(); ++i) {
            const double value = series[i] - centre_;  // centred: differences of large squares lose their digits
            sum_[i + 1] = sum_[i] + value;
            squares_[i + 1] = squares_[i] + value * value;
        }
        const double size = std::abs(centre_) > 0.0 ? std::abs(centre_) : 1.0;
        least_variance_ = size * size * 1e-12;
    }

    double operator()(std::size_t from, std::size_t to) const {
        const auto n = static_cast<double>(to - from);
        const double sum = sum_[to] - sum_[from];
        const double variance = (squares_[to] - squares_[from] - sum * sum / n) / n;
        return n * (std::log(std::max(variance, least_variance_)) + 1.0);
    }

private:
    std::vector<double> sum_;
    std::vector<double> squares_;
    double centre_ = 0.0;
    double least_variance_ = 0.0;
};

/// Means of `size` values each; the last one of what is left.
std::vector<double> block_means(const std::vector<double>& series, std::size_t size) {
    std::vector<double> out;
    for (std::size_t begin = 0; begin < series.size(); begin += size) {
        const std::size_t end = std::min(begin + size, series.size());
        double sum = 0.0;
        for (std::size_t i = begin; i < end; ++i) sum += series[i];
        out.push_back(sum / static_cast<double>(end - begin));
    }
    return out;
}

}  // namespace

std::vector<std::size_t> change_points(const std::vector<double>& series) {
    if (series.size() > kLongest) {
        const std::size_t block = (series.size() + kLongest - 1) / kLongest;
        std::vector<std::size_t> points = change_points(block_means(series, block));
        for (std::size_t& point : points) point *= block;
        return points;
    }
    const std::size_t n = series.size();
    if (n < 2 * kShortest) return {};
    const SegmentCost cost(series);
    const double penalty = 15.0 * std::log(static_cast<double>(n));
    std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
    std::vector<std::size_t> last(n + 1, 0);
    struct Candidate {
        std::size_t begin;
        std::size_t gone = std::numeric_limits<std::size_t>::max();  ///< from this end on it needn't be looked at
    };
    std::vector<Candidate> candidates = {{0}};
    best[0] = -penalty;
    for (std::size_t end = kShortest; end <= n; ++end) {
        std::erase_if(candidates, [&](const Candidate& one) { return one.gone <= end; });
        for (const auto& [begin, gone] : candidates) {
            if (end - begin < kShortest) continue;
            const double value = best[begin] + cost(begin, end) + penalty;
            if (value < best[end]) {
                best[end] = value;
                last[end] = begin;
            }
        }
        // A begin that is worse than the optimum already, even without paying for a new part, never wins against one at
        // `end`, which may be taken from the end of its shortest part on.
        for (Candidate& one : candidates)
            if (end - one.begin >= kShortest && best[one.begin] + cost(one.begin, end) > best[end])
                one.gone = std::min(one.gone, end + kShortest);
        candidates.push_back({end});
    }
    std::vector<std::size_t> points;
    for (std::size_t end = last[n]; end > 0; end = last[end]) points.push_back(end);
    std::reverse(points.begin(), points.end());
    return points;
}

}  // namespace velollm::stats
