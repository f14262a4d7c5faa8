#pragma once

#include <velollm/backend.h>
#include <velollm/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velollm {

/// Who counted the output tokens, best first. Cutting the text into tokens again (level D) isn't there.
enum class TokenSource {
    kNone,
    kPerEvent,      ///< A: exact for every event, the engine's own tokens
    kRunningCount,  ///< B: exact for every event, differences of the server's running count
    kServer,        ///< C: exact total from the final record
    kRetokenised,   ///< D: our own tokenizer's count of the whole text; an estimate
    kChunks,        ///< E: number of token events; an estimate
};

/// One event that carried tokens, `at` after the request was sent.
struct TokenStamp {
    Ns at{};
    std::optional<std::int64_t> tokens;
    TokenKind kind = TokenKind::kContent;
    bool running_count = false;  ///< `tokens` is a difference of the server's running count
};

/// What happened to one request, raw. Times are offsets from `sent`; absent means that it never happened.
struct RequestRecord {
    RequestId id = 0;
    Ns scheduled{};             ///< offset from the start of the run: when the plan said "send"
    Ns sent{};                  ///< offset from the start of the run: when it was sent
    std::optional<Ns> connect;  ///< what connecting took, before `sent`; absent on a kept connection
    std::optional<Ns> first_byte;
    std::vector<TokenStamp> events;
    std::optional<Ns> done;
    Outcome outcome = Outcome::kOk;
    Error error;
    ServerReport server;
    std::int64_t max_tokens = 0;
    std::string nonce;
    std::uint64_t text_hash = 0;  ///< FNV-1a of the visible text: equal prompts may be checked for equal answers
    std::int64_t text_bytes = 0;
    std::string text;                         ///< what was generated, where it was asked for (load::Watch); else empty
    std::optional<std::int64_t> retokenised;  ///< tokens that a tokenizer of ours finds in the text
};

/// One time that a sleeping thread woke too late: the machine was busy elsewhere, or stood still.
struct Hiccup {
    Ns at{};    ///< from the start of the run until it woke
    Ns late{};  ///< how much later than due
};

/// A thread that does nothing but nap, and how late it woke each time.
struct Hiccups {
    std::int64_t naps = 0;
    Ns nap{};
    Ns p50{};
    Ns p99{};
    Ns max{};
    std::vector<Hiccup> longest;  ///< at most 16, longest first
};

/// A value that was read several times during a run.
struct Gauge {
    double min = 0.0;
    double mean = 0.0;
    double max = 0.0;
};

/// From a counter, never from power times time.
struct Energy {
    double joules = 0.0;
    double error_joules = 0.0;  ///< either way, since the counter is brought up to date from time to time only
};

/// A GPU beside a run. Absent: its driver doesn't tell.
struct GpuReport {
    std::string id;  ///< as in the hardware document
    std::optional<Gauge> busy_percent;
    std::optional<Gauge> watts;
    std::optional<Gauge> celsius;
    std::optional<Gauge> core_mhz;
    std::optional<Energy> energy;
    std::optional<double> slowed_share;  ///< of the readings: clock held down for heat or by a power brake
};

/// What the machine did beside a run, from its own counters. Absent: this system doesn't tell.
struct HostReport {
    Ns span{};
    std::int64_t samples = 0;
    std::optional<double> busy_share;    ///< CPU time used by anybody ÷ CPU time there was
    std::optional<double> others_share;  ///< of it, by neither the engine nor this program
    std::optional<double> engine_share;  ///< of it, by the engine
    std::optional<double> steal_share;   ///< of it, taken by the host of this virtual machine
    std::optional<double> cpu_pressure;  ///< share of the time in which something waited for a CPU (PSI "some")
    std::optional<double> memory_pressure;
    std::optional<double> io_pressure;
    std::optional<std::int64_t> swapped_in_pages;
    std::optional<std::int64_t> engine_major_faults;  ///< pages that the engine had to wait for the disk for
    std::optional<std::int64_t> engine_memory_bytes;  ///< largest resident size seen
    std::optional<std::int64_t> throttle_events;      ///< CPU slowed down for heat
    std::optional<Ns> quota_throttled;                ///< the engine's cgroup was stopped for its CPU quota
    std::optional<double> clock_first_mhz;            ///< median over the first third of the run
    std::optional<double> clock_last_mhz;             ///< and the last
    std::optional<Energy> cpu_energy;                 ///< of all packages
    std::optional<Gauge> cpu_celsius;
    std::vector<GpuReport> gpus;  ///< those whose driver has sensors
    Hiccups hiccups;
};

/// How the measuring program itself fared during a run.
struct ClientHealth {
    /// Reads and events of the answers; absent where no network is in between. Events that came with another one in
    /// one read share its stamp: they were not seen apart.
    std::optional<ReadHealth> reads;
    std::optional<double> cpu_share;   ///< own CPU time ÷ wall time; absent where the engine runs in this process
    std::optional<Ns> worst_poll_lag;  ///< longest the loop took to come back from a poll past its limit
    std::int64_t peak_memory_bytes = 0;
};

/// Everything that was observed while a schedule was carried out.
struct Run {
    std::vector<RequestRecord> requests;
    Ns wall{};
    ClientHealth client;
    std::optional<HostReport> host;  ///< absent where nothing was watched
    bool interrupted = false;        ///< stopped before the plan was carried out
    bool closed_loop = true;
    std::int64_t cap_reached = 0;  ///< requests of an open loop that were due while no place was free
};

}  // namespace velollm
