#include "report/depths_text.h"

#include <fmt/core.h>

namespace velollm::report {
namespace {

std::string median(const BenchmarkResult& result, const char* key, int decimals) {
    const Distribution* d = result.summary.find(key);
    return d != nullptr ? fmt::format("{:.{}f}", d->median, decimals) : "-";
}

}  // namespace

std::string depths_text(const std::vector<BenchmarkResult>& results, bool force) {
    std::string text = "Speed by context depth (medians):\n";
    text += fmt::format("  {:<28}{:>14}{:>15}{:>11}{:>15}{:>12}\n", "", "prompt tokens", "decode, tok/s", "ms/token",
                        "prefill, tok/s", "TTFT, ms");
    for (const BenchmarkResult& result : results) {
        if (result.summary.samples.empty() || (!force && result.summary.verdict == Verdict::kInvalid)) continue;
        text += fmt::format("  {:<28}{:>14}{:>15}{:>11}{:>15}{:>12}\n", result.config.name,
                            result.prompt_eval_count ? fmt::format("{}", *result.prompt_eval_count) : "-",
                            median(result, "decode_tps", 1), median(result, "tpot_ms", 2),
                            median(result, "prefill_tps", 1), median(result, "ttft_ms", 1));
    }
    return text + "\n";
}

}  // namespace velollm::report
