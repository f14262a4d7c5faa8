#pragma once

#include <string>
#include <vector>

namespace velollm::report {

/// One line of a CSV file (RFC 4180), with its end.
std::string csv_row(const std::vector<std::string>& fields);

/// Text that can't break a Markdown table.
std::string markdown_cell(const std::string& text);

}  // namespace velollm::report
