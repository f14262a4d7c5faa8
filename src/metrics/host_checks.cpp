#include <fmt/core.h>

#include <algorithm>

#include "metrics/checks.h"
#include "metrics/request.h"
#include "stats/quantile.h"

namespace velollm::metrics {
namespace {

using Findings = std::vector<Finding>;

void add(Findings& out, std::string code, Level level, std::string message, std::string remedy) {
    out.push_back({std::move(code), level, std::move(message), std::move(remedy), std::nullopt});
}

bool above(const std::optional<double>& share, double limit) {
    return share.value_or(0.0) > limit;
}

void check_quiet(const HostReport& idle, Findings& out) {
    const std::string remedy = "Close other programs and measure again: one busy neighbour can halve the speed.";
    if (above(idle.busy_share, kThresholds.background_cpu)) {
        add(out, "background_load", Level::kSuspect,
            fmt::format("before measuring, other programs used {:.0f} % of the machine's CPU time",
                        100.0 * *idle.busy_share),
            remedy);
    } else if (above(idle.memory_pressure, kThresholds.pressure) || above(idle.io_pressure, kThresholds.pressure)) {
        add(out, "background_load", Level::kSuspect,
            fmt::format("before measuring, programs waited {:.0f} % of the time for memory and {:.0f} % for the disk",
                        100.0 * idle.memory_pressure.value_or(0.0), 100.0 * idle.io_pressure.value_or(0.0)),
            remedy);
    }
}

void check_load(const HostReport& host, Findings& out) {
    if (above(host.others_share, kThresholds.background_cpu)) {
        add(out, "background_load", Level::kSuspect,
            fmt::format("other programs used {:.0f} % of the machine's CPU time", 100.0 * *host.others_share),
            "Close them and measure again: one busy neighbour can halve the speed.");
    }
    if (above(host.steal_share, kThresholds.steal)) {
        add(out, "vm_steal", Level::kSuspect,
            fmt::format("the host of this virtual machine took {:.1f} % of its CPU time", 100.0 * *host.steal_share),
            "Measure again at another time, or on a machine with CPUs of its own.");
    }
    if (host.quota_throttled && host.span > Ns{0} &&
        to_seconds(*host.quota_throttled) > kThresholds.quota_throttled * to_seconds(host.span)) {
        add(out, "quota_throttled", Level::kSuspect,
            fmt::format("the engine was stopped for {:.1f} s of {:.1f} s by its CPU quota",
                        to_seconds(*host.quota_throttled), to_seconds(host.span)),
            "Give it fewer threads (--num-thread) or a larger quota.");
    }
}

void check_memory_and_heat(const HostReport& host, Findings& out) {
    if (host.swapped_in_pages.value_or(0) > 0) {
        add(out, "swap", Level::kInvalid,
            fmt::format("{} pages were read back from swap while measuring", *host.swapped_in_pages),
            "Memory is too small for what runs: close programs, or take a smaller model or context.");
    }
    if (host.engine_major_faults.value_or(0) > 0) {
        add(out, "paging_weights", Level::kSuspect,
            fmt::format("the engine waited {} times for pages from the disk", *host.engine_major_faults),
            "The weights don't stay in memory: free some, or load the model without mmap.");
    }
    if (host.throttle_events.value_or(0) > 0) {
        add(out, "throttled_thermal", Level::kSuspect,
            fmt::format("the CPU slowed down for heat {} times", *host.throttle_events),
            "Let it cool, improve the cooling, and measure again.");
    }
    for (const GpuReport& gpu : host.gpus)
        if (gpu.slowed_share.value_or(0.0) > 0.0)
            add(out, "throttled_thermal", Level::kSuspect,
                fmt::format("the GPU {} held its clock down for heat or power in {:.0f} % of the readings", gpu.id,
                            100.0 * *gpu.slowed_share),
                "Let it cool, look at its fans and its power cable, and measure again.");
    if (host.clock_first_mhz && host.clock_last_mhz &&
        *host.clock_last_mhz < kThresholds.clock_kept * *host.clock_first_mhz) {
        add(out, "clock_drift", Level::kSuspect,
            fmt::format("the CPU's clock fell from {:.0f} to {:.0f} MHz", *host.clock_first_mhz, *host.clock_last_mhz),
            "The first requests ran faster than the rest: measure longer, or after the machine has warmed up.");
    }
}

/// The part of a request that a delay fell into: its prompt or its generating.
struct Struck {
    std::size_t request;
    std::string_view part;
    double share;  ///< of that part's time
};

std::optional<Struck> struck(const Run& run, const Hiccup& hiccup) {
    for (std::size_t i = 0; i < run.requests.size(); ++i) {
        const RequestRecord& r = run.requests[i];
        if (r.outcome != Outcome::kOk || r.events.empty()) continue;
        const Ns since = hiccup.at - r.sent;
        if (since < Ns{0} || since - hiccup.late > r.events.back().at) continue;
        const bool prompt = since <= r.events.front().at;
        const Ns time = prompt ? r.events.front().at : r.events.back().at - r.events.front().at;
        if (time <= Ns{0}) continue;
        return Struck{i, prompt ? "TTFT" : "decode time", to_seconds(hiccup.late) / to_seconds(time)};
    }
    return std::nullopt;
}

/// What one gap between token events takes, in the middle of the requests; absent where there are none.
std::optional<double> usual_gap_ms(const Run& run) {
    std::vector<double> gaps;
    for (const RequestRecord& r : run.requests)
        if (const auto time = decode_time(r); time && r.outcome == Outcome::kOk)
            gaps.push_back(to_ms(*time) / static_cast<double>(r.events.size() - 1));
    if (gaps.empty()) return std::nullopt;
    return stats::median_of(std::move(gaps));
}

constexpr std::int64_t kLeastForP99 = 100;

/// From where on a delay of one reading in a hundred matters; absent where there are no gaps to compare it with.
std::optional<double> late_ms(const Run& run) {
    const auto gap_ms = usual_gap_ms(run);
    if (!gap_ms) return std::nullopt;
    return std::max(kThresholds.hiccup_floor_ms, kThresholds.nap_share_of_gap * *gap_ms);
}

/// Where naps end late, tokens are read late: few by enough to move a median, and enough to be the tail of the gaps.
void check_naps(const Run& run, Findings& out) {
    const Hiccups& hiccups = run.host->hiccups;
    const auto limit_ms = late_ms(run);
    const double p99_ms = to_ms(hiccups.p99);
    if (hiccups.naps < kLeastForP99 || !limit_ms || p99_ms <= *limit_ms) return;
    add(out, "host_hiccup", Level::kNote,
        fmt::format("one nap in a hundred of a waiting thread ended over {:.1f} ms late: so may single tokens have "
                    "been read",
                    p99_ms),
        "Medians and speeds hold; don't read the high percentiles of TTFT and of the gaps.");
}

/// Reads that come late although the machine wakes its sleepers in time: this program has too much to do.
void check_reads(const Run& run, Findings& out) {
    const auto limit_ms = late_ms(run);
    if (!limit_ms || !run.client.reads || !run.client.reads->lag || run.host->hiccups.naps < kLeastForP99) return;
    const ReadLag& lag = *run.client.reads->lag;
    if (lag.samples < kLeastForP99 || to_ms(lag.p99) <= *limit_ms || to_ms(run.host->hiccups.p99) > *limit_ms) return;
    add(out, "client_saturated", Level::kSuspect,
        fmt::format("one read in a hundred came over {:.1f} ms after its bytes, though the machine was not late",
                    to_ms(lag.p99)),
        "Speeds hold; TTFT and gaps are too long by up to so much. Ask for fewer streams at once.");
}

void check_hiccups(const Run& run, Findings& out) {
    for (const Hiccup& hiccup : run.host->hiccups.longest) {
        const auto hit = struck(run, hiccup);
        if (!hit || hit->share <= kThresholds.hiccup_share || to_ms(hiccup.late) < kThresholds.hiccup_floor_ms)
            continue;
        add(out, "host_hiccup", Level::kSuspect,
            fmt::format("request {}: the machine stood still for {:.1f} ms, {:.0f} % of its {}", hit->request + 1,
                        to_ms(hiccup.late), 100.0 * hit->share, hit->part),
            "Something held up every program for a moment: measure again, and look at the median.");
        return;  // the longest speaks for all
    }
    check_naps(run, out);
}

}  // namespace

void check_host(const Run& run, const RunContext& context, Findings& out) {
    if (context.quiet) check_quiet(*context.quiet, out);
    if (run.host) {
        check_load(*run.host, out);
        check_memory_and_heat(*run.host, out);
        check_hiccups(run, out);
        check_reads(run, out);
    }
    if (above(run.client.cpu_share, kThresholds.client_cpu)) {
        add(out, "client_saturated", Level::kInvalid,
            fmt::format("this program itself used {:.0f} % of a core: it may have been the limit",
                        100.0 * *run.client.cpu_share),
            "Ask for fewer streams at once, or measure from another machine.");
    }
    if (context.cache_not_defeated) {
        add(out, "cached_prompt_suspected", Level::kSuspect,
            "a prompt that was sent before came far sooner, and so did one with new words in front",
            "Switch the server's prompt cache off, or don't read TTFT; decode speed isn't touched.");
    }
    if (context.on_battery) {
        add(out, "on_battery", Level::kNote, "the machine runs on its battery",
            "Plug it in: most machines are slower without.");
    }
    if (context.powersave) {
        add(out, "powersave", Level::kSuspect, "the CPU governor keeps the clock low (powersave)",
            "For measuring:  cpupower frequency-set -g performance");
    }
}

}  // namespace velollm::metrics
