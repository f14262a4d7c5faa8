#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "hardware/bandwidth.h"
#include "hardware/caches.h"
#include "hardware/core_kinds.h"
#include "hardware/cpu.h"
#include "hardware/detect.h"
#include "hardware/limits.h"
#include "hardware/memory.h"
#include "hardware/memory_modules.h"
#include "hardware/probe_kernels.h"
#include "hardware/surroundings.h"
#include "report/machine_json.h"
#include "support/temp_folder.h"

namespace velollm::hardware::machine_test {

constexpr std::int64_t kGib = std::int64_t{1} << 30U;

/// A tree of files that a test writes as it needs them.
class Tree {
public:
    Tree() { system_.root = folder_.path(); }
    Tree& file(const std::string& path, const std::string& text) {
        const auto place = folder_.path() / std::filesystem::path(path).relative_path();
        std::filesystem::create_directories(place.parent_path());
        EXPECT_TRUE(system::write_file_atomic(place, text));
        return *this;
    }
    Tree& variable(const std::string& name, const std::string& value) {
        system_.env[name] = value;
        return *this;
    }
    const system::System& system() const { return system_; }

private:
    test::TempFolder folder_;
    system::System system_;
};

// Kinds of cores

CoreFacts core(const CpuList& cpus, std::optional<int> capacity, std::optional<double> mhz,
               const std::string& part = "") {
    return {.cpus = cpus, .part = part, .capacity = capacity, .max_mhz = mhz};
}

std::string kinds_text(const std::vector<CoreFacts>& cores, const PmuLists& pmu = {}) {
    const CoreKinds kinds = core_kinds(cores, pmu);
    std::string text;
    for (const CoreKind& kind : kinds.kinds)
        text += kind.kind + " " + std::to_string(kind.cores) + "/" + std::to_string(kind.threads) + " " + kind.cpus +
                (kind.name.empty() ? "" : " " + kind.name) + "; ";
    return text + kinds.evidence;
}

TEST(CoreKinds, TheCountersOfIntelAreBelievedAlone) {
    const std::vector<CoreFacts> cores{core({0, 1}, {}, {}), core({2}, {}, {}), core({3}, {}, {})};
    EXPECT_EQ(kinds_text(cores, {.core = {0, 1}, .atom = {2, 3}, .low_power = {}}),
              "performance 1/2 0-1; efficiency 2/2 2-3; pmu");
    EXPECT_EQ(kinds_text(cores, {.core = {0, 1}, .atom = {2}, .low_power = {3}}),
              "performance 1/2 0-1; efficiency 1/1 2; low_power 1/1 3; pmu");
    EXPECT_EQ(kinds_text(cores, {.core = {0, 1, 2, 3}, .atom = {}, .low_power = {}}), "performance 3/4 0-3; ");
    EXPECT_EQ(kinds_text(cores, {.core = {0, 1}, .atom = {2}, .low_power = {}}), "performance 3/4 0-3; ");
}

TEST(CoreKinds, OneSignalAloneProvesNothing) {
    EXPECT_EQ(kinds_text({core({0}, {}, 5000), core({1}, {}, 3000)}), "performance 2/2 0-1; ");
    EXPECT_EQ(kinds_text({core({0}, 1024, {}), core({1}, 500, {})}), "performance 2/2 0-1; ");
    EXPECT_EQ(kinds_text({core({0, 1}, {}, {}), core({2}, {}, {})}), "performance 2/3 0-2; ");
    EXPECT_EQ(kinds_text({core({0}, {}, {}, "A"), core({1}, {}, {}, "B")}), "performance 2/2 0-1; ");
    EXPECT_EQ(kinds_text({core({0}, 1024, 3000), core({1}, 500, 5000)}), "performance 2/2 0-1; ");  // they contradict
}

TEST(CoreKinds, TwoSignalsThatAgreeDo) {
    EXPECT_EQ(kinds_text({core({0, 1}, {}, 4900), core({2}, {}, 3600)}),
              "performance 1/2 0-1; efficiency 1/1 2; clock+threads");
    EXPECT_EQ(kinds_text({core({0}, 1024, 4900), core({1}, 600, 3600)}),
              "performance 1/1 0; efficiency 1/1 1; capacity+clock");
    EXPECT_EQ(kinds_text({core({0}, 530, {}, "A55"), core({1}, 1024, {}, "A76")}),
              "performance 1/1 1 A76; efficiency 1/1 0 A55; midr+capacity");
}

TEST(CoreKinds, BoostLimitsOfSingleCoresMakeNoHybrid) {
    EXPECT_EQ(kinds_text({core({0, 1}, 1024, 5300), core({2, 3}, 1010, 5100), core({4, 5}, 990, 4800)}),
              "performance 3/6 0-5; ");
    EXPECT_EQ(kinds_text({core({0}, 1024, 3000, "X"), core({1}, 768, 2550, "Y")}),
              "performance 2/2 0-1; ");  // at 75, 85 %
}

TEST(CoreKinds, NumbersAreListedAsTheKernelDoes) {
    EXPECT_EQ(format_cpu_list({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
    EXPECT_EQ(format_cpu_list({}), "");
}

TEST(ArmNames, ByImplementerAndPart) {
    EXPECT_EQ(arm_part(0x41, 0xd0c), "Neoverse-N1");
    EXPECT_EQ(arm_part(0x43, 0xd0c), "");
    EXPECT_EQ(arm_implementer(0xc0), "Ampere");
    EXPECT_EQ(arm_implementer(-1), "");
}

TEST(ArmModel, NamesEachDesignOnceWhereNoBoardDoes) {
    std::vector<FactSource> sources;
    const auto model = [&](const std::string& cpuinfo) {
        Tree tree;
        tree.file("/proc/cpuinfo", cpuinfo);
        return read_cpu(tree.system(), "aarch64", {}, sources).model;
    };
    EXPECT_EQ(model("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n\nprocessor : 1\nCPU implementer : "
                    "0x41\nCPU part : 0xd0c\n"),
              "ARM Neoverse-N1");
    EXPECT_EQ(model("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd05\n\nprocessor : 1\nCPU implementer : "
                    "0x41\nCPU part : 0xd0b\n"),
              "ARM Cortex-A55 + Cortex-A76");
    EXPECT_EQ(model("processor : 0\nCPU implementer : 0x99\nCPU part : 0x123\n"), "implementer 0x99 part 0x123");
    EXPECT_EQ(model("processor : 0\nCPU implementer : 0x\nCPU part : 0xzz\n"), "Unknown CPU");
}

// Usable threads

TEST(UsableThreads, SlowCoresCountOnlyWhereNoFastOneIsAllowed) {
    const auto usable = [](int allowed, int allowed_cores, int allowed_fast, std::optional<double> quota,
                           bool cpuset = false) {
        const UsableThreads result = usable_threads({16, 10, allowed, allowed_cores, quota, 6, allowed_fast, cpuset});
        return std::to_string(result.count) + " " + result.limit + ": " + result.reason;
    };
    EXPECT_EQ(usable(16, 10, 6, {}), "6 performance_cores: 6 performance cores of 10 physical cores");
    EXPECT_EQ(usable(12, 6, 6, {}), "6 performance_cores: 6 performance cores of 10 physical cores");
    EXPECT_EQ(usable(4, 4, 0, {}), "4 affinity: affinity to 4 of 16 CPUs");
    EXPECT_EQ(usable(6, 5, 1, {}), "1 affinity: affinity to 6 of 16 CPUs, 1 performance core");
    EXPECT_EQ(usable(6, 3, 3, {}, true), "3 cpuset: cgroup cpuset of 6 of 16 CPUs, 3 performance cores");
    EXPECT_EQ(usable(16, 10, 6, 5.5), "5 quota: cgroup quota 5.50 CPUs");
    EXPECT_EQ(usable(16, 10, 6, 7.0), "6 performance_cores: 6 performance cores of 10 physical cores");
}

TEST(Cpuset, IsTheEffectiveOneOfTheNearestGroup) {
    Tree tree;
    tree.file("/cg/a/cpuset.cpus.effective", "2-3\n").file("/cg/cpuset.cpus.effective", "0-7\n");
    EXPECT_EQ(read_cpuset(tree.system(), {.v2 = true, .folders = {"/cg/a/b", "/cg/a", "/cg"}}), (CpuList{2, 3}));
    tree.file("/v1/cpuset.cpus", "1\n");
    EXPECT_EQ(read_cpuset(tree.system(), {.v2 = false, .folders = {"/v1"}}), (CpuList{1}));
    EXPECT_EQ(read_cpuset(tree.system(), {}), CpuList{});
}

// Caches and nodes

TEST(Sizes, OfSysfs) {
    EXPECT_EQ(parse_size("48K"), 49152);
    EXPECT_EQ(parse_size("2M"), 2097152);
    EXPECT_EQ(parse_size("512"), 512);
    for (const char* bad : {"", "K", "-1K", "0K", "1.5M", "99999999999999K", "1048577M", "K48"})
        EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
}

TEST(Caches, AreCountedOnceForAllCpusThatShareThem) {
    Tree tree;
    const auto cache = [&](int cpu, int index, const char* level, const char* type, const char* size,
                           const char* shared) {
        const std::string folder =
            "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cache/index" + std::to_string(index) + "/";
        tree.file(folder + "level", level).file(folder + "type", type).file(folder + "size", size);
        tree.file(folder + "shared_cpu_list", shared);
    };
    for (const int cpu : {0, 1, 2}) cache(cpu, 0, "1\n", "Data\n", "32K\n", cpu == 2 ? "2" : "0-1");
    for (const int cpu : {0, 1, 2}) cache(cpu, 1, "3\n", "Unified\n", "16M\n", "0-2\n");
    const auto caches = read_caches(tree.system(), {{0, 1}, {2}});
    ASSERT_EQ(caches.size(), 3u);
    EXPECT_EQ(caches[0].shared_by, 1);
    EXPECT_EQ(caches[1].shared_by, 2);
    EXPECT_EQ(caches[1].size_bytes, 32768);
    EXPECT_EQ(caches[2].level, 3);
    EXPECT_EQ(caches[2].instances, 1);
    EXPECT_EQ(caches[2].shared_by, 3);
    EXPECT_TRUE(read_caches(Tree().system(), {{0}}).empty());
}

TEST(Numa, NodesHaveCpusOrMemory) {
    Tree tree;
    const std::string node = "/sys/devices/system/node/";
    tree.file(node + "online", "0-2\n").file(node + "node0/cpulist", "0-3\n");
    tree.file(node + "node0/meminfo", "Node 0 MemTotal:        8192 kB\nNode 0 MemFree: 5 kB\n");
    tree.file(node + "node1/cpulist", "\n").file(node + "node1/meminfo", "Node 1 MemTotal:  1024 kB\n");
    const auto nodes = read_numa(tree.system());
    ASSERT_EQ(nodes.size(), 2u);  // the third has nothing
    EXPECT_EQ(nodes[0].cpus, "0-3");
    EXPECT_EQ(nodes[0].memory_bytes, 8192 * 1024);
    EXPECT_EQ(nodes[1].cpus, "");
    EXPECT_EQ(nodes[1].memory_bytes, 1024 * 1024);
}

// Memory

TEST(HugePages, ModeAndReserve) {
    EXPECT_EQ(parse_thp("always [madvise] never\n"), "madvise");
    for (const char* bad : {"", "always madvise never", "[other]", "[]", "["}) EXPECT_EQ(parse_thp(bad), "") << bad;
    const Memory memory =
        parse_meminfo("MemTotal: 1000 kB\nHugePages_Total: 8\nHugePages_Free: 9\nHugepagesize: 2048 kB\n");
    EXPECT_EQ(memory.huge_pages_total, 8);
    EXPECT_EQ(memory.huge_pages_free, 8);
    EXPECT_EQ(memory.huge_page_bytes, 2048 * 1024);
}

TEST(SwapLimit, IsTheSmallestAndMayBeNone) {
    Tree tree;
    tree.file("/a/b/memory.swap.max", "max\n").file("/a/memory.swap.max", "0\n");
    EXPECT_EQ(read_swap_limit(tree.system(), {.v2 = true, .folders = {"/a/b", "/a"}}), 0);
    EXPECT_EQ(read_swap_limit(tree.system(), {.v2 = true, .folders = {"/a/b"}}), std::nullopt);
    EXPECT_EQ(read_swap_limit(tree.system(), {.v2 = false, .folders = {"/a"}}), std::nullopt);
}

TEST(UdevModules, EmptySlotsAreNone) {
    const auto modules = parse_udev_modules(
        "N:x\nE:MEMORY_ARRAY_NUM_DEVICES=2\nE:MEMORY_DEVICE_0_SIZE=17179869184\nE:MEMORY_DEVICE_0_TYPE=DDR5\n"
        "E:MEMORY_DEVICE_0_CONFIGURED_SPEED_MTS=5600\nE:MEMORY_DEVICE_0_BANK_LOCATOR=P0 CHANNEL A\n"
        "E:MEMORY_DEVICE_0_DATA_WIDTH=64\nE:MEMORY_DEVICE_0_LOCATOR=DIMM 0\nE:MEMORY_DEVICE_1_PRESENT=0\n"
        "E:MEMORY_DEVICE_x_SIZE=5\nE:MEMORY_DEVICE_2=\nE:MEMORY_DEVICE_3_SIZE=-4\n");
    ASSERT_EQ(modules.size(), 1u);
    EXPECT_EQ(modules[0].size_bytes, 16 * kGib);
    EXPECT_EQ(modules[0].type, "DDR5");
    EXPECT_EQ(modules[0].configured_mts, 5600);
    EXPECT_EQ(modules[0].width_bits, 64);
    EXPECT_EQ(modules[0].bank, "P0 CHANNEL A");
}

std::string smbios_device(std::uint16_t size, std::uint32_t extended, std::uint8_t type, std::uint16_t mts) {
    std::string fields(0x28, '\0');
    fields[0] = 17;
    fields[1] = 0x28;
    fields[0x0a] = 64;
    fields[0x0c] = static_cast<char>(size & 0xffU);
    fields[0x0d] = static_cast<char>(size >> 8U);
    fields[0x10] = 1;
    fields[0x11] = 2;
    fields[0x12] = static_cast<char>(type);
    for (unsigned i = 0; i < 4; ++i) fields[0x1c + i] = static_cast<char>(extended >> (8 * i) & 0xffU);
    fields[0x20] = static_cast<char>(mts & 0xffU);
    fields[0x21] = static_cast<char>(mts >> 8U);
    return fields + std::string("DIMM_A1\0BANK 0\0\0", 16);
}

TEST(SmbiosModules, SizesInThreeForms) {
    const std::string other("\x01\x04\x00\x00\0\0", 6);
    const auto modules = parse_smbios_modules(other + smbios_device(0x4000, 0, 0x1a, 3200) +
                                              smbios_device(0, 0, 0x1a, 0) + smbios_device(0x7fff, 65536, 0x22, 4800) +
                                              smbios_device(0x8400, 0, 2, 0) + std::string("\x7f\x04\0\0\0\0", 6));
    ASSERT_EQ(modules.size(), 3u);  // one slot is empty
    EXPECT_EQ(modules[0].size_bytes, 16 * kGib);
    EXPECT_EQ(modules[0].type, "DDR4");
    EXPECT_EQ(modules[0].configured_mts, 3200);
    EXPECT_EQ(modules[0].locator, "DIMM_A1");
    EXPECT_EQ(modules[0].bank, "BANK 0");
    EXPECT_EQ(modules[1].size_bytes, 64 * kGib);
    EXPECT_EQ(modules[2].size_bytes, 1 << 20U);  // in KiB
    EXPECT_EQ(modules[2].type, "");
}

TEST(SmbiosModules, CutAnywhereItIsReadToTheCut) {
    const std::string table = smbios_device(0x4000, 0, 0x1a, 3200) + smbios_device(0x4000, 0, 0x1a, 3200);
    for (std::size_t size = 0; size <= table.size(); ++size)
        EXPECT_LE(parse_smbios_modules(std::string_view(table).substr(0, size)).size(), 2u);
    EXPECT_TRUE(parse_smbios_modules(std::string(64, '\0')).empty());
    EXPECT_TRUE(parse_smbios_modules(std::string(64, '\xff')).empty());
}

std::string channels_text(const std::vector<MemoryModule>& modules) {
    const Channels channels = infer_channels(modules);
    return (channels.count ? std::to_string(*channels.count) : "-") + " " +
           (channels.gbps ? std::to_string(static_cast<int>(*channels.gbps * 10)) : "-");
}

MemoryModule ddr(const std::string& locator, const std::string& bank, std::optional<int> mts = 3200,
                 const std::string& type = "DDR4", int width = 64) {
    return {
        .size_bytes = kGib, .type = type, .configured_mts = mts, .width_bits = width, .locator = locator, .bank = bank};
}

TEST(Channels, OnlyWhereEveryModuleNamesIts) {
    EXPECT_EQ(channels_text({ddr("DIMM 0", "P0 CHANNEL A"), ddr("DIMM 0", "P0 CHANNEL B")}), "2 512");
    EXPECT_EQ(channels_text({ddr("ChannelA-DIMM0", "BANK 0"), ddr("ChannelA-DIMM1", "BANK 1")}), "1 256");
    EXPECT_EQ(channels_text({ddr("DIMM_A1", ""), ddr("DIMM_A2", ""), ddr("DIMM_B1", "")}), "2 512");
    EXPECT_EQ(channels_text({ddr("P1-DIMMA1", ""), ddr("P2-DIMMA1", "")}), "2 512");
    EXPECT_EQ(channels_text({ddr("DIMM 0", "BANK 0"), ddr("DIMM_B1", "")}), "- -");
    EXPECT_EQ(channels_text({ddr("DIMM_A1", "", 3200), ddr("DIMM_B1", "", 2666)}), "2 -");
    EXPECT_EQ(channels_text({ddr("DIMM_A1", "", {})}), "1 -");
    EXPECT_EQ(channels_text({}), "- -");
}

TEST(Channels, SolderedMemoryCountsByTheWidthOfItsDevices) {
    std::vector<MemoryModule> eight(8, ddr("DIMM 0", "P0 CHANNEL A", 8000, "LPDDR5", 32));
    EXPECT_EQ(channels_text(eight), "1 2560");
}

// Surroundings

TEST(Surroundings, ContainerAndMachineAreAskedApart) {
    Tree tree;
    tree.file("/.dockerenv", "").file("/proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\n");
    tree.file("/sys/class/dmi/id/sys_vendor", "QEMU\n").file("/sys/class/dmi/id/product_name", "Standard PC\n");
    const Surroundings found = read_surroundings(tree.system(), "6.1.0", "v2");
    EXPECT_EQ(found.container, "docker");
    EXPECT_EQ(found.container_evidence, (std::vector<std::string>{"/.dockerenv"}));
    EXPECT_EQ(found.virtualization, "kvm");
    EXPECT_EQ(found.virtualization_evidence.size(), 2u);
    EXPECT_FALSE(found.wsl);
    EXPECT_EQ(found.cgroup, "v2");
}

TEST(Surroundings, AMachineMadeOfAnImageIsNoContainer) {
    const auto container = [](const std::string& source) {
        Tree tree;
        tree.file("/.dockerenv", "");
        tree.file("/proc/self/mountinfo",
                  "22 1 0:1 / /proc rw - proc proc rw\n27 1 254:0 / / rw - x " + source + " rw\n");
        return read_surroundings(tree.system(), "", "").container;
    };
    EXPECT_EQ(container("/dev/vda"), "");
    EXPECT_EQ(container("overlay"), "docker");
}

TEST(Surroundings, OfNothingIsNothing) {
    const Surroundings found = read_surroundings(Tree().system(), "6.1.0", "");
    EXPECT_EQ(found.container, "");
    EXPECT_EQ(found.virtualization, "");
    EXPECT_TRUE(found.container_evidence.empty());
    EXPECT_TRUE(found.virtualization_evidence.empty());
}

TEST(Surroundings, EachKindByItsMark) {
    const auto container = [](const std::string& path, const std::string& text) {
        Tree tree;
        tree.file(path, text);
        return read_surroundings(tree.system(), "", "").container;
    };
    EXPECT_EQ(container("/run/.containerenv", ""), "podman");
    EXPECT_EQ(container("/run/systemd/container", "lxc\n"), "lxc");
    EXPECT_EQ(container("/proc/self/cgroup", "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-x\n"),
              "kubernetes");
    EXPECT_EQ(container("/proc/self/cgroup", "0::/system.slice/docker-1.scope\n"), "docker");
    EXPECT_EQ(container("/proc/self/cgroup", "0::/user.slice\n"), "");
    EXPECT_EQ(read_surroundings(Tree().variable("KUBERNETES_SERVICE_HOST", "10.0.0.1").system(), "", "").container,
              "kubernetes");
    const auto machine = [](const std::string& vendor, const std::string& product) {
        Tree tree;
        tree.file("/sys/class/dmi/id/sys_vendor", vendor).file("/sys/class/dmi/id/product_name", product);
        return read_surroundings(tree.system(), "", "").virtualization;
    };
    EXPECT_EQ(machine("VMware, Inc.", "VMware7,1"), "vmware");
    EXPECT_EQ(machine("Microsoft Corporation", "Virtual Machine"), "microsoft");
    EXPECT_EQ(machine("Microsoft Corporation", "Surface Laptop"), "");
    EXPECT_EQ(machine("Amazon EC2", "m7i.large"), "amazon");
    EXPECT_EQ(machine("Amazon EC2", "m7i.metal-24xl"), "");
    EXPECT_EQ(machine("Dell Inc.", "PowerEdge R750"), "");
    const Surroundings wsl = read_surroundings(Tree().system(), "5.15.153.1-microsoft-standard-WSL2", "");
    EXPECT_TRUE(wsl.wsl);
    EXPECT_EQ(wsl.virtualization, "wsl");
}

TEST(CgroupVersion, IsWhatIsMounted) {
    const auto version = [](const std::string& mounts) {
        Tree tree;
        tree.file("/proc/self/mountinfo", mounts);
        return read_cgroups(tree.system()).version;
    };
    const std::string one = "1 0 0:1 / /c rw - cgroup c rw,cpu\n";
    const std::string two = "1 0 0:1 / /c rw - cgroup2 c rw\n";
    EXPECT_EQ(version(one), "v1");
    EXPECT_EQ(version(two), "v2");
    EXPECT_EQ(version(one + two), "hybrid");
    EXPECT_EQ(version("1 0 0:1 / / rw - ext4 /dev/a rw\n"), "");
}

// Probes

std::vector<Repetition> repetitions(std::initializer_list<double> rates, double share = 1.0) {
    std::vector<Repetition> all;
    for (const double rate : rates) all.push_back({rate, share});
    return all;
}

TEST(Judge, ThreeCleanRepetitionsThatAgreeAreEnough) {
    const Judgement judged = judge(repetitions({100, 102, 101}));
    EXPECT_TRUE(judged.valid);
    EXPECT_EQ(judged.reason, "");
    EXPECT_EQ(judged.rate, 101);
    EXPECT_NEAR(judged.cv_percent, 0.990, 0.001);
    EXPECT_EQ(judge(repetitions({100, 102, 101, 104})).rate, 101.5);
}

TEST(Judge, RepetitionsWithoutTheirCpuDontCount) {
    auto all = repetitions({50, 51}, 0.984);
    all.push_back({100, 0.985});
    all.push_back({100, 1.0});
    const Judgement few = judge(all);
    EXPECT_FALSE(few.valid);
    EXPECT_EQ(few.reason, "other work took CPU time in 2 of 4 repetitions");
    EXPECT_EQ(few.clean, 2);
    EXPECT_EQ(few.cpu_share_min, 0.984);
    all.push_back({100, 1.0});
    EXPECT_TRUE(judge(all).valid);
    EXPECT_EQ(judge(all).rate, 100);
    EXPECT_FALSE(judge({}).valid);
}

TEST(Judge, AWideSpreadIsNotBelieved) {
    EXPECT_TRUE(judge(repetitions({95, 100, 105})).valid);  // 5 %
    const Judgement wide = judge(repetitions({94, 100, 106}));
    EXPECT_FALSE(wide.valid);
    EXPECT_EQ(wide.reason, "repetitions differ by 6.0 % (at most 5 % is trusted)");
}

TEST(CacheSuspect, WhereHalfOfTheBufferIsFaster) {
    EXPECT_FALSE(cache_suspect(100, 105));
    EXPECT_TRUE(cache_suspect(100, 105.1));
    EXPECT_FALSE(cache_suspect(100, 80));
}

std::string plan_text(const Hardware& machine, const std::vector<CpuList>& cores, const CpuList& allowed) {
    CpuTopology topology;
    topology.cores = cores;
    for (const CpuList& cpus : cores) topology.online.insert(topology.online.end(), cpus.begin(), cpus.end());
    const ProbePlan plan = plan_probe(machine, topology, allowed);
    if (!plan.refusal.empty()) return plan.refusal;
    std::string text = format_cpu_list(plan.cpus) + " |";
    for (const int threads : plan.thread_counts) text += " " + std::to_string(threads);
    return text + " | " + std::to_string(plan.buffer_bytes >> 20U);
}

TEST(ProbePlan, OneCpuOfEachCoreAndABufferThatNoCacheHolds) {
    Hardware machine;
    machine.cpu.usable.count = 3;
    machine.memory.available_bytes = 64 * kGib;
    const std::vector<CpuList> cores{{0, 1}, {2, 3}, {4, 5}, {6, 7}};
    EXPECT_EQ(plan_text(machine, cores, {}), "0,2,4 | 1 2 3 | 768");  // no L3 known: 256 MiB a thread
    EXPECT_EQ(plan_text(machine, cores, {1, 2, 7}), "1-2,7 | 1 2 3 | 768");
    machine.cpu.caches = {{3, "unified", std::int64_t{64} << 20U, 2, 4}, {2, "unified", kGib, 4, 1}};
    EXPECT_EQ(plan_text(machine, cores, {}), "0,2,4 | 1 2 3 | 1020");  // 8 * 128 MiB, in equal slices
    machine.cpu.caches[0].size_bytes = kGib;
    EXPECT_EQ(plan_text(machine, cores, {}), "0,2,4 | 1 2 3 | 2040");
    machine.memory.available_bytes = kGib;
    EXPECT_EQ(plan_text(machine, cores, {}), "0,2,4 | 1 2 3 | 252");
    machine.memory.available_bytes = kGib / 2 - 1;
    EXPECT_EQ(plan_text(machine, cores, {}),
              "only 511 MiB of memory is available: a quarter of it is too little to read past caches");
}

TEST(ProbePlan, FastCoresFirst) {
    Hardware machine;
    machine.cpu.usable.count = 2;
    machine.memory.available_bytes = 64 * kGib;
    machine.cpu.kinds = {{.kind = "performance", .cpus = "2-3"}, {.kind = "efficiency", .cpus = "0-1"}};
    const std::vector<CpuList> cores{{0}, {1}, {2}, {3}};
    EXPECT_EQ(plan_text(machine, cores, {}), "2-3 | 1 2 | 512");
    EXPECT_EQ(plan_text(machine, cores, {0, 1}), "0-1 | 1 2 | 512");
}

TEST(ReadKernels, NoneLeavesALineOut) {
    for (const ProbeKernels& kernels : {best_kernels(), portable_kernels()}) {
        alignas(64) std::array<std::uint64_t, 256> words{};
        for (std::size_t line = 0; line < words.size() / 8; ++line) {
            words.fill(0);
            words[line * 8] = 1;
            EXPECT_EQ(kernels.read(words.data(), sizeof(words)), 1u) << kernels.name << " line " << line;
        }
        EXPECT_EQ(kernels.fp32(10), kernels.fp32(5) * 2);
    }
}

TEST(Probes, EndInTimeWithAFigureOrAReason) {
    Hardware machine;
    machine.memory.available_bytes = kGib;
    const KernelAnswers kernel = ask_kernel();
    system::SteadyClock clock;
    const TimePoint before = clock.now();
    const Probes probes = run_probes(system::this_system(), kernel, machine);
    EXPECT_LT(clock.now() - before, std::chrono::seconds(20));  // two, on a machine that isn't overloaded
    EXPECT_EQ(probes.bandwidth.valid, probes.bandwidth.read_gbps.has_value());
    EXPECT_EQ(probes.bandwidth.valid, probes.bandwidth.reason.empty());
    EXPECT_EQ(probes.peak.valid, probes.peak.fp32_gflops.has_value());
    EXPECT_GE(probes.bandwidth.repetitions, probes.bandwidth.clean_repetitions);
    EXPECT_GE(probes.bandwidth.repetitions, 1);
    EXPECT_GT(probes.bandwidth.read_gbps.value_or(1.0), 0.1);
    EXPECT_FALSE(probes.peak.kernel.empty());
}

// What it means

TEST(Conclusion, NamesTheLimitInWords) {
    Hardware machine;
    UsableThreads& usable = machine.cpu.usable;
    const auto says = [&](int count, const std::string& limit, const std::string& container = "") {
        usable.count = count;
        usable.limit = limit;
        machine.surroundings.container = container;
        return report::conclusion(machine);
    };
    usable.online_cpus = 32;
    usable.quota_cpus = 4.0;
    EXPECT_EQ(says(4, "quota", "docker"), "You may use 4 of 32 threads: the container's CPU quota (4.00 CPUs).");
    EXPECT_EQ(says(4, "quota"), "You may use 4 of 32 threads: the control group's CPU quota (4.00 CPUs).");
    EXPECT_EQ(says(4, "cpuset", "lxc"), "You may use 4 of 32 threads: the container's CPU set.");
    EXPECT_EQ(says(4, "affinity"), "You may use 4 of 32 threads: the affinity that this process was started with.");
    EXPECT_EQ(says(16, "cores"), "You may use 16 of 32 threads: one for each core.");
    EXPECT_EQ(says(32, "cores"), "You may use all 32 threads.");
    machine.memory.total_bytes = 64 * kGib;
    machine.memory.available_bytes = 3 * kGib;
    machine.memory.limit_bytes = 4 * kGib;
    EXPECT_EQ(
        says(8, "performance_cores"),
        "You may use 8 of 32 threads: one for each performance core. A model may take 3.0 GiB of 64.0 GiB memory: "
        "the control group's limit.");
}

}  // namespace velollm::hardware::machine_test
