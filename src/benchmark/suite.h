#pragma once

#include <velollm/benchmark.h>

#include <vector>

namespace velollm::benchmark {

/// Name and version of the standard suite: its results may be compared with one another, whoever took them.
inline constexpr const char* kStandardSuite = "velollm.std/1";

/// The three standard benchmarks of the guide.
std::vector<BenchmarkConfig> standard_suite();

}  // namespace velollm::benchmark
