#pragma once

#include <cstddef>
#include <vector>

namespace velollm::stats {

/// Where the mean or the spread of a series changes: indices of the first value of each new part, ascending; empty when
/// it stays the same. Exact optimum of the penalised likelihood by PELT, penalty 15 ln n, normal segments with a
/// floor on their spread of one part in a million of the values' size.
///
/// Sources: Killick, Fearnhead, Eckley, J. Am. Stat. Assoc. 107 (2012); penalty as Barrett et al., OOPSLA 2017
/// (arXiv 1602.00602), who classify warm-up of virtual machines by it. Parts have at least 3 values.
///
/// Of a series of more than 2000 values, the means of equal blocks are looked at, at most 2000 of them: a change is
/// then found at the edge of a block, and one of the spread alone hardly.
std::vector<std::size_t> change_points(const std::vector<double>& series);

}  // namespace velollm::stats
