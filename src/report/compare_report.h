#pragma once

#include <string>
#include <vector>

#include "compare/compare.h"

namespace velollm::report {

/// For people, in at most 100 columns: of two sides every measure in a line of words, of more a table of the primary
/// one. `verbose`: the lines as well.
std::string comparison_text(const compare::Comparison& comparison, bool verbose);

/// Geometric means over benchmarks, and what else a reader must know, a line for each.
std::vector<std::string> mean_lines(const compare::Comparison& comparison);
std::vector<std::string> note_lines(const compare::Comparison& comparison);

/// The document of schema/velollm-comparison-1.schema.json.
std::string comparison_json(const compare::Comparison& comparison, int indent);

/// One line for each side, benchmark and measure.
std::string comparison_csv(const compare::Comparison& comparison);

/// A table to paste into a pull request, and below it how it was measured.
std::string comparison_markdown(const compare::Comparison& comparison);

}  // namespace velollm::report
