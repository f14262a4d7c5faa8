#pragma once

#include <cstddef>

namespace velollm::stats {

struct Proportion {
    double lower;
    double upper;
};

/// Clopper-Pearson 95 % interval of the probability behind `hits` of `attempts` > 0. Covers at least 95 % always.
Proportion proportion_interval(std::size_t hits, std::size_t attempts);

}  // namespace velollm::stats
