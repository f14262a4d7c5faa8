#pragma once

#include <velollm/benchmark.h>

#include <string>
#include <vector>

namespace velollm::report {

/// How speed falls with the context, a line a benchmark: medians, and the tokens that were really in front of the
/// answer. Results without a number of their own are left out, and so are invalid ones unless `force` asks for them.
std::string depths_text(const std::vector<BenchmarkResult>& results, bool force);

}  // namespace velollm::report
