#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compare/compare.h"

namespace velollm::report {

/// "decode" for decode_tps; of an unknown key the key.
std::string measure_title(const std::string& key);
/// "tok/s"; empty where it isn't known.
std::string measure_unit(const std::string& key);

/// FASTER, SLOWER, SMALL, SAME, UNCLEAR.
std::string verdict_word(stats::Decision decision);

/// A factor as a change, "+6.3 %"; with two decimals where the interval needs them.
std::string change_text(const compare::MetricComparison& metric);
/// "[+4.1, +8.4]", or empty; of a SAME the one that is within the limit.
std::string interval_text(const compare::MetricComparison& metric);
/// "97.9 %", or empty.
std::string level_text(const compare::MetricComparison& metric);
/// "10 pairs", "10 and 12 values".
std::string amount_text(const compare::MetricComparison& metric);
/// "p = 0.002"; empty where nothing was tested.
std::string p_text(const compare::MetricComparison& metric);
std::string value_text(const std::string& key, double value);
/// What the verdict leaves open: what could have been seen, how many it takes. Empty: nothing.
std::string remark_text(const compare::MetricComparison& metric, double delta);

/// "2 %"
std::string share_text(double share);
/// "context: 4096 against 8192 (short_completion)"
std::string difference_text(const compare::SeenDifference& seen, std::size_t benchmarks);
/// "ollama 0.32.15, llama3.2:3b Q4_K_M, context 4096, Example CPU"
std::string identity_text(const std::map<std::string, std::string>& identity);
/// How the samples were taken: in turn, or apart and what that leaves open.
std::string taking_text(const compare::Candidate& candidate);
/// Which benchmarks made the outcome: "slower: medium_completion"; of several sides with their letters.
std::string outcome_text(const compare::Comparison& comparison);
/// "A" for the baseline, 0; "B" for the first that is compared with it.
std::string letter(std::size_t index);

/// A benchmark of a candidate that was judged.
struct ComparedRow {
    std::size_t candidate = 0;
    const compare::BenchmarkComparison* benchmark = nullptr;
};
/// In the order of the baseline's benchmarks, all candidates under each. `comparison` must outlive them.
std::vector<ComparedRow> rows_of(const compare::Comparison& comparison);

/// What else a reader must know of a side: benchmarks of one side only, unknown traits, values left out.
std::vector<std::string> candidate_notes(const compare::Candidate& candidate, const std::string& baseline);

}  // namespace velollm::report
