#include "hardware/telemetry.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "hardware/files.h"
#include "hardware/limits.h"
#include "stats/quantile.h"

namespace velollm::hardware {
namespace {

constexpr Ns kPeriod = std::chrono::milliseconds(200);
/// The kernel counts CPU time in steps of 10 ms: shares of less than a second would be noise.
constexpr Ns kShortestSpan = std::chrono::seconds(1);
constexpr int kMaxCpusRead = 64;  // of a large machine a sample is enough, and cheaper

std::optional<std::int64_t> read_number(const system::System& system, const std::string& path) {
    return base::parse_int(read_word(system, path));
}

std::optional<double> current_mhz(const system::System& system) {
    std::vector<double> values;
    for (int cpu = 0; cpu < kMaxCpusRead; ++cpu) {
        const auto khz =
            read_number(system, fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu));
        if (!khz) break;
        values.push_back(static_cast<double>(*khz) / 1000.0);
    }
    return values.empty() ? std::nullopt : std::optional(stats::median_of(std::move(values)));
}

/// Cores count their own slow-downs, and all of a package the package's: the largest is at least the number of times.
std::optional<std::int64_t> throttle_events(const system::System& system) {
    std::optional<std::int64_t> most;
    for (int cpu = 0; cpu < kMaxCpusRead; ++cpu) {
        const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/thermal_throttle/", cpu);
        const auto core = read_number(system, folder + "core_throttle_count");
        if (!core) break;
        const auto package = read_number(system, folder + "package_throttle_count");
        most = std::max({most.value_or(0), *core, package.value_or(0)});
    }
    return most;
}

/// Time for which the cgroup was stopped. Version 1 counts in nanoseconds under another name.
std::optional<Ns> quota_throttled(const system::System& system, const std::string& group) {
    if (group.empty()) return std::nullopt;
    const std::string text = read_text(system, group + "/cpu.stat");
    if (const auto us = parse_counter(text, "throttled_usec")) return std::chrono::microseconds(*us);
    if (const auto ns = parse_counter(text, "throttled_time")) return Ns{*ns};
    return std::nullopt;
}

template <typename T>
std::optional<T> grown(const std::optional<T>& first, const std::optional<T>& last) {
    return first && last ? std::optional(std::max(*last - *first, T{})) : std::nullopt;
}

std::optional<double> share(const std::optional<Ns>& part, Ns whole) {
    if (!part || whole <= Ns{0}) return std::nullopt;
    return std::clamp(to_seconds(*part) / to_seconds(whole), 0.0, 1.0);
}

void add_cpu_shares(const MachineSample& first, const MachineSample& last, const EnginePlace& engine,
                    HostReport& report) {
    if (!first.time || !last.time) return;
    const Ns all = last.time->all - first.time->all;
    const Ns busy = last.time->busy - first.time->busy;
    const Ns stolen = last.time->stolen - first.time->stolen;
    if (all <= Ns{0}) return;
    report.busy_share = share(busy, all);
    report.steal_share = share(stolen, all);
    const auto own = grown(first.own_cpu, last.own_cpu);
    std::optional<Ns> processes;
    if (first.engine && last.engine) processes = std::max(last.engine->cpu - first.engine->cpu, Ns{0});
    const Ns used = processes.value_or(Ns{0}) + (engine.in_this_process ? own.value_or(Ns{0}) : Ns{0});
    if (!processes && !engine.in_this_process) return;
    report.engine_share = share(used, all);
    const Ns ours = engine.in_this_process ? used : used + own.value_or(Ns{0});
    if (own) report.others_share = share(std::max(busy - stolen - ours, Ns{0}), all);
}

void add_clocks(const std::vector<MachineSample>& samples, HostReport& report) {
    constexpr std::size_t kLeast = 6;
    std::vector<double> mhz;
    for (const MachineSample& sample : samples)
        if (sample.mhz) mhz.push_back(*sample.mhz);
    if (mhz.size() < kLeast) return;
    const auto third = static_cast<std::ptrdiff_t>(mhz.size() / 3);
    report.clock_first_mhz = stats::median_of({mhz.begin(), mhz.begin() + third});
    report.clock_last_mhz = stats::median_of({mhz.end() - third, mhz.end()});
}

}  // namespace

std::optional<Ns> parse_pressure(std::string_view text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    constexpr std::string_view kTotal = "total=";
    const std::size_t at = line.find(kTotal);
    if (!line.starts_with("some ") || at == std::string_view::npos) return std::nullopt;
    const auto us = base::parse_int(base::trim(line.substr(at + kTotal.size())));
    return us ? std::optional(Ns(std::chrono::microseconds(*us))) : std::nullopt;
}

std::optional<std::int64_t> parse_counter(std::string_view text, std::string_view name) {
    for (const std::string_view line : base::split(text, '\n')) {
        const auto [key, value] = name_and_value(line, ' ');
        if (key == name) return base::parse_int(value);
    }
    return std::nullopt;
}

EnginePlace find_engine(const system::System& system, std::optional<int> root, bool in_this_process) {
    EnginePlace place{.in_this_process = in_this_process};
    if (root) place.processes = process_tree(system, *root);
    if (!root && !in_this_process) return place;
    const std::string who = root ? fmt::format("{}", *root) : "self";
    const CgroupChain chain = cgroup_chain(read_text(system, fmt::format("/proc/{}/cgroup", who)),
                                           read_text(system, "/proc/self/mountinfo"), "cpu");
    if (!chain.folders.empty()) place.cpu_group = chain.folders.front();
    return place;
}

MachineSample read_gauges(const system::System& system, const EnginePlace& engine, const SensorPlaces& sensors,
                          TimePoint now) {
    MachineSample sample{.at = now};
    if (!engine.processes.empty()) sample.engine = process_use(system, engine.processes);
    sample.mhz = current_mhz(system);
    sample.sensors = read_sensors(system, sensors);
    return sample;
}

MachineSample read_sample(const system::System& system, const EnginePlace& engine, const SensorPlaces& sensors,
                          TimePoint now) {
    MachineSample sample = read_gauges(system, engine, sensors, now);
    sample.time = system::machine_time(system);
    sample.own_cpu = system::process_cpu_time();
    sample.waiting_cpu = parse_pressure(read_text(system, "/proc/pressure/cpu"));
    sample.waiting_memory = parse_pressure(read_text(system, "/proc/pressure/memory"));
    sample.waiting_io = parse_pressure(read_text(system, "/proc/pressure/io"));
    sample.swapped_in_pages = parse_counter(read_text(system, "/proc/vmstat"), "pswpin");
    sample.throttle_events = throttle_events(system);
    sample.quota_throttled = quota_throttled(system, engine.cpu_group);
    return sample;
}

HostReport host_report(const std::vector<MachineSample>& samples, const EnginePlace& engine,
                       const SensorPlaces& sensors) {
    HostReport report{.samples = static_cast<std::int64_t>(samples.size())};
    if (samples.size() < 2) return report;
    const MachineSample& first = samples.front();
    const MachineSample& last = samples.back();
    report.span = last.at - first.at;
    if (report.span >= kShortestSpan) {
        add_cpu_shares(first, last, engine, report);
        report.cpu_pressure = share(grown(first.waiting_cpu, last.waiting_cpu), report.span);
        report.memory_pressure = share(grown(first.waiting_memory, last.waiting_memory), report.span);
        report.io_pressure = share(grown(first.waiting_io, last.waiting_io), report.span);
    }
    report.swapped_in_pages = grown(first.swapped_in_pages, last.swapped_in_pages);
    report.throttle_events = grown(first.throttle_events, last.throttle_events);
    report.quota_throttled = grown(first.quota_throttled, last.quota_throttled);
    if (first.engine && last.engine)
        report.engine_major_faults = std::max<std::int64_t>(last.engine->major_faults - first.engine->major_faults, 0);
    for (const MachineSample& sample : samples)
        if (sample.engine)
            report.engine_memory_bytes =
                std::max(report.engine_memory_bytes.value_or(0), sample.engine->resident_bytes);
    add_clocks(samples, report);
    std::vector<SensorSample> sensed;
    for (const MachineSample& sample : samples) sensed.push_back(sample.sensors);
    report_sensors(sensed, sensors, report.span, report);
    return report;
}

Power read_power(const system::System& system) {
    Power power;
    const std::string cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq/";
    const std::string driver = read_word(system, cpufreq + "scaling_driver");
    // With intel_pstate and amd-pstate-epp "powersave" is the usual governor, and as fast as it needs to be.
    power.powersave = read_word(system, cpufreq + "scaling_governor") == "powersave" && !driver.empty() &&
                      driver.find("pstate") == std::string::npos;
    bool mains = false;
    bool discharging = false;
    std::error_code error;
    const std::filesystem::path supplies = under_root(system, "/sys/class/power_supply");
    for (std::filesystem::directory_iterator it(supplies, error), end; !error && it != end; it.increment(error)) {
        const auto word = [&](const char* name) {
            return std::string(base::trim(system::read_file(it->path() / name).value_or("")));
        };
        if (word("online") == "1") mains = true;
        if (word("type") == "Battery" && word("status") == "Discharging") discharging = true;
    }
    power.on_battery = discharging && !mains;
    return power;
}

HostWatch::HostWatch(const system::System& system, EnginePlace engine, Ns nap)
    : system_(system),
      engine_(engine),
      sensors_(find_sensors(system)),
      samples_{read_sample(system, engine, sensors_, system::SteadyClock().now())},
      gpus_(GpuWatch::start(system)),
      hiccups_(nap),
      thread_(kPeriod,
              [this](TimePoint) { keep(read_gauges(system_, engine_, sensors_, system::SteadyClock().now())); }) {}

void HostWatch::keep(MachineSample sample) {
    const std::lock_guard lock(mutex_);
    samples_.push_back(std::move(sample));
}

HostReport HostWatch::report() {
    const MachineSample last = read_sample(system_, engine_, sensors_, system::SteadyClock().now());
    const std::lock_guard lock(mutex_);
    samples_.push_back(last);
    HostReport report = host_report(samples_, engine_, sensors_);
    report.hiccups = hiccups_.report();
    if (gpus_)
        for (GpuReport& gpu : gpus_->report()) report.gpus.push_back(std::move(gpu));
    return report;
}

}  // namespace velollm::hardware
