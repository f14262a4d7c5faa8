#include <gtest/gtest.h>

#include "hardware/engine_process.h"
#include "hardware/telemetry.h"
#include "support/temp_folder.h"
#include "system/watch_thread.h"

namespace velollm::hardware {
namespace telemetry_test {

using namespace std::chrono_literals;
using test::TempFolder;

TEST(Telemetry, ReadsTheKernelsCounters) {
    EXPECT_EQ(parse_pressure("some avg10=94.95 avg60=41.43 avg300=11.79 total=1886865728\nfull avg10=0.00 total=7\n"),
              Ns(1886865728us));
    EXPECT_EQ(parse_pressure("full avg10=0.00 avg60=0.00 avg300=0.00 total=7"), std::nullopt);
    EXPECT_EQ(parse_pressure(""), std::nullopt);
    EXPECT_EQ(parse_counter("pgfault 12\npswpin 34\npswpout 56\n", "pswpin"), 34);
    EXPECT_EQ(parse_counter("pgfault 12\n", "pswpin"), std::nullopt);
}

TEST(Telemetry, AProcessNameMayHoldAnything) {
    const auto stat = parse_process_stat(
        "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 5 0 30 12 0 0 20 0 3 0 1000 2000000 321 184467 1 1 0 0 0");
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->parent, 7);
    EXPECT_EQ(stat->major_faults, 5);
    EXPECT_EQ(stat->cpu_ticks, 42);
    EXPECT_EQ(stat->resident_pages, 321);
    EXPECT_FALSE(parse_process_stat("42 (short) S 7"));
    EXPECT_FALSE(parse_process_stat("nothing"));
}

constexpr const char* kTcp =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:2D0C 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n"
    "   1: 0100007F:2D0C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n";

TEST(Telemetry, BetweenTheEndsOnlyGaugesAreRead) {
    const TempFolder folder;
    folder.write("proc/10/stat", "10 (engine) S 1 1 1 0 -1 0 0 0 3 0 100 0 0 0 20 0 1 0 1 1 250 0 0 0");
    folder.write("proc/stat", "cpu  10 0 20 300 0 0 0 0 0 0\n");
    folder.write("proc/vmstat", "pswpin 34\n");
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000\n");
    const system::System system{folder.path(), {}};
    const EnginePlace engine{.processes = {10}};
    const MachineSample gauges = read_gauges(system, engine, {}, TimePoint(5s));
    ASSERT_TRUE(gauges.engine);
    EXPECT_GT(gauges.engine->resident_bytes, 0);
    EXPECT_EQ(gauges.mhz, 2400.0);
    EXPECT_FALSE(gauges.time || gauges.swapped_in_pages || gauges.own_cpu);
    const MachineSample all = read_sample(system, engine, {}, TimePoint(5s));
    EXPECT_TRUE(all.engine && all.mhz && all.time && all.own_cpu);
    EXPECT_EQ(all.swapped_in_pages, 34);
}

TEST(Telemetry, AWatchEndsOnAllCountersHoweverShortItWas) {
    const TempFolder folder;
    folder.write("proc/vmstat", "pswpin 34\n");
    const system::System system{folder.path(), {}};
    HostWatch watch(system, {}, 10ms);
    folder.write("proc/vmstat", "pswpin 36\n");
    const HostReport report = watch.report();
    EXPECT_EQ(report.swapped_in_pages, 2);
    EXPECT_GE(report.samples, 2);
}

TEST(Telemetry, TheListenerIsFoundAndNotItsConnections) {
    EXPECT_EQ(listening_inode(kTcp, 11532), 222);
    EXPECT_EQ(listening_inode(kTcp, 80), std::nullopt);
    EXPECT_EQ(listening_inode("rubbish", 80), std::nullopt);
}

std::string stat_line(int pid, int parent, int ticks, int faults, int pages) {
    return std::to_string(pid) + " (engine) S " + std::to_string(parent) + " 1 1 0 -1 0 0 0 " + std::to_string(faults) +
           " 0 " + std::to_string(ticks) + " 0 0 0 20 0 1 0 1 1 " + std::to_string(pages) + " 0 0 0";
}

TEST(Telemetry, AnEngineIsItsProcessAndWhatThatStarted) {
    const TempFolder folder;
    folder.write("proc/net/tcp", kTcp);
    for (const auto& [pid, parent] : {std::pair(10, 1), std::pair(11, 10), std::pair(12, 11), std::pair(13, 1)})
        folder.write("proc/" + std::to_string(pid) + "/stat", stat_line(pid, parent, 100, 1, 10));
    folder.write("proc/10/fd/other", "");
    std::filesystem::create_symlink("socket:[222]", folder.path() / "proc/10/fd/5");
    const system::System system{folder.path(), {}};
    EXPECT_EQ(process_listening_on(system, 11532), 10);
    EXPECT_EQ(process_listening_on(system, 80), std::nullopt);
    const EnginePlace place = find_engine(system, 10, false);
    EXPECT_EQ(place.processes, (std::vector<int>{10, 11, 12}));
    EXPECT_EQ(process_use(system, place.processes)->major_faults, 3);
    EXPECT_EQ(process_use(system, {99}), std::nullopt);
}

MachineSample sample(Ns at, Ns busy, Ns engine, Ns own) {
    MachineSample s{
        .at = TimePoint(at), .time = system::MachineTime{.busy = busy, .all = 2 * at, .stolen = 0ms}, .own_cpu = own};
    s.engine = ProcessUse{.cpu = engine, .major_faults = 0, .resident_bytes = at.count()};
    return s;
}

TEST(Telemetry, OthersAreWhoIsNeitherTheEngineNorThisProgram) {
    const HostReport report =
        host_report({sample(1s, 1s, 500ms, 0ms), sample(5s, 2s, 600ms, 10ms), sample(11s, 17s, 10500ms, 100ms)}, {});
    EXPECT_EQ(report.span, Ns(10s));
    EXPECT_DOUBLE_EQ(*report.busy_share, 0.8);
    EXPECT_DOUBLE_EQ(*report.engine_share, 0.5);
    EXPECT_DOUBLE_EQ(*report.others_share, (16.0 - 10.0 - 0.1) / 20.0);
    EXPECT_EQ(report.engine_memory_bytes, 11'000'000'000);
}

TEST(Telemetry, WithTheEngineInThisProcessItsTimeIsOurs) {
    auto first = sample(1s, 0s, 0s, 0s);
    auto last = sample(11s, 12s, 0s, 10s);
    first.engine.reset();
    last.engine.reset();
    EXPECT_DOUBLE_EQ(*host_report({first, last}, {.in_this_process = true}).others_share, 0.1);
    EXPECT_EQ(host_report({first, last}, {}).others_share, std::nullopt) << "an engine that can't be seen";
}

TEST(Telemetry, EnginesInThisProcessAndInOthersAddUp) {
    const HostReport report =
        host_report({sample(1s, 0s, 0s, 0s), sample(6s, 9s, 4s, 3s)}, {.processes = {1}, .in_this_process = true});
    EXPECT_DOUBLE_EQ(*report.engine_share, 0.7);
    EXPECT_DOUBLE_EQ(*report.others_share, 0.2);
}

TEST(Telemetry, SharesOfShortSpansAreNotGiven) {
    EXPECT_EQ(host_report({sample(1s, 0s, 0s, 0s), sample(1900ms, 1s, 0s, 0s)}, {}).busy_share, std::nullopt);
    EXPECT_NE(host_report({sample(1s, 0s, 0s, 0s), sample(2s, 1s, 0s, 0s)}, {}).busy_share, std::nullopt);
}

TEST(Telemetry, ClocksAreComparedByThirds) {
    std::vector<MachineSample> samples;
    for (int i = 0; i < 9; ++i) {
        samples.push_back({.at = TimePoint(i * 1s)});
        samples.back().mhz = i < 3 ? 4000.0 : i < 6 ? 1.0 : 3000.0;
    }
    const HostReport report = host_report(samples, {});
    EXPECT_EQ(report.clock_first_mhz, 4000.0);
    EXPECT_EQ(report.clock_last_mhz, 3000.0);
    EXPECT_EQ(report.busy_share, std::nullopt);
    samples.resize(5);
    EXPECT_EQ(host_report(samples, {}).clock_first_mhz, std::nullopt) << "too few to speak of thirds";
}

TEST(Telemetry, PowersaveOfThePstateDriversIsNoPowersave) {
    const TempFolder folder;
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n");
    const system::System system{folder.path(), {}};
    EXPECT_FALSE(read_power(system).powersave);
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n");
    EXPECT_TRUE(read_power(system).powersave);
    folder.write("sys/class/power_supply/BAT0/type", "Battery\n");
    folder.write("sys/class/power_supply/BAT0/status", "Discharging\n");
    EXPECT_TRUE(read_power(system).on_battery);
    folder.write("sys/class/power_supply/AC/online", "1\n");
    EXPECT_FALSE(read_power(system).on_battery);
}

TEST(Hiccups, AreSortedOutByNearestRank) {
    std::vector<Hiccup> naps;
    for (int i = 1; i <= 1000; ++i) naps.push_back({i * 5ms, i * 1us});
    const Hiccups hiccups = system::summarize_hiccups(5ms, naps);
    EXPECT_EQ(hiccups.naps, 1000);
    EXPECT_EQ(hiccups.max, Ns(1000us));
    EXPECT_EQ(hiccups.p99, Ns(990us));
    EXPECT_EQ(hiccups.p50, Ns(500us));
    ASSERT_EQ(hiccups.longest.size(), 16u);
    EXPECT_EQ(hiccups.longest.back().late, Ns(985us));
    EXPECT_EQ(system::summarize_hiccups(5ms, {}).max, Ns(0));
}

TEST(Hiccups, TheWatchCountsAndEndsAtOnce) {
    system::HiccupWatch watch(100us);
    while (watch.report().naps < 3) system::nap(1ms);
    EXPECT_GE(watch.report().max, Ns(0));
}

}  // namespace telemetry_test
}  // namespace velollm::hardware
