#pragma once

#include <velollm/run.h>
#include <velollm/summary.h>

#include <string>
#include <vector>

#include "metrics/validity.h"

// The groups of checks that check_run() is made of, a file each.
namespace velollm::metrics {

/// What the machine and this program did meanwhile.
void check_host(const Run& run, const RunContext& context, std::vector<Finding>& out);

/// Whether the measured requests, in the order they were sent, are alike: trends, changes, bursts, delays.
void check_series(const Run& run, const RunContext& context, std::vector<Finding>& out);

}  // namespace velollm::metrics
