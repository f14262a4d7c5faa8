#pragma once

#include <string>
#include <utility>
#include <vector>

#include "report/context.h"

namespace velollm::report {

/// One benchmark with the circumstances that it was measured in.
using ReportedResult = std::pair<const Context*, const BenchmarkResult*>;

/// The result file (schema/velollm-result-1.schema.json): an array, one element a benchmark, each with the original
/// keys and one more, `velollm`. Every element is complete in itself, so elements may be cut out and files joined.
std::string result_json(const std::vector<ReportedResult>& results);

}  // namespace velollm::report
