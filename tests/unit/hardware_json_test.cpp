#include "report/hardware_json.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "hardware/detect.h"
#include "system/system.h"

namespace velollm::report::hardware_json_test {

constexpr std::int64_t kMib = std::int64_t{1} << 20U;
constexpr std::int64_t kGib = std::int64_t{1} << 30U;

Hardware example() {
    Hardware hardware;
    hardware.cpu = {.model = "Some \"CPU\"",
                    .arch = "x86_64",
                    .sockets = 1,
                    .physical_cores = 8,
                    .logical_cpus = 16,
                    .features = {"avx2", "fma"},
                    .max_mhz = 4899.6,
                    .cpuinfo_mhz = 3000.0,
                    .governor = "powersave",
                    .usable = {.count = 3,
                               .reason = "cgroup quota 3.50 CPUs",
                               .limit = "quota",
                               .online_cpus = 16,
                               .physical_cores = 8,
                               .affinity_cpus = 16,
                               .quota_cpus = 3.5}};
    hardware.memory = {.total_bytes = 31 * kGib + kMib,
                       .used_bytes = 7 * kGib,
                       .available_bytes = 5 * kGib + kMib - 1,
                       .limit_bytes = 6 * kGib,
                       .swap_total_bytes = 2 * kGib,
                       .swap_free_bytes = kGib};
    Gpu card;
    card.vendor = "Amd";
    card.name = "Navi 31";
    card.pci_address = "0000:03:00.0";
    card.driver = "amdgpu";
    card.driver_version = "6.1.0";
    card.vram_bytes = 24561 * kMib - 1;
    card.vram_used_bytes = 560 * kMib;
    Gpu own;
    own.vendor = "Intel";
    own.name = "PCI 8086:4680";
    own.pci_address = "0000:00:02.0";
    own.integrated = true;
    hardware.gpus = {card, own};
    hardware.os = {.name = "Debian GNU/Linux 12 (bookworm)", .kernel = "6.1.0", .family = "linux"};
    return hardware;
}

/// The rest of a GPU of which files and libraries told no more.
const std::string kNothingElse =
    R"("arch":null,"compute_capability":null,)"
    R"("pcie":{"generation":null,"lanes":null,"max_generation":null,"max_lanes":null},)"
    R"("clocks":{"core_mhz":null,"max_core_mhz":null,"memory_mhz":null,"max_memory_mhz":null},"memory_bus_bits":null,)"
    R"("memory_type":null,"bandwidth":{"theoretical_gbps":null,"basis":null},)"
    R"("power_limit_w":null,"ecc":null,"mig":null,"partitions":[],"backends":[])";

TEST(HardwareJson, OriginalKeysFirstAndInTheirOrder) {
    const std::string json = hardware_json(example(), 0);
    auto follows = [&json, at = std::size_t{0}](const std::string& text) mutable {
        const std::size_t found = json.find(text, at);
        EXPECT_NE(found, std::string::npos) << text << "\nin " << json.substr(at);
        if (found != std::string::npos) at = found + text.size();
    };
    follows(R"({"gpu":{"name":"Navi 31","vendor":"Amd","vram_total_mb":24560,"vram_free_mb":24000,)");
    follows(R"("driver_version":"6.1.0","compute_capability":null)");
    follows(R"("cpu":{"model":"Some \"CPU\"","cores":8,"threads":16,"frequency_mhz":4900,)");
    follows(R"("arch":"x86_64","sockets":1,)");
    follows(R"("features":["avx2","fma"],"governor":"powersave",)");
    follows(R"("usable":{"threads":3,"limited_by":"cgroup quota 3.50 CPUs",)");
    follows(R"("affinity":16,"quota":3.5})");
    follows(R"("memory":{"total_mb":31745,"available_mb":5120,"used_mb":7168,"limit_mb":6144,"swap_total_mb":2048,)");
    follows(R"("swap_free_mb":1024)");
    follows(R"("os":"linux","platform":"linux-x86_64","schema_version":1,"gpus":[)");
    follows(R"({"index":0,"id":"pci:0000:03:00.0","name":"Navi 31","vendor":"Amd","kind":"discrete",)"
            R"("driver":{"name":"amdgpu","version":"6.1.0","cuda":null},)"
            R"("memory":{"dedicated_total_mb":24560,"dedicated_used_mb":560,"model":null,"shared_total_mb":null,)"
            R"("shared_used_mb":null,"usable_mb":null,"usable_rule":null,"source":null,"used_source":null},)" +
            kNothingElse + "}");
    follows(R"({"index":1,"id":"pci:0000:00:02.0","name":"PCI 8086:4680","vendor":"Intel","kind":"integrated",)"
            R"("driver":{"name":null,"version":null,"cuda":null},"memory":{"dedicated_total_mb":null,)"
            R"("dedicated_used_mb":null,"model":null,"shared_total_mb":null,"shared_used_mb":null,"usable_mb":null,)"
            R"("usable_rule":null,"source":null,"used_source":null},)" +
            kNothingElse + "}");
    follows(R"j("environment":{"kernel":"6.1.0","distro":"Debian GNU/Linux 12 (bookworm)",)j");
    follows(R"("warnings":[],"sources":{})");
}

TEST(HardwareJson, WhatWasAddedOnProcessorAndMemory) {
    Hardware hardware = example();
    hardware.cpu.vendor = "GenuineIntel";
    hardware.cpu.smt = true;
    hardware.cpu.kinds = {{.kind = "performance", .cores = 8, .threads = 16, .cpus = "0-15", .max_mhz = 4899.6}};
    hardware.cpu.caches = {{3, "unified", 16 * kMib, 2, 8}};
    hardware.cpu.numa = {{0, "0-15", 32 * kGib}};
    hardware.cpu.recommended = {.decode = 3, .prefill = 3, .reason = "r"};
    hardware.memory.page_bytes = 4096;
    hardware.memory.thp = "madvise";
    hardware.memory.modules = {{.size_bytes = 16 * kGib, .type = "DDR5", .configured_mts = 5600, .bank = "CHANNEL A"}};
    hardware.surroundings = {.container = "docker", .container_evidence = {"/.dockerenv"}, .cgroup = "v2"};
    hardware.sources = {{"cpu.model", "/proc/cpuinfo"}};
    const auto json = nlohmann::json::parse(hardware_json(hardware, 0));
    EXPECT_EQ(json["cpu"]["vendor"], "GenuineIntel");
    EXPECT_EQ(json["cpu"]["smt"], true);
    EXPECT_EQ(json["cpu"]["kinds"].dump(),
              R"([{"cores":8,"cpus":"0-15","kind":"performance","max_mhz":4900,"name":null,"threads":16}])");
    EXPECT_EQ(json["cpu"]["caches"].dump(),
              R"([{"instances":2,"level":3,"shared_by":8,"size_kb":16384,"type":"unified"}])");
    EXPECT_EQ(json["cpu"]["numa_nodes"], 1);
    EXPECT_EQ(json["cpu"]["recommended_threads"]["decode"], 3);
    EXPECT_EQ(json["cpu"]["peak"], nullptr);
    EXPECT_EQ(json["memory"]["thp"], "madvise");
    EXPECT_EQ(json["memory"]["page_size_kb"], 4);
    EXPECT_EQ(json["memory"]["modules"][0]["configured_mts"], 5600);
    EXPECT_EQ(json["memory"]["bandwidth"]["measured"], nullptr);
    EXPECT_EQ(json["environment"]["container"]["evidence"][0], "/.dockerenv");
    EXPECT_EQ(json["environment"]["virtualization"]["type"], nullptr);
    EXPECT_EQ(json["sources"]["cpu.model"], "/proc/cpuinfo");
}

TEST(HardwareJson, ProbesAreWrittenOnlyWhereTheyWereAskedFor) {
    Hardware hardware = example();
    hardware.memory.bandwidth = BandwidthProbe{.reason = "too few clean repetitions"};
    hardware.cpu.peak = ComputePeak{.threads = 4, .valid = true, .kernel = "avx2", .fp32_gflops = 400.4};
    const auto json = nlohmann::json::parse(hardware_json(hardware, 0));
    EXPECT_EQ(json["memory"]["bandwidth"]["measured"]["valid"], false);
    EXPECT_EQ(json["memory"]["bandwidth"]["measured"]["read_gbps"], nullptr);
    EXPECT_EQ(json["memory"]["bandwidth"]["measured"]["reason"], "too few clean repetitions");
    EXPECT_EQ(json["cpu"]["peak"]["fp32_gflops"], 400);
    EXPECT_EQ(json["cpu"]["peak"]["int8_gops"], nullptr);
}

TEST(HardwareJson, UnknownIsNullExceptWhereTheOriginalWroteZero) {
    Hardware hardware;
    hardware.gpus.emplace_back();
    const auto json = nlohmann::json::parse(hardware_json(hardware, 2));
    EXPECT_EQ(json["gpu"]["vram_total_mb"], 0);
    EXPECT_EQ(json["gpu"]["vram_free_mb"], 0);
    EXPECT_EQ(json["gpu"]["driver_version"], nullptr);
    EXPECT_EQ(json["gpus"][0]["memory"]["dedicated_total_mb"], nullptr);
    EXPECT_EQ(json["gpus"][0]["kind"], nullptr);
    EXPECT_EQ(json["cpu"]["frequency_mhz"], nullptr);
    EXPECT_EQ(json["cpu"]["governor"], nullptr);
    EXPECT_EQ(json["cpu"]["usable"]["quota"], nullptr);
    EXPECT_EQ(json["memory"]["limit_mb"], nullptr);
    EXPECT_EQ(json["environment"]["distro"], nullptr);
    EXPECT_EQ(nlohmann::json::parse(hardware_json(Hardware{}, 0))["gpu"], nullptr);
}

TEST(HardwareJson, ClockOfCpuinfoStandsInForAMissingMaximum) {
    Hardware hardware;
    hardware.cpu.cpuinfo_mhz = 2596.132;
    EXPECT_EQ(nlohmann::json::parse(hardware_json(hardware, 0))["cpu"]["frequency_mhz"], 2596);
}

TEST(HardwareJson, FreeMemoryOfAGpuIsNeverNegative) {
    Hardware hardware = example();
    hardware.gpus[0].vram_used_bytes = 30000 * kMib;
    EXPECT_EQ(nlohmann::json::parse(hardware_json(hardware, 0))["gpu"]["vram_free_mb"], 0);
}

TEST(HardwareJson, EmbedsAsAValue) {
    base::JsonWriter json;
    json.begin_object().key("hardware");
    write_hardware(json, Hardware{});
    json.field("after", 1).end_object();
    EXPECT_EQ(nlohmann::json::parse(json.text())["after"], 1);
}

class HardwareSchema : public ::testing::Test {
protected:
    HardwareSchema() {
        const auto path = std::filesystem::path(VELOLLM_TESTS_DIR) / "../schema/velollm-hardware-1.schema.json";
        const auto document = nlohmann::json::parse(system::read_file(path).value_or(""));
        const valijson::adapters::NlohmannJsonAdapter adapter(document);
        valijson::SchemaParser(valijson::SchemaParser::kDraft7).populateSchema(adapter, schema_);
    }
    bool valid(const nlohmann::json& document) {
        const valijson::adapters::NlohmannJsonAdapter adapter(document);
        return valijson::Validator().validate(schema_, adapter, nullptr);
    }

private:
    valijson::Schema schema_;
};

TEST_F(HardwareSchema, EveryRecordedMachineIsValid) {
    int machines = 0;
    for (const auto& host : std::filesystem::directory_iterator(std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts")) {
        if (!host.is_directory()) continue;
        system::System system;
        system.root = host.path();
        const auto machine =
            hardware::detect(system, {.allowed_cpus = {0, 1}, .arch = "x86_64", .release = "6.1.0-18-amd64"});
        EXPECT_TRUE(valid(nlohmann::json::parse(hardware_json(machine, 2)))) << host.path();
        ++machines;
    }
    EXPECT_EQ(machines, 15);
    EXPECT_TRUE(valid(nlohmann::json::parse(hardware_json(Hardware{}, 2))));
}

TEST_F(HardwareSchema, AcceptsAnOriginalDocument) {
    EXPECT_TRUE(valid(nlohmann::json::parse(
        R"({"gpu":{"name":"NVIDIA GeForce RTX 4090","vendor":"Nvidia","vram_total_mb":24564,"vram_free_mb":23000,)"
        R"("driver_version":"535.129.03","compute_capability":"8.9"},)"
        R"("cpu":{"model":"AMD Ryzen 9 7950X","cores":16,"threads":32,"frequency_mhz":4500},)"
        R"("memory":{"total_mb":65536,"available_mb":50000,"used_mb":15536},"os":"linux","platform":"linux-x86_64"})")));
}

TEST_F(HardwareSchema, RefusesWrongTypesAndMissingKeys) {
    const auto good = nlohmann::json::parse(hardware_json(example(), 0));
    ASSERT_TRUE(valid(good));
    const auto broken = [&](const char* pointer, const nlohmann::json& value) {
        auto document = good;
        document[nlohmann::json::json_pointer(pointer)] = value;
        return document;
    };
    EXPECT_FALSE(valid(broken("/cpu/cores", 0)));
    EXPECT_FALSE(valid(broken("/cpu/frequency_mhz", 4899.6)));
    EXPECT_FALSE(valid(broken("/cpu/usable/quota", 0)));
    EXPECT_FALSE(valid(broken("/gpu/vendor", "nvidia")));
    EXPECT_FALSE(valid(broken("/gpu/vram_total_mb", nullptr)));
    EXPECT_FALSE(valid(broken("/gpus/0/kind", "virtual")));
    EXPECT_FALSE(valid(broken("/memory/total_mb", -1)));
    EXPECT_FALSE(valid(broken("/platform", "x86_64")));
    for (const char* key : {"gpu", "cpu", "memory", "os", "platform"}) {
        auto document = good;
        document.erase(key);
        EXPECT_FALSE(valid(document)) << key;
    }
}

TEST(HardwareText, IsAFewLinesOfLabelAndValue) {
    EXPECT_EQ(
        hardware_text(example()),
        "CPU             Some \"CPU\", x86_64, up to 4900 MHz, governor powersave\n"
        "Cores           8 cores, 16 threads\n"
        "Usable threads  3 (cgroup quota 3.50 CPUs)\n"
        "Memory          31.0 GiB, 5.0 GiB available, cgroup limit 6.0 GiB, swap 2.0 GiB\n"
        "GPU             Navi 31, 24.0 GiB (23.4 GiB free), driver amdgpu 6.1.0\n"
        "GPU             PCI 8086:4680, integrated, memory unknown, no driver\n"
        "OS              Debian GNU/Linux 12 (bookworm), kernel 6.1.0\n"
        "\n"
        "You may use 3 of 16 threads: the control group's CPU quota (3.50 CPUs). A model may take 5.0 GiB of 31.0 "
        "GiB memory: the control group's limit.\n");
}

TEST(HardwareText, SaysWhatIsUnknownAndWhatWasLeftOut) {
    Hardware hardware;
    hardware.cpu.model = "Unknown CPU";
    hardware.cpu.sockets = 2;
    hardware.cpu.usable.reason = "1 physical core";
    hardware.skipped_displays = {"PCI 1a03:2000 at 0000:02:00.0: server console (ast)"};
    EXPECT_EQ(hardware_text(hardware),
              "CPU             Unknown CPU\n"
              "Cores           1 core, 1 thread, 2 sockets\n"
              "Usable threads  1 (1 physical core)\n"
              "Memory          unknown: /proc/meminfo could not be read\n"
              "GPU             none found\n"
              "Not a GPU       PCI 1a03:2000 at 0000:02:00.0: server console (ast)\n"
              "OS              linux, kernel unknown\n"
              "\n"
              "You may use the one thread that there is.\n");
}

TEST(HardwareKey, HasSortedKeysAndCountsEqualCards) {
    Hardware hardware = example();
    hardware.gpus.push_back(hardware.gpus[0]);
    hardware.gpus[2].pci_address = "0000:04:00.0";
    EXPECT_EQ(
        hardware_key_text(hardware),
        R"({"arch":"x86_64","cpu":{"cores":8,"model":"Some \"CPU\""},)"
        R"("gpus":[{"count":2,"name":"Navi 31","vram_gib":24},{"count":1,"name":"PCI 8086:4680","vram_gib":null}],)"
        R"("os":"linux","ram_gib":32,"unified":true})");
}

TEST(HardwareKey, LeavesOutWhatChangesOnOneMachine) {
    const std::string before = hardware_key_text(example());
    Hardware hardware = example();
    hardware.cpu.governor = "performance";
    hardware.cpu.max_mhz = 4000;
    hardware.cpu.usable = {};
    hardware.memory.available_bytes = kGib;
    hardware.memory.limit_bytes.reset();
    hardware.memory.total_bytes -= 300 * kMib;
    hardware.gpus[0].driver_version = "6.8.0";
    hardware.gpus[0].vram_used_bytes = 0;
    hardware.os.kernel = "6.8.0";
    std::swap(hardware.gpus[0], hardware.gpus[1]);
    EXPECT_EQ(hardware_key_text(hardware), before);
    hardware.cpu.physical_cores = 6;
    EXPECT_NE(hardware_key_text(hardware), before);
}

TEST(HardwareKey, MemoryIsRoundedUpToASizeThatIsSold) {
    const auto tier = [](std::int64_t bytes) {
        Hardware hardware;
        hardware.memory.total_bytes = bytes;
        return nlohmann::json::parse(hardware_key_text(hardware))["ram_gib"];
    };
    EXPECT_EQ(tier(0), nullptr);
    EXPECT_EQ(tier(1), 1);
    EXPECT_EQ(tier(2 * kGib + 1), 3);
    EXPECT_EQ(tier(8 * kGib), 8);
    EXPECT_EQ(tier(8 * kGib + 1), 12);
    EXPECT_EQ(tier(24684096 * std::int64_t{1024}), 24);
    EXPECT_EQ(tier(97 * kGib), 128);
    EXPECT_EQ(tier(129 * kGib), 192);
    EXPECT_EQ(tier(INT64_MAX), std::int64_t{1} << 32U);
}

}  // namespace velollm::report::hardware_json_test
