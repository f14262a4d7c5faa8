#pragma once

#include <velollm/run.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/engine_process.h"
#include "hardware/gpu_watch.h"
#include "hardware/sensors.h"
#include "system/system.h"
#include "system/watch_thread.h"

namespace velollm::hardware {

/// Counters and gauges of the machine at one instant. Absent: not readable here.
struct MachineSample {
    TimePoint at{};
    std::optional<system::MachineTime> time;
    std::optional<Ns> own_cpu;
    std::optional<ProcessUse> engine;
    std::optional<Ns> waiting_cpu;  ///< PSI "some" totals
    std::optional<Ns> waiting_memory;
    std::optional<Ns> waiting_io;
    std::optional<std::int64_t> swapped_in_pages;
    std::optional<std::int64_t> throttle_events;
    std::optional<Ns> quota_throttled;
    std::optional<double> mhz;  ///< median over the CPUs
    SensorSample sensors;
};

/// "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" of a file in /proc/pressure: the total.
std::optional<Ns> parse_pressure(std::string_view text);
/// One counter of /proc/vmstat or cpu.stat: "name value" lines.
std::optional<std::int64_t> parse_counter(std::string_view text, std::string_view name);

/// Where an engine can be watched.
struct EnginePlace {
    std::vector<int> processes;  ///< empty when unknown, or when it is this process
    bool in_this_process = false;
    std::string cpu_group;  ///< folder of the cgroup that its CPU quota is counted in; empty when unknown
};
/// The engine whose first process is `root`, with the children that it has now (Ollama's runner is one); absent: not
/// known.
EnginePlace find_engine(const system::System& system, std::optional<int> root, bool in_this_process);

MachineSample read_sample(const system::System& system, const EnginePlace& engine, const SensorPlaces& sensors,
                          TimePoint now);
/// Only what has a course between the first and the last sample: the engine's memory, the clock and the sensors. All
/// else counts up, and reading it costs several times as much.
MachineSample read_gauges(const system::System& system, const EnginePlace& engine, const SensorPlaces& sensors,
                          TimePoint now);

/// What the samples say of the time between the first and the last.
HostReport host_report(const std::vector<MachineSample>& samples, const EnginePlace& engine,
                       const SensorPlaces& sensors = {});

/// What decides how fast the CPU may run.
struct Power {
    bool on_battery = false;
    bool powersave = false;  ///< the governor of that name, except with the drivers that choose the clock themselves
};
Power read_power(const system::System& system);

/// Watches the machine from now until report() is called: all counters at both ends, gauges five times a second, and a
/// thread that naps.
class HostWatch {
public:
    HostWatch(const system::System& system, EnginePlace engine, Ns nap);
    HostReport report();

private:
    void keep(MachineSample sample);

    const system::System& system_;
    EnginePlace engine_;
    SensorPlaces sensors_;
    std::mutex mutex_;
    std::vector<MachineSample> samples_;
    std::optional<GpuWatch> gpus_;
    system::HiccupWatch hiccups_;
    system::Periodic thread_;  // last: it uses the others
};

}  // namespace velollm::hardware
