#pragma once

#include <cstddef>
#include <vector>

namespace velollm::stats {

/// Where a setting takes effect with a load only, loads differ among themselves beside the requests in them, and more
/// requests in one load never stand in for more loads: the load is the unit.
struct LoadLevels {
    double within = 0.0;       ///< variance of requests of one load
    double between = 0.0;      ///< variance of loads beyond what their requests explain; 0: none was seen
    std::size_t requests = 1;  ///< that each load should have, for the narrowest interval in a given time
};

/// From the logarithms of a pilot: some loads with the same number of requests each, two of either at least (else one
/// request a load is the answer). `load_cost` and `request_cost`: time of a load and of a request.
///
/// `centres`: so many means were taken out of the logarithms before, one a setting.
///
/// requests = ceil(sqrt(load_cost / request_cost * within / between)), at least 1 and at most `most`; where loads don't
/// differ, `most`.
/// Source: Kalibera, Jones, Rigorous benchmarking in reasonable time, ISMM 2013, section 6.
LoadLevels load_levels(const std::vector<std::vector<double>>& loads, double load_cost, double request_cost,
                       std::size_t most, std::size_t centres = 1);

}  // namespace velollm::stats
