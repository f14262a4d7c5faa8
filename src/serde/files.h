#pragma once

#include <velollm/benchmark.h>
#include <velollm/result.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velollm::serde {

/// Reads a suite: a JSON array of benchmark configs with the keys of the result file's `config`. `prompt` is required;
/// `name` becomes "benchmark_N", `max_tokens` 50 and `iterations` 3 where they are left out; `model` empty means the
/// model of the command line. `source` names the text in messages.
Result<std::vector<BenchmarkConfig>> read_suite(std::string_view json, const std::string& source);

/// Reads a settings file: a JSON object of option names (without the leading dashes) and their values.
Result<std::vector<std::pair<std::string, std::string>>> read_settings(std::string_view json,
                                                                       const std::string& source);

}  // namespace velollm::serde
