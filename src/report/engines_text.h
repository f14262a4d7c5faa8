#pragma once

#include <velollm/benchmark.h>

#include <string>
#include <vector>

#include "report/result_json.h"

namespace velollm::report {

/// Engines that were measured in turn on one workload, a column each: speeds, their ratio to the first, and where the
/// time of a request goes. What nothing measures is called unknown. Of an invalid run no number is given, unless
/// `force` asks for it.
std::string engines_text(const std::vector<ReportedResult>& engines, bool force);

}  // namespace velollm::report
