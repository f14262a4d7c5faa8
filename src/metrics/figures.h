#pragma once

#include <velollm/run.h>
#include <velollm/summary.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace velollm::metrics {

/// One figure of a whole run, for docs/metrics.md.
struct FigureRow {
    std::string_view key;
    std::string_view unit;
    std::string_view formula;
    std::string_view note;
};
std::span<const FigureRow> figure_table();

/// The figures that this run allows. Ratios of sums: a mean of ratios gives short requests too much weight and, by
/// Jensen's inequality, reads too high (method 1.4: +4.1 % where times vary by a fifth).
std::vector<RunFigure> run_figures(const Run& run, const std::vector<std::size_t>& samples);

}  // namespace velollm::metrics
