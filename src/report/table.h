#pragma once

#include <string>
#include <vector>

#include "report/result_json.h"

namespace velollm::report {

/// One row a benchmark (RFC 4180): the original keys, then every metric of the table as median, low and high. Low and
/// high are the interval of the median, or the extremes below 6 samples. An absent value is an empty field.
std::string result_csv(const std::vector<ReportedResult>& results);

/// A table for a page or a pull request, with the machine and the engine in a line above it.
std::string result_markdown(const std::vector<ReportedResult>& results);

}  // namespace velollm::report
