#pragma once

#include <velollm/hardware.h>
#include <velollm/run.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware/telemetry.h"
#include "optimize/observe.h"
#include "optimize/plan.h"

namespace velollm::optimize {

// ---- What is looked at ----

/// What answers at an address.
struct AtAddress {
    std::string who;     ///< "Ollama", "llama-server", "a web server (status 404)"; empty: nobody
    std::string engine;  ///< ollama or llama-server where it is one; else empty
    std::string detail;  ///< why nobody answers: "connection refused", "no answer within 0.5 s"
};

/// An engine's server that listens at another address of this machine.
struct Elsewhere {
    std::string who;
    std::string url;
};

/// The process that computed most while the machine was watched, none of the engine's.
struct BusyProcess {
    std::string name;
    int pid = 0;
    double cpus = 0.0;  ///< CPU time ÷ time
};

/// A GPU's device file that the server's user may not open.
struct ClosedDevice {
    std::string path;
    std::string group;  ///< that may
    std::string user;
};

/// Room on a file system.
struct DiskRoom {
    std::string path;
    std::int64_t free_bytes = 0;
    std::int64_t total_bytes = 0;
};

/// How often a quota stopped the engine's cgroup since it was made.
struct QuotaStops {
    std::int64_t periods = 0;
    std::int64_t stopped = 0;
};

/// A measured decode speed of this model on this machine, and the bandwidth that was measured of its memory.
struct KnownSpeed {
    std::string when;
    double decode_tps = 0.0;
    double bytes_per_token = 0.0;
    double read_gbps = 0.0;
};

/// What doctor sees beside the facts of a plan.
struct Sight {
    AtAddress at;
    std::vector<Elsewhere> elsewhere;                ///< looked for only where the engine doesn't answer
    std::string program;                             ///< the installed engine; empty: none was found
    bool unit_installed = false;                     ///< systemd has a unit of Ollama
    bool remote = false;                             ///< the server is on another machine
    std::optional<std::vector<std::string>> models;  ///< that the server has; absent: it wasn't asked
    std::optional<Error> model_trouble;  ///< the file of the embedded engine's model isn't there, or is none
    std::optional<HostReport> watched;
    std::optional<BusyProcess> busiest;
    std::vector<ClosedDevice> closed_devices;
    hardware::Power power;
    std::optional<std::int64_t> heat_events;  ///< since the machine was started
    std::optional<QuotaStops> quota;
    std::optional<std::int64_t> memory_limit_bytes;  ///< of the engine's cgroup
    std::optional<std::int64_t> swapped_bytes;       ///< of the engine's processes
    std::optional<DiskRoom> store;                   ///< where models are kept
    std::optional<KnownSpeed> speed;
};

struct Subject {
    Facts facts;
    Sight sight;
};

// ---- What is said of it ----

enum class Severity {
    kProblem,  ///< it fails, or is slow for it
    kWarning,  ///< it may be slow for it, or something does nothing
    kNote,     ///< worth knowing
};

struct Diagnosis {
    std::string code;  ///< "threads"; never changes its meaning
    Severity severity = Severity::kWarning;
    std::string title;
    std::vector<std::string> evidence;
    std::string remedy;
    std::string command;       ///< that does it; empty: none does
    std::vector<Effect> gain;  ///< empty: none that can be stated
    std::string docs;          ///< where more is told
};

/// A check that could not be made.
struct Unchecked {
    std::string check;
    std::string why;
};

struct Report {
    std::string engine;
    std::string version;
    std::string model;
    std::string url;                  ///< empty: an engine without a server
    int checks = 0;                   ///< that were made
    std::vector<Diagnosis> findings;  ///< problems first
    std::vector<Unchecked> unchecked;

    int count(Severity severity) const;
};

/// Makes every check. Pure: the same subject gives the same report.
Report examine(const Subject& subject);

/// Names of all checks, in their order.
std::vector<std::string> check_names();

std::string_view severity_name(Severity severity);

/// For people. `unicode`: the terminal shows other signs than ASCII's.
std::string report_text(const Report& report, bool unicode);
/// schema/velollm-doctor-1.schema.json. `created`: a timestamp; empty: none.
std::string report_json(const Report& report, int indent, const std::string& created);

// ---- Looking ----

/// Looks at the server, its processes and the machine, and changes nothing. `watch`: watches the machine for a second.
Subject look(const Target& target, bool watch, const system::System& system, Clock& clock);

/// The newest benchmark of this model, engine and machine (by its hardware key) with a bandwidth to compare it with.
std::optional<KnownSpeed> known_speed(const Facts& facts, const std::string& machine, const system::System& system);

/// CPU features that an engine's log says it was built for and found; empty: it doesn't say.
std::vector<std::string> features_in_log(std::string_view log);

/// "nr_periods 10\nnr_throttled 3\n..." of a cgroup's cpu.stat; nothing without both.
std::optional<QuotaStops> parse_quota_stops(std::string_view cpu_stat);

}  // namespace velollm::optimize
