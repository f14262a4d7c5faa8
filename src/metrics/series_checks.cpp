#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "metrics/checks.h"
#include "metrics/request.h"
#include "stats/change_points.h"
#include "stats/dependence.h"
#include "stats/quantile.h"

namespace velollm::metrics {
namespace {

using Findings = std::vector<Finding>;

constexpr std::size_t kMinForTrend = 6;
constexpr std::size_t kMinForChange = 30;

void add(Findings& out, std::string code, Level level, std::string message, std::string remedy) {
    out.push_back({std::move(code), level, std::move(message), std::move(remedy), std::nullopt});
}

std::vector<double> decode_speeds(const Run& run) {
    std::vector<double> speeds;
    for (const RequestRecord& r : run.requests) {
        const auto tokens = decode_tokens(r);
        const auto time = decode_time(r);
        if (r.outcome == Outcome::kOk && tokens && time)
            speeds.push_back(static_cast<double>(*tokens) / to_seconds(*time));
    }
    return speeds;
}

void check_trend(const std::vector<double>& speeds, Findings& out) {
    const stats::Trend trend = stats::trend(speeds);
    if (trend.p >= kThresholds.trend_p) return;
    add(out, "not_steady", Level::kSuspect,
        fmt::format("decode speed moves by {:+.2f} tok/s a request (Mann-Kendall p = {:.4f})", trend.slope, trend.p),
        "The machine warms up, heats up or fills up: measure longer, or let it rest before.");
}

void check_changes(const std::vector<double>& speeds, Findings& out) {
    std::size_t begin = 0;
    std::vector<std::size_t> points = stats::change_points(speeds);
    points.push_back(speeds.size());
    std::vector<double> levels;
    for (const std::size_t end : points) {
        levels.push_back(stats::median_of(
            {speeds.begin() + static_cast<std::ptrdiff_t>(begin), speeds.begin() + static_cast<std::ptrdiff_t>(end)}));
        begin = end;
    }
    // Parts that differ by less than matters are one.
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
        if (std::abs(levels[i] / levels.back() - 1.0) <= kThresholds.same_level) continue;
        add(out, "not_steady", Level::kSuspect,
            fmt::format("decode speed changed from {:.1f} to {:.1f} tok/s within the run (after request {})", levels[i],
                        levels.back(), points[i]),
            "Look at what else happened then, and measure again.");
        return;
    }
}

void check_send_lag(const Run& run, Findings& out) {
    if (run.closed_loop) return;
    std::vector<double> lags;
    std::vector<double> ttfts;
    for (const RequestRecord& r : run.requests) {
        lags.push_back(to_ms(r.sent - r.scheduled));
        if (r.outcome == Outcome::kOk && !r.events.empty()) ttfts.push_back(to_ms(r.events.front().at));
    }
    if (lags.empty() || ttfts.empty()) return;
    std::sort(lags.begin(), lags.end());
    const double ttft = stats::median_of(ttfts);
    const double lag = stats::nearest_rank(lags, 0.99);
    if (run.cap_reached > 0) {
        add(out, "cap_reached", Level::kNote,
            fmt::format("{} requests were due while no place was free: from then on it was no open loop",
                        run.cap_reached),
            "Read the latencies from the scheduled instant; allow more requests at once.");
    }
    if (lag <= std::max(kThresholds.send_lag_ms, kThresholds.send_lag_of_ttft * ttft)) return;
    add(out, "send_lag", lag > kThresholds.send_lag_invalid * ttft ? Level::kInvalid : Level::kSuspect,
        fmt::format("requests were sent up to {:.1f} ms (p99) after their time", lag),
        "Read the latencies from the scheduled instant; lower the rate or allow more requests at once.");
}

/// Bursts of tokens, and delays of 40 ms that are TCP's and not the model's.
void check_gaps(const Run& run, Findings& out) {
    std::vector<double> all;
    std::size_t bursts = 0;
    for (const RequestRecord& r : run.requests) {
        if (r.outcome != Outcome::kOk || r.events.size() < 2) continue;
        bursts += r.events.size() - count_steps(r);
        for (std::size_t i = 1; i < r.events.size(); ++i) all.push_back(to_ms(r.events[i].at - r.events[i - 1].at));
    }
    if (all.empty()) return;
    const auto count = static_cast<double>(all.size());
    if (static_cast<double>(bursts) > kThresholds.burst_share * count) {
        add(out, "bursts", Level::kNote,
            fmt::format("{:.0f} % of the token events came together with the one before",
                        100.0 * static_cast<double>(bursts) / count),
            "Read tokens per step and the step gap; gap percentiles mean little.");
    }
    constexpr double kNagleLow = 38.0;
    constexpr double kNagleHigh = 46.0;
    const auto held =
        std::count_if(all.begin(), all.end(), [](double ms) { return ms >= kNagleLow && ms <= kNagleHigh; });
    if (static_cast<double>(held) > kThresholds.nagle_share * count &&
        stats::median_of(std::move(all)) < kNagleLow / 2.0) {
        add(out, "nagle_suspected", Level::kNote,
            fmt::format("{:.0f} % of the gaps are 40 ms, the others far shorter: a delay of TCP, not of the model",
                        100.0 * static_cast<double>(held) / count),
            "The server should set TCP_NODELAY.");
    }
}

}  // namespace

void check_series(const Run& run, const RunContext& context, Findings& out) {
    const std::vector<double> speeds = decode_speeds(run);
    if (speeds.size() >= kMinForChange) {
        check_changes(speeds, out);
    } else if (speeds.size() >= kMinForTrend) {
        check_trend(speeds, out);
    }
    if (!context.warm_up_steady) {
        add(out, "not_steady", Level::kSuspect, "the warm-up requests had not become alike when measuring began",
            "Other work on this machine is the usual cause: close it and measure again.");
    }
    check_send_lag(run, out);
    check_gaps(run, out);
    const auto impossible = std::count_if(run.requests.begin(), run.requests.end(), [](const RequestRecord& r) {
        const auto before = [](const TokenStamp& a, const TokenStamp& b) { return a.at < b.at; };
        return (!r.events.empty() && r.events.front().at < Ns{0}) ||
               !std::is_sorted(r.events.begin(), r.events.end(), before) ||
               (r.done && !r.events.empty() && *r.done < r.events.back().at);
    });
    if (impossible > 0) {
        add(out, "internal_error", Level::kInvalid,
            fmt::format("{} requests have times that can't be: before their sending, or out of order", impossible),
            "This is a mistake of this program: please report it with the result file.");
    }
}

}  // namespace velollm::metrics
