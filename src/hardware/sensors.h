#pragma once

#include <velollm/run.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// Files that tell of energy, power, clocks and heat. Empty: not on this machine, or not for this user.
struct SensorPlaces {
    /// A counter of microjoules. It begins again at 0 when it would pass `range_uj`; 0: it never does.
    struct EnergyCounter {
        std::string file;
        std::int64_t range_uj = 0;
    };
    /// The sensors of an AMD or Intel GPU, as its driver's files have them.
    struct GpuSensors {
        std::string id;     ///< PCI address
        std::string busy;   ///< percent
        std::string watts;  ///< microwatts
        std::string heat;   ///< thousandths of a degree Celsius
        std::string clock;  ///< Hz
        EnergyCounter energy;
    };
    std::vector<EnergyCounter> cpu_energy;  ///< one a package
    std::string cpu_heat;
    std::vector<GpuSensors> gpus;
};

/// RAPL counters of packages (/sys/class/powercap/intel-rapl:N, AMD's too; root alone may read them since
/// CVE-2020-8694), the processor's thermometer by its driver's name, and the monitors of GPUs. The parts of a package
/// and the whole board (psys) are left out: they would count energy twice.
SensorPlaces find_sensors(const system::System& system);

/// Each value absent where its file can't be read.
struct SensorSample {
    struct GpuSample {
        std::optional<double> busy_percent;
        std::optional<double> watts;
        std::optional<double> celsius;
        std::optional<double> core_mhz;
        std::optional<std::int64_t> energy_uj;
    };
    std::vector<std::optional<std::int64_t>> cpu_energy_uj;  ///< in the order of the places
    std::optional<double> cpu_celsius;
    std::vector<GpuSample> gpus;
};
SensorSample read_sensors(const system::System& system, const SensorPlaces& places);

/// How often such counters are brought up to date. RAPL: about a millisecond (Intel SDM vol. 3, 15.10).
inline constexpr Ns kRaplUpdate = std::chrono::milliseconds(1);
/// Hardware monitors of GPUs; documented by none, so the slowest that is known is taken.
inline constexpr Ns kGpuUpdate = std::chrono::milliseconds(100);

/// Energy between the first and the last of a counter's readings, `span` apart. Every reading is needed, so that a
/// counter that began again is seen. The reading at each end is up to one `update` old: the error is twice the mean
/// power times that. Nothing when the span is below 100 updates, an error of over 2 %, or a reading is missing.
std::optional<Energy> energy_between(const std::vector<std::optional<std::int64_t>>& readings_uj, std::int64_t range_uj,
                                     Ns span, Ns update);

/// Lowest, mean and highest of the values that there are; nothing without two.
std::optional<Gauge> gauge_of(const std::vector<std::optional<double>>& values);

/// What the samples, first to last and `span` apart, say; into the fields of `report` on energy, heat and GPUs.
void report_sensors(const std::vector<SensorSample>& samples, const SensorPlaces& places, Ns span, HostReport& report);

}  // namespace velollm::hardware
