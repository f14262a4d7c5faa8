#include "metrics/figures.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "metrics/request.h"
#include "stats/proportion.h"
#include "stats/resample.h"

namespace velollm::metrics {
namespace {

constexpr double kCoverage = 0.95;

constexpr std::array kFigures = {
    FigureRow{"decode_total_tps", "tok/s", "sum(n - k1) / sum(t_L - t_1)",
              "The speed that the whole work was done at. Interval from 6 requests on: jackknife with what correlated "
              "requests are worth, from 1000 on blocks drawn anew."},
    FigureRow{"output_tps", "tok/s", "sum(n) / (last token of all - first sending)",
              "Output of the system over the run, prompts and pauses included."},
    FigureRow{"draft_acceptance", "", "sum(accepted) / sum(drafted)",
              "Speculative decoding: share of the drafted tokens that were kept. Interval as above."},
    FigureRow{"cpu_joules_per_token", "J/tok", "energy of the CPU packages / sum(n of all requests)",
              "Prompts, pauses and everything else on the machine included. Absent where no counter may be read."},
    FigureRow{"failed_share", "", "failed / attempted", "With its Clopper-Pearson interval."},
};

/// numerator / denominator, absent when there is nothing to divide by.
void add_ratio(std::vector<RunFigure>& out, const char* key, double numerator, double denominator) {
    if (denominator > 0.0) out.push_back({key, numerator / denominator, {}});
}

/// A quotient of two things that every request has of its own.
struct Sums {
    std::vector<double> above;
    std::vector<double> below;

    void add(double numerator, double denominator) {
        above.push_back(numerator);
        below.push_back(denominator);
    }

    void add_to(std::vector<RunFigure>& out, const char* key, double most) const {
        const double whole = std::accumulate(below.begin(), below.end(), 0.0);
        add_ratio(out, key, std::accumulate(above.begin(), above.end(), 0.0), whole);
        const auto ratio = stats::sum_ratio(above, below);
        if (whole > 0.0 && ratio)
            out.back().interval = Interval{std::max(ratio->lower, 0.0), std::min(ratio->upper, most), kCoverage};
    }
};

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
    Sums decode;
    Sums acceptance;
    double tokens = 0.0;
    Ns first_sent = Ns::max();
    Ns last_token = Ns::min();
    for (const std::size_t i : samples) {
        const RequestRecord& r = run.requests[i];
        if (const auto n = decode_tokens(r); n && decode_time(r))
            decode.add(static_cast<double>(*n), to_seconds(*decode_time(r)));
        tokens += static_cast<double>(output_tokens(r).value_or(0));
        acceptance.add(static_cast<double>(r.server.accepted_tokens.value_or(0)),
                       static_cast<double>(r.server.draft_tokens.value_or(0)));
        first_sent = std::min(first_sent, r.sent);
        if (!r.events.empty()) last_token = std::max(last_token, r.sent + r.events.back().at);
    }
    decode.add_to(out, "decode_total_tps", std::numeric_limits<double>::infinity());
    if (last_token > first_sent) add_ratio(out, "output_tps", tokens, to_seconds(last_token - first_sent));
    acceptance.add_to(out, "draft_acceptance", 1.0);
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
                       Interval{interval.lower, interval.upper, kCoverage}});
    }
    return out;
}

}  // namespace velollm::metrics
