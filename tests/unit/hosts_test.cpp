#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/hardware_json.h"
#include "report/machine_json.h"
#include "support/approve.h"
#include "support/host_tree.h"

namespace velollm::test::hosts_test {

std::vector<std::filesystem::path> trees() {
    std::vector<std::filesystem::path> found;
    for (const auto& host : std::filesystem::directory_iterator(std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts"))
        if (host.path().extension() == ".tree") found.push_back(host.path());
    std::sort(found.begin(), found.end());
    return found;
}

Hardware host(const std::string& name) {
    return HostTree(std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts" / (name + ".tree")).detect();
}

void expect_coherent(const Hardware& machine, const std::string& name) {
    const Cpu& cpu = machine.cpu;
    EXPECT_LE(cpu.physical_cores, cpu.logical_cpus) << name;
    EXPECT_LE(cpu.usable.count, cpu.physical_cores) << name;
    EXPECT_LE(machine.memory.available_bytes, machine.memory.total_bytes) << name;
    int cores = 0;
    int threads = 0;
    for (const CoreKind& kind : cpu.kinds) {
        cores += kind.cores;
        threads += kind.threads;
    }
    EXPECT_EQ(cores, cpu.physical_cores) << name;
    EXPECT_EQ(threads, cpu.logical_cpus) << name;
    EXPECT_EQ(cpu.kinds.size() > 1, !cpu.kinds_evidence.empty()) << name;
}

TEST(Hosts, EachHasAnApprovedDocumentThatHoldsTogether) {
    ASSERT_GE(trees().size(), 16u);
    for (const auto& tree : trees()) {
        const Hardware machine = HostTree(tree).detect();
        expect_coherent(machine, tree.stem().string());
        approve(report::hardware_json(machine, 2) + "\n", "hosts/" + tree.stem().string() + ".json");
    }
}

std::string kinds(const Cpu& cpu) {
    std::string text;
    for (const CoreKind& kind : cpu.kinds)
        text +=
            kind.kind + " " + std::to_string(kind.cores) + "/" + std::to_string(kind.threads) + " " + kind.name + "; ";
    return text + cpu.kinds_evidence;
}

TEST(Hosts, HybridLaptopOfIntel) {
    const Cpu cpu = host("laptop-hybrid-intel").cpu;
    EXPECT_EQ(cpu.vendor, "GenuineIntel");
    EXPECT_EQ(kinds(cpu), "performance 6/12 ; efficiency 8/8 ; clock+threads");
    EXPECT_EQ(cpu.usable.count, 6);
    EXPECT_EQ(cpu.smt, true);
}

TEST(Hosts, BigLittleWithFiveCapacitiesHasTwoKinds) {
    const Cpu cpu = host("arm-biglittle-gb10").cpu;
    EXPECT_EQ(kinds(cpu), "performance 10/10 Cortex-X925; efficiency 10/10 Cortex-A725; midr+capacity+clock");
    EXPECT_EQ(cpu.usable.count, 10);
    EXPECT_EQ(cpu.vendor, "ARM");
}

TEST(Hosts, ServersOfEqualCores) {
    const Cpu kunpeng = host("arm-server-kunpeng").cpu;
    EXPECT_EQ(kunpeng.model, "HiSilicon TaiShan-v110");
    EXPECT_EQ(kunpeng.sockets, 2);
    EXPECT_EQ(kunpeng.numa.size(), 4u);
    EXPECT_EQ(kunpeng.usable.count, 128);
    const Cpu offline = host("server-numa-offline").cpu;
    EXPECT_EQ(offline.sockets, 2);
    EXPECT_EQ(offline.logical_cpus, 17);
    EXPECT_EQ(offline.kinds_evidence, "");
    const Cpu opteron = host("server-opteron-8nodes").cpu;
    EXPECT_EQ(opteron.numa.size(), 8u);
    EXPECT_EQ(opteron.sockets, 4);
}

TEST(Hosts, LimitsOfContainers) {
    const Hardware quota = host("container-v2-quota");
    EXPECT_EQ(
        report::conclusion(quota),
        "You may use 4 of 32 threads: the container's CPU quota (4.00 CPUs). A model may take 7.0 GiB of 62.7 GiB "
        "memory: the container's limit.");
    EXPECT_EQ(quota.surroundings.container, "docker");
    const Hardware set = host("container-cpuset");
    EXPECT_EQ(set.cpu.usable.reason, "cgroup cpuset of 6 of 32 CPUs, 4 physical cores");
    EXPECT_EQ(set.surroundings.container, "podman");
    const Hardware one = host("container-v1-lxc");
    EXPECT_EQ(one.cpu.usable.reason, "cgroup quota 2.50 CPUs");
    EXPECT_EQ(one.surroundings.container, "lxc");
    EXPECT_EQ(one.surroundings.cgroup, "v1");
}

TEST(Hosts, MachinesInMachines) {
    const Hardware vm = host("vm-epyc-kvm");
    EXPECT_EQ(vm.surroundings.virtualization, "kvm");
    EXPECT_TRUE(vm.cpu.caches.empty());
    const Hardware wsl = host("wsl2");
    EXPECT_TRUE(wsl.surroundings.wsl);
    EXPECT_EQ(wsl.surroundings.container, "");
}

TEST(Hosts, BandwidthInTheory) {
    EXPECT_EQ(host("ryzen-apu-carveout").memory.theoretical_gbps, 256.0);
    const Memory two = host("desktop-ryzen-nvidia").memory;
    EXPECT_EQ(two.channels, 2);
    EXPECT_EQ(two.theoretical_gbps, 96.0);  // two channels of 8 bytes at 6000 MT/s
}

TEST(Hosts, OtherMachinesCores) {
    const Cpu pi = host("raspberry-pi-5").cpu;
    EXPECT_EQ(pi.model, "Raspberry Pi 5 Model B Rev 1.0");
    EXPECT_EQ(pi.kinds.front().name, "Cortex-A76");
    const Cpu lake = host("desktop-arrow-lake-arc").cpu;
    EXPECT_EQ(kinds(lake), "performance 8/8 ; efficiency 12/12 ; pmu");
    EXPECT_EQ(lake.usable.count, 8);
    const Cpu nps4 = host("server-epyc-nps4-a100").cpu;
    EXPECT_EQ(nps4.usable.count, 128);
    EXPECT_EQ(nps4.numa.size(), 8u);
    EXPECT_EQ(nps4.smt, true);
    EXPECT_EQ(host("server-instinct-mi300a").cpu.sockets, 4);
}

}  // namespace velollm::test::hosts_test
