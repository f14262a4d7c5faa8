#include "hardware/sensors.h"

#include <gtest/gtest.h>

#include "hardware/telemetry.h"
#include "metrics/figures.h"
#include "support/temp_folder.h"

namespace velollm::hardware {
namespace sensors_test {

using namespace std::chrono_literals;
using test::TempFolder;
using Readings = std::vector<std::optional<std::int64_t>>;

void write_package(const TempFolder& folder, int number, const char* energy_uj) {
    const std::string zone = "sys/class/powercap/intel-rapl:" + std::to_string(number);
    folder.write(zone + "/name", "package-" + std::to_string(number) + "\n");
    folder.write(zone + "/energy_uj", energy_uj);
    folder.write(zone + "/max_energy_range_uj", "262143328850\n");
}

TEST(Energy, IsTheGrowthOfACounterWithItsError) {
    const auto energy = energy_between(Readings{1'000'000, 3'000'000, 11'000'000}, 0, 1s, 1ms);
    ASSERT_TRUE(energy);
    EXPECT_DOUBLE_EQ(energy->joules, 10.0);
    EXPECT_DOUBLE_EQ(energy->error_joules, 0.02);  // 2 * 10 W * 1 ms
}

TEST(Energy, ACounterThatBeganAgainIsSeen) {
    const auto energy = energy_between(Readings{9'000'000, 1'000'000, 9'500'000, 500'000}, 10'000'000, 1s, 1ms);
    ASSERT_TRUE(energy);
    EXPECT_DOUBLE_EQ(energy->joules, 2.0 + 8.5 + 1.0);
    EXPECT_FALSE(energy_between(Readings{9, 1}, 0, 1s, 1ms)) << "without its range nothing can be said";
}

TEST(Energy, OfAShortTimeIsRefused) {
    EXPECT_FALSE(energy_between(Readings{0, 5'000'000}, 0, 9999ms, 100ms));
    const auto energy = energy_between(Readings{0, 5'000'000}, 0, 10s, 100ms);
    ASSERT_TRUE(energy);
    EXPECT_DOUBLE_EQ(energy->error_joules / energy->joules, 0.02);
}

TEST(Energy, WithoutEveryReadingThereIsNone) {
    EXPECT_FALSE(energy_between(Readings{1, std::nullopt, 3}, 0, 1s, 1ms));
    EXPECT_FALSE(energy_between(Readings{1}, 0, 1s, 1ms));
    EXPECT_FALSE(energy_between(Readings{7, 7, 7}, 0, 1s, 1ms)) << "a counter that stands still";
}

TEST(Sensors, AGaugeHasItsCourse) {
    const auto gauge = gauge_of({40.0, std::nullopt, 70.0, 52.0});
    ASSERT_TRUE(gauge);
    EXPECT_EQ(gauge->min, 40.0);
    EXPECT_EQ(gauge->mean, 54.0);
    EXPECT_EQ(gauge->max, 70.0);
    EXPECT_FALSE(gauge_of({40.0, std::nullopt}));
}

TEST(Sensors, PackagesAreCountedOnceAndTheirPartsNever) {
    const TempFolder folder;
    write_package(folder, 0, "100\n");
    write_package(folder, 1, "200\n");
    folder.write("sys/class/powercap/intel-rapl:0:0/name", "core\n");
    folder.write("sys/class/powercap/intel-rapl:0:0/energy_uj", "50\n");
    folder.write("sys/class/powercap/intel-rapl:2/name", "psys\n");
    folder.write("sys/class/powercap/intel-rapl:2/energy_uj", "900\n");
    folder.write("sys/class/powercap/intel-rapl-mmio:0/name", "package-0\n");
    folder.write("sys/class/powercap/intel-rapl-mmio:0/energy_uj", "100\n");
    const system::System system{folder.path(), {}};
    const SensorPlaces places = find_sensors(system);
    ASSERT_EQ(places.cpu_energy.size(), 2u);
    EXPECT_EQ(places.cpu_energy[0].range_uj, 262143328850);
    const SensorSample sample = read_sensors(system, places);
    EXPECT_EQ(sample.cpu_energy_uj, (Readings{100, 200}));
}

TEST(Sensors, OnePackageThatMayNotBeReadMakesTheSumUnknown) {
    const TempFolder folder;
    write_package(folder, 0, "100\n");
    write_package(folder, 1, "");
    EXPECT_TRUE(find_sensors({folder.path(), {}}).cpu_energy.empty());
}

TEST(Sensors, TheProcessorsThermometerIsKnownByItsDriver) {
    const TempFolder folder;
    folder.write("sys/class/hwmon/hwmon0/name", "nvme\n");
    folder.write("sys/class/hwmon/hwmon0/temp1_input", "30000\n");
    folder.write("sys/class/hwmon/hwmon1/name", "k10temp\n");
    folder.write("sys/class/hwmon/hwmon1/temp1_input", "61250\n");
    const system::System system{folder.path(), {}};
    EXPECT_EQ(read_sensors(system, find_sensors(system)).cpu_celsius, 61.25);
}

TEST(Sensors, AGpuTellsWhatItsDriverHas) {
    const TempFolder folder;
    const std::string card = "sys/bus/pci/devices/0000:03:00.0";
    folder.write(card + "/class", "0x030000\n");
    folder.write(card + "/gpu_busy_percent", "97\n");
    folder.write(card + "/hwmon/hwmon4/power1_input", "215000000\n");
    folder.write(card + "/hwmon/hwmon4/freq1_input", "2450000000\n");
    folder.write("sys/bus/pci/devices/0000:00:1f.0/class", "0x060100\n");
    folder.write("sys/bus/pci/devices/0000:00:1f.0/hwmon/hwmon5/temp1_input", "40000\n");
    const system::System system{folder.path(), {}};
    const SensorPlaces places = find_sensors(system);
    ASSERT_EQ(places.gpus.size(), 1u);
    EXPECT_EQ(places.gpus[0].id, "0000:03:00.0");
    const SensorSample sample = read_sensors(system, places);
    EXPECT_EQ(sample.gpus[0].busy_percent, 97.0);
    EXPECT_EQ(sample.gpus[0].watts, 215.0);
    EXPECT_EQ(sample.gpus[0].core_mhz, 2450.0);
    EXPECT_EQ(sample.gpus[0].celsius, std::nullopt);
    EXPECT_EQ(sample.gpus[0].energy_uj, std::nullopt);
}

/// `n` samples of a machine with two packages of 30 and 20 W, a second apart.
std::vector<MachineSample> course(int n) {
    std::vector<MachineSample> samples;
    for (int i = 0; i < n; ++i) {
        MachineSample sample{.at = TimePoint(i * 1s)};
        sample.sensors.cpu_energy_uj = {30'000'000 * i, 20'000'000 * i};
        sample.sensors.cpu_celsius = 50.0 + i;
        sample.sensors.gpus = {{.watts = 100.0 * i, .energy_uj = std::int64_t{100'000'000} * i}};
        samples.push_back(sample);
    }
    return samples;
}

const SensorPlaces kPlaces{.cpu_energy = {{"a", 0}, {"b", 0}}, .gpus = {{.id = "0000:03:00.0"}}};

TEST(Sensors, TheReportHasTheSumOfThePackages) {
    const HostReport report = host_report(course(11), {}, kPlaces);
    ASSERT_TRUE(report.cpu_energy);
    EXPECT_DOUBLE_EQ(report.cpu_energy->joules, 500.0);
    EXPECT_NEAR(report.cpu_energy->error_joules, 0.1, 1e-9);
    EXPECT_EQ(report.cpu_celsius->mean, 55.0);
    ASSERT_EQ(report.gpus.size(), 1u);
    EXPECT_EQ(report.gpus[0].id, "pci:0000:03:00.0");
    EXPECT_EQ(report.gpus[0].watts->max, 1000.0);
    ASSERT_TRUE(report.gpus[0].energy);
    EXPECT_DOUBLE_EQ(report.gpus[0].energy->joules, 1000.0);
}

TEST(Sensors, OneMissingReadingMakesTheSumUnknown) {
    auto samples = course(11);
    samples[5].sensors.cpu_energy_uj[1].reset();
    EXPECT_FALSE(host_report(samples, {}, kPlaces).cpu_energy);
}

TEST(Sensors, EnergyPerTokenIsOfAllRequests) {
    velollm::Run run;
    for (int i = 0; i < 2; ++i) {
        RequestRecord request;
        request.server.output_tokens = 50;
        run.requests.push_back(request);
    }
    run.host = HostReport{.cpu_energy = Energy{.joules = 500.0, .error_joules = 5.0}};
    for (const RunFigure& figure : metrics::run_figures(run, {0})) {
        if (figure.key != "cpu_joules_per_token") continue;
        EXPECT_DOUBLE_EQ(figure.value, 5.0);
        EXPECT_DOUBLE_EQ(figure.interval->lower, 4.95);
        return;
    }
    FAIL() << "no figure";
}

}  // namespace sensors_test
}  // namespace velollm::hardware
