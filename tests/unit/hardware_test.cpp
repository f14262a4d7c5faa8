#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hardware/cpu.h"
#include "hardware/detect.h"
#include "hardware/gpu.h"
#include "hardware/limits.h"
#include "hardware/memory.h"
#include "support/temp_folder.h"

namespace velollm::hardware::hardware_test {

using Words = std::vector<std::string>;

constexpr std::int64_t kKib = 1024;
constexpr std::int64_t kGib = std::int64_t{1} << 30U;

CpuList first_cpus(int count) {
    CpuList cpus;
    for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
    return cpus;
}

Hardware detect_host(const std::string& host, const CpuList& allowed, const std::string& arch = "x86_64") {
    system::System system;
    system.root = std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts" / host;
    return detect(system, {.allowed_cpus = allowed, .arch = arch, .release = "6.1.0-18-amd64"});
}

void expect_usable(const Hardware& hardware, int count, const std::string& reason) {
    EXPECT_EQ(hardware.cpu.usable.count, count);
    EXPECT_EQ(hardware.cpu.usable.reason, reason);
}

// Whole machines

TEST(DetectKubernetes, TheAncestorsQuotaBindsNotTheContainersOwn) {
    const Hardware machine = detect_host("kubernetes-v2", first_cpus(8));
    expect_usable(machine, 2, "cgroup quota 2.50 CPUs");
    EXPECT_EQ(machine.cpu.usable.quota_cpus, 2.5);
    EXPECT_EQ(machine.cpu.usable.affinity_cpus, 8);
    EXPECT_EQ(machine.cpu.usable.physical_cores, 4);
    EXPECT_EQ(machine.cpu.usable.online_cpus, 8);
    EXPECT_EQ(machine.os.name, "Alpine Linux v3.20");
}

TEST(DetectKubernetes, RoomIsTheSmallestOfAnyGroupAndPageCacheIsRoom) {
    const Memory memory = detect_host("kubernetes-v2", first_cpus(8)).memory;
    EXPECT_EQ(memory.total_bytes, 65843212 * kKib);
    EXPECT_EQ(memory.limit_bytes, 4 * kGib);                     // the pod's memory.max
    EXPECT_EQ(memory.available_bytes, 2 * kGib);                 // the slice: high 6 - (current 5 - cache 1)
    EXPECT_EQ(memory.used_bytes, (65843212 - 58720256) * kKib);  // the machine's
}

TEST(DetectKubernetes, AffinityWithinTheQuotaDecides) {
    expect_usable(detect_host("kubernetes-v2", {1, 2}), 2, "affinity to 2 of 8 CPUs");
    expect_usable(detect_host("kubernetes-v2", {1, 5}), 1, "affinity to 2 of 8 CPUs, 1 physical core");
}

TEST(DetectDocker, VersionOneGroupIsTheMountPointItself) {
    const Hardware machine = detect_host("docker-v1", first_cpus(4));
    expect_usable(machine, 1, "cgroup quota 1.50 CPUs");
    EXPECT_EQ(machine.memory.limit_bytes, 2 * kGib);
    EXPECT_EQ(machine.memory.available_bytes, 2 * kGib - (3 * kGib / 2 - kGib / 2 - kGib / 4));
    EXPECT_EQ(machine.os.name, "Ubuntu 16.04.7 LTS");
}

TEST(DetectDocker, WithoutTopologyCoresComeFromCpuinfo) {
    const Cpu cpu = detect_host("docker-v1", first_cpus(4)).cpu;
    EXPECT_EQ(cpu.model, "Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz");
    EXPECT_EQ(cpu.physical_cores, 2);
    EXPECT_EQ(cpu.logical_cpus, 4);
    EXPECT_EQ(cpu.sockets, 2);
    EXPECT_EQ(cpu.max_mhz, std::nullopt);
    EXPECT_EQ(cpu.cpuinfo_mhz, 2300.2);
}

TEST(DetectDesktop, HybridCoresAreCountedOnceEach) {
    const Cpu cpu = detect_host("desktop-hybrid-amdgpu", first_cpus(16)).cpu;
    EXPECT_EQ(cpu.model, "12th Gen Intel(R) Core(TM) i5-12600K");
    EXPECT_EQ(cpu.physical_cores, 10);
    EXPECT_EQ(cpu.logical_cpus, 16);
    EXPECT_EQ(cpu.max_mhz, 4900.0);
    EXPECT_EQ(cpu.governor, "powersave");
    EXPECT_EQ(cpu.usable.count, 6);
    EXPECT_EQ(cpu.usable.reason, "6 performance cores of 10 physical cores");
    ASSERT_EQ(cpu.kinds.size(), 2u);
    EXPECT_EQ(cpu.kinds[1].cpus, "12-15");
    EXPECT_EQ(cpu.kinds_evidence, "clock+threads");
    EXPECT_EQ(cpu.usable.quota_cpus, std::nullopt);
    EXPECT_EQ(cpu.features, (Words{"sse3", "ssse3", "avx", "avx2", "f16c", "fma", "bmi2", "avx_vnni"}));
}

TEST(DetectDesktop, TheCardComesBeforeTheIntegratedGpu) {
    const Hardware machine = detect_host("desktop-hybrid-amdgpu", first_cpus(16));
    ASSERT_EQ(machine.gpus.size(), 2u);
    const Gpu& card = machine.gpus[0];
    EXPECT_EQ(card.name, "Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]");
    EXPECT_EQ(card.vendor, "Amd");
    EXPECT_EQ(card.pci_address, "0000:03:00.0");
    EXPECT_EQ(card.driver, "amdgpu");
    EXPECT_EQ(card.driver_version, "6.1.0-18-amd64");
    EXPECT_EQ(card.vram_bytes, 25753026560);
    EXPECT_EQ(card.vram_used_bytes, 1288490188);
    EXPECT_FALSE(card.integrated);
    EXPECT_EQ(machine.gpus[1].name, "AlderLake-S GT1");
    EXPECT_TRUE(machine.gpus[1].integrated);
    EXPECT_EQ(machine.gpus[1].vram_bytes, std::nullopt);
    EXPECT_TRUE(machine.skipped_displays.empty());
    EXPECT_EQ(machine.os.name, "Fedora Linux 40 (Workstation Edition)");
    EXPECT_EQ(machine.memory.limit_bytes, std::nullopt);
    EXPECT_EQ(machine.memory.swap_total_bytes, 8388604 * kKib);
}

TEST(DetectVm, NothingIsInventedWhereTheMachineTellsLittle) {
    const Hardware machine = detect_host("vm-firecracker", first_cpus(2));
    EXPECT_EQ(machine.cpu.model, "AMD EPYC");
    expect_usable(machine, 2, "2 physical cores");
    EXPECT_EQ(machine.cpu.max_mhz, std::nullopt);
    EXPECT_EQ(machine.cpu.cpuinfo_mhz, 2596.132);
    EXPECT_EQ(machine.cpu.governor, "");
    EXPECT_EQ(machine.cpu.features, (Words{"sse3", "ssse3", "avx", "avx2", "f16c", "fma", "bmi2", "avx512f",
                                           "avx512_vbmi", "avx512_vnni", "avx512_bf16"}));
    EXPECT_EQ(machine.memory.limit_bytes, std::nullopt);
    EXPECT_EQ(machine.memory.available_bytes, 24301984 * kKib);
    EXPECT_TRUE(machine.gpus.empty());
    expect_usable(detect_host("vm-firecracker", {0}), 1, "affinity to 1 of 2 CPUs");
}

TEST(DetectArm, TheBoardNamesTheCpu) {
    const Hardware machine = detect_host("arm-board", first_cpus(8), "aarch64");
    EXPECT_EQ(machine.cpu.model, "Radxa ROCK 5B");
    EXPECT_EQ(machine.cpu.arch, "aarch64");
    EXPECT_EQ(machine.cpu.physical_cores, 8);
    EXPECT_EQ(machine.cpu.sockets, 1);
    EXPECT_EQ(machine.cpu.max_mhz, 2304.0);  // the last core's
    EXPECT_EQ(machine.cpu.vendor, "ARM");
    EXPECT_EQ(machine.cpu.kinds_evidence, "midr+clock");
    ASSERT_EQ(machine.cpu.kinds.size(), 2u);
    EXPECT_EQ(machine.cpu.kinds[0].name, "Cortex-A76");
    EXPECT_EQ(machine.cpu.kinds[0].cpus, "4-7");
    expect_usable(machine, 4, "4 performance cores of 8 physical cores");
    EXPECT_EQ(machine.cpu.governor, "schedutil");
    EXPECT_EQ(machine.cpu.features, (Words{"neon", "arm_fma", "fp16_va", "dotprod"}));
    EXPECT_EQ(machine.os.name, "Armbian");
}

TEST(DetectArm, CoresAndSocketsComeFromTheTopologyFilesOfOldKernels) {
    const Cpu cpu = detect_host("arm-server-smt", first_cpus(8), "aarch64").cpu;
    EXPECT_EQ(cpu.model, "Cavium ThunderX2");
    EXPECT_EQ(cpu.vendor, "Cavium");
    EXPECT_EQ(cpu.physical_cores, 4);
    EXPECT_EQ(cpu.sockets, 2);
}

TEST(DetectServer, OfflineCpusAreNotCounted) {
    const Hardware machine = detect_host("server-nvidia-offline", {0, 1, 3, 4, 5, 7});
    EXPECT_EQ(machine.cpu.logical_cpus, 6);
    EXPECT_EQ(machine.cpu.physical_cores, 3);
    EXPECT_EQ(machine.cpu.sockets, 2);
    expect_usable(machine, 3, "3 physical cores");
    expect_usable(detect_host("server-nvidia-offline", {2, 3, 6, 7}), 1, "affinity to 2 of 6 CPUs, 1 physical core");
    EXPECT_EQ(machine.cpu.features.back(), "amx_int8");
}

TEST(DetectServer, NvidiaCardsHaveTheDriversNamesAndVersion) {
    const Hardware machine = detect_host("server-nvidia-offline", {0, 1, 3, 4, 5, 7});
    ASSERT_EQ(machine.gpus.size(), 2u);
    EXPECT_EQ(machine.gpus[0].name, "NVIDIA GeForce RTX 4090");
    EXPECT_EQ(machine.gpus[0].vendor, "Nvidia");
    EXPECT_EQ(machine.gpus[0].driver_version, "560.35.03");
    EXPECT_EQ(machine.gpus[0].vram_bytes, std::nullopt);
    EXPECT_EQ(machine.gpus[1].name, "NVIDIA L40");
    EXPECT_EQ(machine.skipped_displays, (Words{"PCI 1a03:2000 at 0000:02:00.0: server console (ast)"}));
}

TEST(DetectGpuZoo, KeepsWhatComputesAndSaysWhatItLeftOut) {
    const Hardware machine = detect_host("gpu-zoo", {0});
    Words found;
    for (const Gpu& gpu : machine.gpus) found.push_back(gpu.pci_address + " " + gpu.name + " " + gpu.driver_version);
    EXPECT_EQ(found, (Words{"0000:03:00.0 PCI 8086:56a0 6.1.0-18-amd64", "0000:04:00.0 PCI 8086:56a5 6.1.0-18-amd64",
                            "0000:05:00.0 PCI 1002:74a1 6.10.5", "0000:07:00.0 PCI 1002:5b60 ",
                            "0000:c4:00.0 PCI 1002:1586 6.10.5"}));
    EXPECT_EQ(machine.skipped_displays, (Words{"PCI 1234:1111 at 0000:00:02.0: virtual display of QEMU (bochs)",
                                               "PCI 10de:1b80 at 0000:06:00.0: lent to a virtual machine"}));
    ASSERT_EQ(machine.gpus.size(), 5u);
    EXPECT_EQ(machine.gpus[0].vram_bytes, 16 * kGib);  // xe: two tiles
    EXPECT_EQ(machine.gpus[1].vram_bytes, 6 * kGib);   // i915
    EXPECT_EQ(machine.gpus[2].vram_bytes, 206141652992);
    EXPECT_EQ(machine.gpus[3].vram_bytes, std::nullopt);
    EXPECT_TRUE(machine.gpus[4].integrated);
    EXPECT_FALSE(machine.gpus[2].integrated);
}

TEST(DetectNothing, AMachineWithoutFilesHasOneUnknownCpu) {
    const Hardware machine = detect_host("no such tree", {});
    EXPECT_EQ(machine.cpu.model, "Unknown CPU");
    expect_usable(machine, 1, "1 physical core");
    EXPECT_EQ(machine.memory.total_bytes, 0);
    EXPECT_EQ(machine.memory.available_bytes, 0);
    EXPECT_TRUE(machine.gpus.empty());
    EXPECT_EQ(machine.os.name, "");
    expect_usable(detect_host("no such tree", first_cpus(3)), 3, "3 physical cores");  // all that is known
}

TEST(DetectNothing, NoiseIsNotBelieved) {
    const Hardware machine = detect_host("garbage", {0, 1});
    EXPECT_EQ(machine.cpu.model, "Unknown CPU");
    expect_usable(machine, 2, "2 physical cores");
    EXPECT_EQ(machine.cpu.usable.quota_cpus, std::nullopt);
    EXPECT_EQ(machine.memory.total_bytes, 0);
    EXPECT_TRUE(machine.gpus.empty());
}

// CPU

TEST(CpuListText, IsRangesAndNumbers) {
    EXPECT_EQ(parse_cpu_list("0-3,8,10-11\n"), (CpuList{0, 1, 2, 3, 8, 10, 11}));
    EXPECT_EQ(parse_cpu_list("5,1,1-2"), (CpuList{1, 2, 5}));
    EXPECT_EQ(parse_cpu_list("65535"), (CpuList{65535}));
    for (const char* bad :
         {"", "\n", "a", "0-", "-1", "3-1", "0,3-1", "0,,1", "0-1 2", "0-65536", "0-99999999999999999999"})
        EXPECT_EQ(parse_cpu_list(bad), CpuList{}) << bad;
}

TEST(Cpuinfo, FirstModelAndFlagsHighestClock) {
    const CpuInfo info = parse_cpuinfo(
        "processor\t: 0\nmodel name\t: A  B: C\ncpu MHz\t\t: 3100.25\nphysical id\t: 1\ncore id\t\t: 4\nflags\t\t: "
        "pni\n"
        "processor\t: 3\nmodel name\t: other\ncpu MHz\t\t: 800.5\nflags\t\t: avx\nvmx flags\t: ept\n");
    EXPECT_EQ(info.model, "A  B: C");
    EXPECT_EQ(info.flags, "pni");
    EXPECT_EQ(info.mhz, 3100.25);
    ASSERT_EQ(info.processors.size(), 2u);
    EXPECT_EQ(info.processors[0].socket, 1);
    EXPECT_EQ(info.processors[0].core, 4);
    EXPECT_EQ(info.processors[1].cpu, 3);
    EXPECT_EQ(info.processors[1].core, -1);
    EXPECT_EQ(parse_cpuinfo("physical id : 1\nprocessor : x\ncpu MHz : inf\n").processors.size(), 0u);
    EXPECT_EQ(parse_cpuinfo("cpu MHz : inf\ncpu MHz : nan\ncpu MHz : -3\n").mhz, std::nullopt);
}

TEST(Cpuinfo, EveryProcessorIsACoreWhereNoneIsNumbered) {
    const system::System nowhere{.root = std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts/no such tree", .env = {}};
    const auto topology =
        read_topology(nowhere, parse_cpuinfo("processor : 2\nprocessor : 0\nprocessor : 2\n"), {0, 1, 2, 3});
    EXPECT_EQ(topology.online, (CpuList{0, 2}));
    EXPECT_EQ(topology.cores, (std::vector<CpuList>{{0}, {2}}));
    EXPECT_EQ(topology.sockets, 1);
}

TEST(Features, WholeWordsInAFixedOrder) {
    EXPECT_EQ(inference_features("fma avx2 avx512vbmi avx512_vbmi2 xavx"), (Words{"avx2", "fma", "avx512_vbmi"}));
    EXPECT_EQ(inference_features("half neon vfpv4"), (Words{"neon", "arm_fma"}));
    EXPECT_EQ(inference_features("sme asimd i8mm sve"), (Words{"neon", "arm_fma", "matmul_int8", "sve", "sme"}));
    EXPECT_EQ(inference_features(""), Words{});
}

TEST(UsableThreads, ReasonIsTheLimitThatBinds) {
    const auto usable = [](int online, int cores, int allowed, int allowed_cores, std::optional<double> quota) {
        const auto result = usable_threads({online, cores, allowed, allowed_cores, quota});
        return std::to_string(result.count) + " " + result.reason;
    };
    EXPECT_EQ(usable(8, 4, 8, 4, std::nullopt), "4 4 physical cores");
    EXPECT_EQ(usable(8, 4, 8, 4, 4.0), "4 4 physical cores");
    EXPECT_EQ(usable(8, 4, 8, 4, 3.99), "3 cgroup quota 3.99 CPUs");
    EXPECT_EQ(usable(8, 4, 8, 4, 0.25), "1 cgroup quota 0.25 CPUs");
    EXPECT_EQ(usable(8, 4, 2, 2, 1e18), "2 affinity to 2 of 8 CPUs");
    EXPECT_EQ(usable(1, 1, 1, 1, 7.0), "1 1 physical core");
}

// cgroups

TEST(CpuQuota, OfVersionTwo) {
    EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
    EXPECT_EQ(parse_cpu_max("9000000000000000000 1000"), 9e15);
    for (const char* none :
         {"max 100000\n", "", "150000", "150000 0", "-5 100000", "0 100000", "1 2 3", "99999999999999999999 1"})
        EXPECT_EQ(parse_cpu_max(none), std::nullopt) << none;
}

TEST(CpuQuota, OfVersionOne) {
    EXPECT_EQ(parse_cfs_quota("50000\n", "100000\n"), 0.5);
    EXPECT_EQ(parse_cfs_quota("-1\n", "100000\n"), std::nullopt);
    EXPECT_EQ(parse_cfs_quota("50000", ""), std::nullopt);
}

Words folders(const std::string& self_cgroup, const std::string& mountinfo, const std::string& controller = "cpu") {
    return cgroup_chain(self_cgroup, mountinfo, controller).folders;
}

TEST(CgroupChain, GoesFromTheOwnGroupUpToTheMount) {
    const std::string mounts = "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    EXPECT_EQ(folders("0::/a/b\n", mounts), (Words{"/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"}));
    EXPECT_EQ(folders("0::/\n", mounts), (Words{"/sys/fs/cgroup"}));
    EXPECT_TRUE(cgroup_chain("0::/\n", mounts, "memory").v2);
    EXPECT_EQ(folders("0::/a\n", ""), Words{});
    EXPECT_EQ(folders("", mounts), Words{});
    EXPECT_EQ(folders("2:cpuset:/a\n", mounts), Words{});
}

TEST(CgroupChain, LeavesOutWhatTheMountsRootAlreadyHolds) {
    const std::string mounts = "30 23 0:26 /docker/x /mnt rw - cgroup cgroup rw,cpuacct,cpu\n";
    EXPECT_EQ(folders("3:cpu,cpuacct:/docker/x/y\n", mounts), (Words{"/mnt/y", "/mnt"}));
    EXPECT_EQ(folders("3:cpu,cpuacct:/docker/x\n", mounts), (Words{"/mnt"}));
    EXPECT_EQ(folders("3:cpu,cpuacct:/docker/xy\n", mounts), Words{});  // another container's
    EXPECT_EQ(folders("3:cpu,cpuacct:/docker/z\n", mounts), Words{});
    EXPECT_EQ(folders("3:cpu,cpuacct:/docker\n", mounts), Words{});
    EXPECT_EQ(folders("3:cpuacct:/docker/x\n", mounts), Words{});
}

TEST(CgroupChain, VersionOneWinsWhereItHoldsTheController) {
    const std::string self = "0::/unified\n2:cpuset:/set\n1:cpu:/one\n";
    const std::string mounts =
        "1 0 0:1 / /v1 rw - cgroup cgroup rw,cpu\n2 0 0:2 / /v2 rw - cgroup2 x rw\n3 0 0:3 / /set rw - cgroup x "
        "rw,cpuset\n";
    EXPECT_EQ(folders(self, mounts), (Words{"/v1/one", "/v1"}));
    EXPECT_FALSE(cgroup_chain(self, mounts, "cpu").v2);
    EXPECT_EQ(folders(self, mounts, "memory"), (Words{"/v2/unified", "/v2"}));
}

TEST(CgroupChain, MountinfoEscapesBlanksAndBackslashes) {
    EXPECT_EQ(folders("0::/my pod/a\n", "1 0 0:1 /my\\040pod /sys/c\\134\\040d rw - cgroup2 x rw\n"),
              (Words{"/sys/c\\ d/a", "/sys/c\\ d"}));
    EXPECT_EQ(folders("0::/\n", "1 0 0:1 / /a\\091\\777 rw - cgroup2 x rw\n"), (Words{"/a\\091\\777"}));
}

TEST(CgroupChain, NamesOutsideTheNamespaceAreNotFollowed) {
    EXPECT_EQ(folders("0::/../other\n", "1 0 0:1 / /c rw - cgroup2 x rw\n"), Words{});
    EXPECT_EQ(folders("0::/\n", "1 0 0:1 /../.. /c rw - cgroup2 x rw\n"), (Words{"/c"}));
}

// Memory

TEST(Meminfo, FallsBackToTheSumWhereAvailableIsMissingOrImpossible) {
    const std::string rest = "MemFree: 100 kB\nBuffers: 10 kB\nCached: 200 kB\nSReclaimable: 30 kB\nShmem: 40 kB\n";
    EXPECT_EQ(parse_meminfo("MemTotal: 1000 kB\nMemAvailable: 700 kB\n" + rest).available_bytes, 700 * kKib);
    for (const char* available : {"", "MemAvailable: 0 kB\n", "MemAvailable: 1000 kB\n", "MemAvailable: x kB\n"})
        EXPECT_EQ(parse_meminfo("MemTotal: 1000 kB\n" + std::string(available) + rest).available_bytes, 300 * kKib)
            << available;
}

TEST(Meminfo, StaysWithinTheTotalWhateverTheFileSays) {
    const Memory shared = parse_meminfo("MemTotal: 10 kB\nShmem: 50 kB\nSwapTotal: 5 kB\nSwapFree: 9 kB\n");
    EXPECT_EQ(shared.available_bytes, 0);
    EXPECT_EQ(shared.used_bytes, 10 * kKib);
    EXPECT_EQ(shared.swap_free_bytes, 5 * kKib);
    EXPECT_EQ(parse_meminfo("MemTotal: 9223372036854775807 kB\nMemFree: 5 kB\n").available_bytes, 0);
    EXPECT_EQ(parse_meminfo("MemTotal: -4 kB\n").total_bytes, 0);
    EXPECT_EQ(parse_meminfo("MemTotal: 100 kB\nCached: 900 kB\n").available_bytes, 100 * kKib);
}

// GPU

TEST(PciNames, AreLookedUpWithinTheVendorOnly) {
    const std::string ids =
        "# c\n1001  One\n\t1002  Not a vendor\n\t00aa  Wrong\n1002  Two\n\t00bb  Other\n\t\t1002 00aa  Board\n# "
        "c\n\n\t00aa  Right \n1003  "
        "Three\n\t00cc  C\n";
    EXPECT_EQ(pci_name(ids, 0x1002, 0xaa), "Right");
    EXPECT_EQ(pci_name(ids, 0x1003, 0xcc), "C");
    EXPECT_EQ(pci_name(ids, 0x1002, 0xcc), std::nullopt);
    EXPECT_EQ(pci_name(ids, 0x1004, 0xcc), std::nullopt);
    EXPECT_EQ(pci_name("", 0x1002, 0xaa), std::nullopt);
}

TEST(NvidiaTexts, OfProc) {
    EXPECT_EQ(nvidia_model("Model: \t\t NVIDIA A100: 40GB\nIRQ: 1\n"), "NVIDIA A100: 40GB");
    EXPECT_EQ(nvidia_model("Model: \t\t Unknown\n"), std::nullopt);  // the driver couldn't start the card
    EXPECT_EQ(
        nvidia_driver_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  384.81  Wed Aug 17\nGCC version: 5.4"),
        "384.81");
    EXPECT_EQ(nvidia_driver_version("NVRM version: none\nGCC version: 5.4"), std::nullopt);
}

TEST(SkippedDisplays, ByVendorDeviceOrDriver) {
    EXPECT_EQ(skip_reason(0x10de, 0x2684, "nvidia"), "");
    EXPECT_EQ(skip_reason(0x10de, 0x2684, "vfio-pci"), "lent to a virtual machine");
    EXPECT_EQ(skip_reason(0x1af4, 0x1050, ""), "virtual display (virtio)");
    EXPECT_EQ(skip_reason(0x1234, 0x1111, ""), "virtual display of QEMU (bochs)");
    EXPECT_EQ(skip_reason(0x1002, 0x515e, "radeon"), "server console (ES1000)");
    EXPECT_EQ(skip_reason(0x1002, 0x744c, "amdgpu"), "");
    EXPECT_EQ(skip_reason(0x19e5, 0xd802, ""), "");  // an accelerator of the vendor of a console
}

TEST(Hex, WithAndWithoutPrefix) {
    EXPECT_EQ(parse_hex("0x10de"), 0x10deu);
    EXPECT_EQ(parse_hex("030000"), 0x30000u);
    for (const char* bad : {"", "0x", "xyz", "0x1g", "-1", "0x123456789"})
        EXPECT_EQ(parse_hex(bad), std::nullopt) << bad;
}

TEST(OsName, WithAnyQuotes) {
    EXPECT_EQ(parse_os_name("ID=a\nPRETTY_NAME=\"A b\"\n"), "A b");
    EXPECT_EQ(parse_os_name("PRETTY_NAME='A'\n"), "A");
    EXPECT_EQ(parse_os_name("PRETTY_NAME=A\n"), "A");
    EXPECT_EQ(parse_os_name("PRETTY_NAME=\"\n"), "\"");
    EXPECT_EQ(parse_os_name("NAME=A\n"), "");
}

TEST(Detect, WarnsOfWhatHoldsTheClockDown) {
    const test::TempFolder folder;
    const system::System system{.root = folder.path(), .env = {}};
    const auto codes = [&] {
        std::vector<std::string> found;
        for (const HardwareWarning& warning : detect(system, {}).warnings) found.push_back(warning.code);
        return found;
    };
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    EXPECT_TRUE(codes().empty());
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n");
    EXPECT_TRUE(codes().empty());
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n");
    folder.write("sys/class/power_supply/BAT0/type", "Battery\n");
    folder.write("sys/class/power_supply/BAT0/status", "Discharging\n");
    EXPECT_EQ(codes(), (std::vector<std::string>{"governor-powersave", "on-battery"}));
}

}  // namespace velollm::hardware::hardware_test
