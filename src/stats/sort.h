#pragma once

#include <cstdint>
#include <vector>

namespace velollm::stats {

/// Sorts ascending, as std::sort does; long series by their bits, several times as fast. No value may be NaN. Of zeros,
/// the negative ones may come first.
void sort_values(std::vector<double>& values);
/// The same with memory that is kept for the next series, as large as this one.
void sort_values(std::vector<double>& values, std::vector<std::uint64_t>& memory);

}  // namespace velollm::stats
