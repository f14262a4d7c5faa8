#include "stats/shift.h"

#include <cassert>

#include "stats/quantile.h"
#include "stats/rank_tests.h"
#include "stats/sort.h"

namespace velollm::stats {

Shift Shift::of_pairs(const std::vector<double>& differences) {
    assert(!differences.empty());
    Shift shift;
    shift.n1_ = differences.size();
    shift.differences_.reserve(shift.n1_ * (shift.n1_ + 1) / 2);
    for (std::size_t i = 0; i < differences.size(); ++i)
        for (std::size_t j = i; j < differences.size(); ++j)
            shift.differences_.push_back((differences[i] + differences[j]) / 2.0);
    sort_values(shift.differences_);
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
    sort_values(shift.differences_);
    shift.p_ = rank_sum_p(a, b);
    return shift;
}

double Shift::estimate() const {
    return median(differences_);
}

std::optional<ShiftInterval> Shift::interval(double tail) const {
    const long cut = paired_ ? signed_rank_cut(n1_, tail) : rank_sum_cut(n1_, n2_, tail);
    const auto count = static_cast<long>(differences_.size());
    if (cut < 0 || 2 * cut >= count) return std::nullopt;
    const auto at = static_cast<double>(cut);
    const double missed = paired_ ? signed_rank_at_most(n1_, at) : rank_sum_at_most(n1_, n2_, at);
    return ShiftInterval{differences_[static_cast<std::size_t>(cut)],
                         differences_[static_cast<std::size_t>(count - 1 - cut)], 1.0 - 2.0 * missed};
}

}  // namespace velollm::stats
