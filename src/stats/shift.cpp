#include "stats/shift.h"

#include <algorithm>
#include <cassert>

#include "stats/rank_tests.h"

namespace velollm::stats {

Shift Shift::of_pairs(const std::vector<double>& differences) {
    assert(!differences.empty());
    Shift shift;
    shift.n1_ = differences.size();
    shift.differences_.reserve(shift.n1_ * (shift.n1_ + 1) / 2);
    for (std::size_t i = 0; i < differences.size(); ++i)
        for (std::size_t j = i; j < differences.size(); ++j)
            shift.differences_.push_back((differences[i] + differences[j]) / 2.0);
    shift.p_ = signed_rank_p(differences);
    return shift;
}

Shift Shift::of_samples(const std::vector<double>& a, const std::vector<double>& b) {
    assert(!a.empty() && !b.empty());
    Shift shift;
    shift.paired_ = false;
    shift.n1_ = a.size();
    shift.n2_ = b.size();
    shift.differences_.reserve(a.size() * b.size());
    for (const double from : a)
        for (const double to : b) shift.differences_.push_back(to - from);
    shift.p_ = rank_sum_p(a, b);
    return shift;
}

double Shift::at(std::size_t rank) {
    const auto place = differences_.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(differences_.begin(), place, differences_.end());
    return *place;
}

double Shift::estimate() {
    const std::size_t count = differences_.size();
    const double upper = at(count / 2);
    return count % 2 == 1 ? upper : (at(count / 2 - 1) + upper) / 2.0;
}

std::optional<ShiftInterval> Shift::interval(double tail) {
    const long cut = paired_ ? signed_rank_cut(n1_, tail) : rank_sum_cut(n1_, n2_, tail);
    const auto count = static_cast<long>(differences_.size());
    if (cut < 0 || 2 * cut >= count) return std::nullopt;
    const auto end = static_cast<double>(cut);
    const double missed = paired_ ? signed_rank_at_most(n1_, end) : rank_sum_at_most(n1_, n2_, end);
    return ShiftInterval{at(static_cast<std::size_t>(cut)), at(static_cast<std::size_t>(count - 1 - cut)),
                         1.0 - 2.0 * missed};
}

}  // namespace velollm::stats
