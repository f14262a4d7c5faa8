#include "stats/trimmed.h"

#include <algorithm>
#include <cmath>

#include "stats/quantile.h"
#include "stats/rank_tests.h"

namespace velollm::stats {
namespace {

constexpr double kTooFar = 4.0;          // robust standard deviations
constexpr double kToDeviation = 1.4826;  // of the median distance

/// The differences from `shift` that count.
std::vector<double> counted(const std::vector<double>& differences, double shift) {
    std::vector<double> distances;
    for (const double difference : differences) distances.push_back(std::abs(difference - shift));
    const double limit = kTooFar * kToDeviation * median_of(distances);
    std::vector<double> out;
    for (const double difference : differences)
        if (std::abs(difference - shift) <= limit) out.push_back(difference - shift);
    return out;
}

}  // namespace

double trimmed_tail(const std::vector<double>& differences, double shift, bool below) {
    return signed_rank_tail(counted(differences, shift), below);
}

double trimmed_p(const std::vector<double>& differences) {
    return std::min(1.0, 2.0 * std::min(trimmed_tail(differences, 0.0, true), trimmed_tail(differences, 0.0, false)));
}

std::optional<ShiftInterval> trimmed_interval(const std::vector<double>& differences, double tail) {
    // The answer changes at the Walsh averages only, as far as the same pairs count.
    std::vector<double> grid;
    for (std::size_t i = 0; i < differences.size(); ++i)
        for (std::size_t j = i; j < differences.size(); ++j) grid.push_back((differences[i] + differences[j]) / 2.0);
    std::sort(grid.begin(), grid.end());
    if (trimmed_tail(differences, grid.front() - 1.0, false) > tail) return std::nullopt;
    // Just outside of the first average that is refused, counted from the middle.
    const auto edge = [&](bool lower) {
        std::size_t good = grid.size() / 2;
        std::size_t steps = lower ? good : grid.size() - 1 - good;
        std::size_t bad = steps + 1;
        std::size_t reach = 0;
        const auto at = [&](std::size_t step) { return grid[lower ? good - step : good + step]; };
        while (bad - reach > 1) {
            const std::size_t middle = reach + (bad - reach) / 2;
            (trimmed_tail(differences, at(middle), !lower) > tail ? reach : bad) = middle;
        }
        return at(reach);
    };
    return ShiftInterval{edge(true), edge(false), 1.0 - 2.0 * tail};
}

}  // namespace velollm::stats
