#include "metrics/figures.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "metrics/request.h"
#include "stats/proportion.h"

namespace velollm::metrics {
namespace {

constexpr std::array kFigures = {
    FigureRow{"decode_total_tps", "tok/s", "sum(n - k1) / sum(t_L - t_1)",
              "The speed that the whole work was done at."},
    FigureRow{"output_tps", "tok/s", "sum(n) / (last token of all - first sending)",
              "Output of the system over the run, prompts and pauses included."},
    FigureRow{"draft_acceptance", "", "sum(accepted) / sum(drafted)", "Speculative decoding: share of drafts kept."},
    FigureRow{"cpu_joules_per_token", "J/tok", "energy of the CPU packages / sum(n of all requests)",
              "Prompts, pauses and everything else on the machine included. Absent where no counter may be read."},
    FigureRow{"failed_share", "", "failed / attempted", "With its Clopper-Pearson interval."},
};

/// numerator / denominator, absent when there is nothing to divide by.
void add_ratio(std::vector<RunFigure>& out, const char* key, double numerator, double denominator) {
    if (denominator > 0.0) out.push_back({key, numerator / denominator, {}});
}

/// The counter ran beside all requests, so all of their tokens count.
void add_energy(const Run& run, std::vector<RunFigure>& out) {
    if (!run.host || !run.host->cpu_energy) return;
    std::int64_t all = 0;
    for (const RequestRecord& r : run.requests) all += output_tokens(r).value_or(0);
    if (all <= 0) return;
    const Energy& energy = *run.host->cpu_energy;
    const auto per_token = [all](double joules) { return joules / static_cast<double>(all); };
    out.push_back({"cpu_joules_per_token", per_token(energy.joules),
                   Interval{per_token(energy.joules - energy.error_joules),
                            per_token(energy.joules + energy.error_joules), 1.0}});
}

}  // namespace

std::span<const FigureRow> figure_table() {
    return kFigures;
}

std::vector<RunFigure> run_figures(const Run& run, const std::vector<std::size_t>& samples) {
    std::vector<RunFigure> out;
    double decode_tokens_sum = 0.0;
    double decode_seconds = 0.0;
    double tokens = 0.0;
    double drafted = 0.0;
    double accepted = 0.0;
    Ns first_sent = Ns::max();
    Ns last_token = Ns::min();
    for (const std::size_t i : samples) {
        const RequestRecord& r = run.requests[i];
        if (const auto n = decode_tokens(r); n && decode_time(r)) {
            decode_tokens_sum += static_cast<double>(*n);
            decode_seconds += to_seconds(*decode_time(r));
        }
        tokens += static_cast<double>(output_tokens(r).value_or(0));
        drafted += static_cast<double>(r.server.draft_tokens.value_or(0));
        accepted += static_cast<double>(r.server.accepted_tokens.value_or(0));
        first_sent = std::min(first_sent, r.sent);
        if (!r.events.empty()) last_token = std::max(last_token, r.sent + r.events.back().at);
    }
    add_ratio(out, "decode_total_tps", decode_tokens_sum, decode_seconds);
    if (last_token > first_sent) add_ratio(out, "output_tps", tokens, to_seconds(last_token - first_sent));
    add_ratio(out, "draft_acceptance", accepted, drafted);

    add_energy(run, out);

    std::size_t attempts = 0;
    std::size_t failed = 0;
    for (const RequestRecord& r : run.requests) {
        attempts += r.outcome != Outcome::kCancelled ? 1 : 0;
        failed += r.outcome != Outcome::kCancelled && r.outcome != Outcome::kOk ? 1 : 0;
    }
    if (attempts > 0) {
        const auto interval = stats::proportion_interval(failed, attempts);
        out.push_back({"failed_share", static_cast<double>(failed) / static_cast<double>(attempts),
                       Interval{interval.lower, interval.upper, 0.95}});
    }
    return out;
}

}  // namespace velollm::metrics
