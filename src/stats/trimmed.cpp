#include "stats/trimmed.h"

#include <algorithm>
#include <cmath>

#include "stats/quantile.h"
#include "stats/rank_tests.h"

namespace velollm::stats {
namespace {

constexpr double kTooFar = 2.5;          // robust standard deviations
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

/// The end of the interval where even the outermost average isn't refused: with few pairs, one of which is left out
/// there, and counts again further out.
double beyond(const std::vector<double>& differences, double edge, double width, bool lower, double tail) {
    const auto refused = [&](double shift) { return trimmed_tail(differences, shift, !lower) <= tail; };
    double step = std::max(width, std::abs(edge) * 1e-6) / 64.0;
    if (step <= 0.0) return edge;
    double inside = edge;
    double outside = edge;
    for (int i = 0; i < 64; ++i, step *= 2.0) {
        outside = lower ? edge - step : edge + step;
        if (refused(outside)) break;
        inside = outside;
    }
    for (int i = 0; i < 40; ++i) {
        const double half = inside + (outside - inside) / 2.0;
        (refused(half) ? outside : inside) = half;
    }
    return inside;
}

}  // namespace

std::vector<double> undisturbed(const std::vector<double>& differences) {
    return counted(differences, median_of(differences));
}

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
    // Outwards from the middle, in steps that hardly grow, to the first average that is refused. Far outside the
    // distances of all pairs are large, a disturbed one isn't told from them, and the test would accept again.
    const auto edge = [&](bool lower) {
        const std::size_t middle = grid.size() / 2;
        const std::size_t steps = lower ? middle : grid.size() - 1 - middle;
        const auto at = [&](std::size_t step) { return grid[lower ? middle - step : middle + step]; };
        const auto refused = [&](std::size_t step) { return trimmed_tail(differences, at(step), !lower) <= tail; };
        std::size_t reach = 0;
        std::size_t bad = 1;
        while (bad <= steps && !refused(bad)) {
            reach = bad;
            bad += std::max<std::size_t>(1, reach / 8);
        }
        bad = std::min(bad, steps + 1);
        while (bad - reach > 1) {
            const std::size_t half = reach + (bad - reach) / 2;
            (refused(half) ? bad : reach) = half;
        }
        return reach < steps ? at(reach) : beyond(differences, at(reach), grid.back() - grid.front(), lower, tail);
    };
    return ShiftInterval{edge(true), edge(false), 1.0 - 2.0 * tail};
}

}  // namespace velollm::stats
