#include "report/context.h"

namespace velollm::report {

std::string_view status_of(const BenchmarkResult& result) {
    // Stopped before anything had ended: nothing has failed.
    if (result.run.interrupted && result.summary.attempted == 0) return "partial";
    if (result.summary.samples.empty()) return "failed";
    if (result.run.interrupted) return "partial";
    return result.summary.verdict == Verdict::kInvalid ? "invalid" : "ok";
}

std::string_view outcome_name(Outcome outcome) {
    switch (outcome) {
        case Outcome::kOk: return "ok";
        case Outcome::kEmpty: return "empty";
        case Outcome::kError: return "error";
        case Outcome::kTruncated: return "truncated";
        case Outcome::kTimeout: return "timeout";
        case Outcome::kCancelled: return "cancelled";
    }
    return "";
}

}  // namespace velollm::report
