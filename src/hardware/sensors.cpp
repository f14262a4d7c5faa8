#include "hardware/sensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "hardware/files.h"
#include "hardware/gpu_files.h"

namespace velollm::hardware {
namespace {

constexpr std::string_view kPowercap = "/sys/class/powercap";
constexpr std::string_view kMonitors = "/sys/class/hwmon";
constexpr std::string_view kPciDevices = "/sys/bus/pci/devices";
/// Drivers of thermometers inside processors; the first that is there counts.
constexpr std::array<std::string_view, 4> kCpuThermometers{"coretemp", "k10temp", "zenpower", "cpu_thermal"};
constexpr std::int64_t kLeastUpdates = 100;

std::optional<std::int64_t> read_number(const system::System& system, const std::string& file) {
    return file.empty() ? std::nullopt : base::parse_int(read_word(system, file));
}

std::optional<double> scaled(std::optional<std::int64_t> value, double divisor) {
    return value ? std::optional(static_cast<double>(*value) / divisor) : std::nullopt;
}

/// The first of the files that holds a number; empty when none does.
std::string readable(const system::System& system, const std::string& folder,
                     std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
        if (std::string file = fmt::format("{}/{}", folder, name); read_number(system, file)) return file;
    return {};
}

std::vector<SensorPlaces::EnergyCounter> find_packages(const system::System& system) {
    std::vector<SensorPlaces::EnergyCounter> counters;
    for (const std::string& zone : folder_entries(system, kPowercap)) {
        const std::string folder = fmt::format("{}/{}", kPowercap, zone);
        // "intel-rapl:0" is a package, "intel-rapl:0:0" a part of it, "intel-rapl-mmio:0" the same package again.
        if (!zone.starts_with("intel-rapl:") || std::count(zone.begin(), zone.end(), ':') != 1) continue;
        if (!read_word(system, folder + "/name").starts_with("package")) continue;
        const std::string file = readable(system, folder, {"energy_uj"});
        if (file.empty()) return {};  // a sum without one package would be wrong
        counters.push_back(
            {file, std::max<std::int64_t>(read_number(system, folder + "/max_energy_range_uj").value_or(0), 0)});
    }
    return counters;
}

std::string find_cpu_heat(const system::System& system) {
    for (const std::string_view driver : kCpuThermometers)
        for (const std::string& monitor : folder_entries(system, kMonitors)) {
            const std::string folder = fmt::format("{}/{}", kMonitors, monitor);
            if (read_word(system, folder + "/name") == driver) return readable(system, folder, {"temp1_input"});
        }
    return {};
}

std::vector<SensorPlaces::GpuSensors> find_gpus(const system::System& system) {
    std::vector<SensorPlaces::GpuSensors> gpus;
    for (const std::string& address : folder_entries(system, kPciDevices)) {
        const std::string device = fmt::format("{}/{}", kPciDevices, address);
        if (!read_word(system, device + "/class").starts_with("0x03")) continue;
        for (const std::string& monitor : folder_entries(system, device + "/hwmon")) {
            const std::string folder = fmt::format("{}/hwmon/{}", device, monitor);
            SensorPlaces::GpuSensors gpu{.id = address,
                                         .busy = readable(system, device, {"gpu_busy_percent"}),
                                         .watts = readable(system, folder, {"power1_average", "power1_input"}),
                                         .heat = readable(system, folder, {"temp1_input", "temp2_input"}),
                                         .clock = readable(system, folder, {"freq1_input"}),
                                         .energy = {readable(system, folder, {"energy1_input"}), 0}};
            if (gpu.busy.empty() && gpu.watts.empty() && gpu.heat.empty() && gpu.clock.empty() &&
                gpu.energy.file.empty())
                continue;
            gpus.push_back(std::move(gpu));
            break;
        }
    }
    return gpus;
}

template <typename Of>
auto course(const std::vector<SensorSample>& samples, Of of) {
    std::vector<decltype(of(samples.front()))> values;
    values.reserve(samples.size());
    for (const SensorSample& sample : samples) values.push_back(of(sample));
    return values;
}

}  // namespace

SensorPlaces find_sensors(const system::System& system) {
    return {.cpu_energy = find_packages(system), .cpu_heat = find_cpu_heat(system), .gpus = find_gpus(system)};
}

SensorSample read_sensors(const system::System& system, const SensorPlaces& places) {
    SensorSample sample;
    for (const auto& counter : places.cpu_energy) sample.cpu_energy_uj.push_back(read_number(system, counter.file));
    sample.cpu_celsius = scaled(read_number(system, places.cpu_heat), 1e3);
    for (const auto& gpu : places.gpus)
        sample.gpus.push_back({.busy_percent = scaled(read_number(system, gpu.busy), 1.0),
                               .watts = scaled(read_number(system, gpu.watts), 1e6),
                               .celsius = scaled(read_number(system, gpu.heat), 1e3),
                               .core_mhz = scaled(read_number(system, gpu.clock), 1e6),
                               .energy_uj = read_number(system, gpu.energy.file)});
    return sample;
}

std::optional<Energy> energy_between(const std::vector<std::optional<std::int64_t>>& readings_uj, std::int64_t range_uj,
                                     Ns span, Ns update) {
    if (readings_uj.size() < 2 || span < kLeastUpdates * update) return std::nullopt;
    double joules = 0.0;
    for (std::size_t i = 0; i < readings_uj.size(); ++i) {
        if (!readings_uj[i]) return std::nullopt;
        if (i == 0) continue;
        const double grown = static_cast<double>(*readings_uj[i]) - static_cast<double>(*readings_uj[i - 1]);
        if (grown < 0.0 && range_uj <= 0) return std::nullopt;
        joules += (grown < 0.0 ? grown + static_cast<double>(range_uj) : grown) / 1e6;
    }
    if (joules <= 0.0) return std::nullopt;  // a counter that stands still measures nothing
    return Energy{.joules = joules, .error_joules = 2.0 * joules * to_seconds(update) / to_seconds(span)};
}

std::optional<Gauge> gauge_of(const std::vector<std::optional<double>>& values) {
    Gauge gauge;
    double sum = 0.0;
    int n = 0;
    for (const auto& value : values) {
        if (!value) continue;
        gauge.min = n == 0 ? *value : std::min(gauge.min, *value);
        gauge.max = n == 0 ? *value : std::max(gauge.max, *value);
        sum += *value;
        ++n;
    }
    if (n < 2) return std::nullopt;
    gauge.mean = sum / n;
    return gauge;
}

void report_sensors(const std::vector<SensorSample>& samples, const SensorPlaces& places, Ns span, HostReport& report) {
    if (samples.size() < 2) return;
    report.cpu_celsius = gauge_of(course(samples, [](const SensorSample& sample) { return sample.cpu_celsius; }));
    for (std::size_t i = 0; i < places.cpu_energy.size(); ++i) {
        const auto readings = course(samples, [i](const SensorSample& sample) {
            return i < sample.cpu_energy_uj.size() ? sample.cpu_energy_uj[i] : std::nullopt;
        });
        const auto energy = energy_between(readings, places.cpu_energy[i].range_uj, span, kRaplUpdate);
        if (!energy) {
            report.cpu_energy.reset();
            break;
        }
        if (!report.cpu_energy) report.cpu_energy = Energy{};
        report.cpu_energy->joules += energy->joules;
        report.cpu_energy->error_joules += energy->error_joules;
    }
    for (std::size_t i = 0; i < places.gpus.size(); ++i) {
        const auto of = [&](auto member) {
            return course(samples, [i, member](const SensorSample& sample) {
                return i < sample.gpus.size() ? sample.gpus[i].*member : std::nullopt;
            });
        };
        using Gpu = SensorSample::GpuSample;
        report.gpus.push_back(
            {.id = "pci:" + places.gpus[i].id,
             .busy_percent = gauge_of(of(&Gpu::busy_percent)),
             .watts = gauge_of(of(&Gpu::watts)),
             .celsius = gauge_of(of(&Gpu::celsius)),
             .core_mhz = gauge_of(of(&Gpu::core_mhz)),
             .energy = energy_between(of(&Gpu::energy_uj), places.gpus[i].energy.range_uj, span, kGpuUpdate)});
    }
}

}  // namespace velollm::hardware
