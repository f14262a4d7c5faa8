#pragma once

#include <velollm/benchmark.h>

#include <string>
#include <vector>

#include "report/result_json.h"

namespace velollm::report {

/// Engines that were measured in turn on one workload, a column each: speeds, their ratio to the first, and where the
/// time of a request goes. What nothing measures is called unknown.
std::string engines_text(const std::vector<ReportedResult>& engines);

}  // namespace velollm::report
