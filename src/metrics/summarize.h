#pragma once

#include <velollm/summary.h>

#include "metrics/validity.h"

namespace velollm::metrics {

/// Judges a run and sums it up. Pure: the same run gives the same summary.
///
/// A sample is a request that ended well and has no finding of level invalid of its own. The run is invalid when no
/// sample is left, when a finding on the whole run says so, or when more than 10 % of its requests are invalid.
Summary summarize(const Run& run, const RunContext& context);

}  // namespace velollm::metrics
