#pragma once

#include <velollm/backend.h>
#include <velollm/run.h>
#include <velollm/summary.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace velollm::metrics {

/// What the checks need to know beside the run itself.
struct RunContext {
    std::string_view prompt;                 ///< as sent, for the check that the server saw all of it
    std::optional<double> gpu_share;         ///< of the loaded model
    std::string_view engine = "the server";  ///< name in messages
    std::optional<HostReport> quiet;         ///< the machine before measuring, with the engine idle
    bool warm_up_steady = true;
    bool on_battery = false;
    bool powersave = false;           ///< a governor that keeps the clock down, not one that merely has that name
    bool cache_not_defeated = false;  ///< the server answers prompts from a cache in spite of new words in front
};

/// Every threshold of the checks, in one place (method 2.6; 1.5 and 1.6 for the request checks).
struct Thresholds {
    double load_floor_ms = 50.0;          ///< a request whose load time is above this + 3 x median was reloaded
    double cached_share_of_median = 0.6;  ///< prompt time per token below this part of the median: cache suspected
    double repeated_prompt_share = 0.6;   ///< TTFT of a prompt sent before below this part of the first: cached
    double length_tolerance = 0.02;       ///< of the tokens asked for, at least 1
    double events_per_token = 0.9;        ///< below it the first event may hold several tokens
    double client_server_gap = 0.02;
    double background_cpu = 0.10;  ///< share of the machine's CPU time that others used
    double pressure = 0.05;        ///< share of the time in which programs waited for memory or disk
    double steal = 0.01;
    double quota_throttled = 0.01;   ///< share of the time in which the engine was stopped for its quota
    double clock_kept = 0.97;        ///< clock of the last third ÷ that of the first
    double hiccup_floor_ms = 1.0;    ///< shorter ones are how any scheduler works
    double hiccup_share = 0.10;      ///< a delay ÷ the time it fell into
    double nap_share_of_gap = 0.05;  ///< p99 of the naps' or reads' delays ÷ the time between two token events
    double client_cpu = 0.80;        ///< own CPU time ÷ wall time
    double trend_p = 0.01;
    double same_level = 0.02;  ///< parts of a run that differ by less are one
    double send_lag_ms = 2.0;
    double send_lag_of_ttft = 0.05;
    double send_lag_invalid = 0.20;  ///< of TTFT
    double burst_share = 0.10;       ///< token events that came with the one before
    double nagle_share = 0.10;       ///< gaps of 40 ms among much shorter ones
    double errors_invalid = 0.05;    ///< share of failed requests above which the run is invalid
    double requests_invalid = 0.10;  ///< share of invalid requests above which the run is invalid
};
inline constexpr Thresholds kThresholds;

/// One row of the table of codes in docs/metrics.md.
struct Code {
    std::string_view code;
    std::string_view level;
    std::string_view meaning;
};
std::span<const Code> code_table();

/// All findings on a run. Request findings come first, in the order of the requests.
std::vector<Finding> check_run(const Run& run, const RunContext& context);

}  // namespace velollm::metrics
