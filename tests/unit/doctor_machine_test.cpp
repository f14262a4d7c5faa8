#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "hardware/detect.h"
#include "optimize/doctor.h"
#include "optimize/doctor_address.h"
#include "support/approve.h"
#include "support/facts.h"
#include "support/host_tree.h"
#include "support/temp_folder.h"
#include "system/file_rights.h"

namespace velollm::optimize::doctor_machine_test {
namespace {

using Texts = std::vector<std::string>;

/// Seen by the embedded engine, which has no server: what is left are the machine's own faults.
Subject machine() {
    Subject subject;
    subject.facts.engine = subject.facts.observed.engine = "embedded";
    subject.facts.version = "0.5.0";
    subject.facts.model = "llama3.1:8b";
    subject.facts.threads.count = 8;
    subject.facts.hardware.cpu.governor = "schedutil";
    subject.facts.hardware.memory.total_bytes = 64 * kTestGiB;
    subject.facts.hardware.memory.swap_total_bytes = 8 * kTestGiB;
    subject.facts.hardware.memory.swap_free_bytes = 8 * kTestGiB;
    subject.sight.watched = HostReport{};
    subject.sight.watched->span = std::chrono::seconds(1);
    subject.sight.watched->busy_share = 0.02;
    subject.sight.watched->steal_share = 0.0;
    subject.sight.heat_events = 0;
    subject.sight.swapped_bytes = 0;
    subject.sight.store = DiskRoom{"/models", 100 * kTestGiB, 500 * kTestGiB};
    return subject;
}

Texts codes(const Subject& subject) {
    Texts out;
    for (const Diagnosis& found : examine(subject).findings)
        out.push_back(std::string(severity_name(found.severity)) + " " + found.code);
    return out;
}

Diagnosis first(const Subject& subject) {
    const Report report = examine(subject);
    if (!report.findings.empty()) return report.findings.front();
    Diagnosis none;
    none.evidence = {"none", "none", "none"};
    none.gain = {{}};
    return none;
}

bool unchecked(const Subject& subject, const std::string& check) {
    const Report report = examine(subject);
    return std::any_of(report.unchecked.begin(), report.unchecked.end(),
                       [&](const Unchecked& one) { return one.check == check; });
}

TEST(DoctorMachine, NothingWrong) {
    EXPECT_EQ(codes(machine()), Texts{});
}

TEST(DoctorMachine, Swap) {
    Subject subject = machine();
    subject.sight.swapped_bytes = 15 * (kTestGiB >> 10U);
    EXPECT_EQ(codes(subject), Texts{});
    subject.sight.swapped_bytes = kTestGiB;
    EXPECT_EQ(codes(subject), Texts{"problem swap"});
    EXPECT_EQ(first(subject).title, "1.00 GiB of the engine lie in swap");
    subject = machine();
    subject.facts.hardware.memory.swap_free_bytes = kTestGiB;
    EXPECT_EQ(codes(subject), Texts{"note swap_used"});
}

TEST(DoctorMachine, Paging) {
    Subject subject = machine();
    subject.sight.watched->swapped_in_pages = 1;
    EXPECT_EQ(codes(subject), Texts{"problem swapping_now"});
    subject = machine();
    subject.sight.watched->engine_major_faults = 3;
    EXPECT_EQ(codes(subject), Texts{"warning paging_weights"});
}

TEST(DoctorMachine, Load) {
    Subject subject = machine();
    subject.sight.watched->busy_share = 0.09;
    EXPECT_EQ(codes(subject), Texts{});
    subject.sight.watched->busy_share = 0.5;
    subject.sight.busiest = BusyProcess{"cc1plus", 4711, 0.98};
    EXPECT_EQ(codes(subject), Texts{"warning background_load"});
    EXPECT_EQ(first(subject).title, "Other programs use 50 % of the machine's CPU time");
    EXPECT_EQ(first(subject).evidence.back(), "most: cc1plus (process 4711), 0.98 CPUs");
    subject.sight.watched->others_share = 0.01;  // the rest was the engine
    EXPECT_EQ(codes(subject), Texts{});
    subject.sight.watched->io_pressure = 0.3;
    EXPECT_EQ(codes(subject), Texts{"warning pressure"});
    subject.sight.watched = std::nullopt;
    for (const char* check : {"other programs' load", "paging", "time taken by the host"})
        EXPECT_TRUE(unchecked(subject, check)) << check;
}

TEST(DoctorMachine, Steal) {
    Subject subject = machine();
    subject.sight.watched->steal_share = 0.05;
    EXPECT_EQ(codes(subject), Texts{"warning vm_steal"});
}

TEST(DoctorMachine, Quota) {
    Subject subject = machine();
    subject.sight.quota = QuotaStops{1000, 10};
    EXPECT_EQ(codes(subject), Texts{});
    subject.sight.quota = QuotaStops{1000, 400};
    EXPECT_EQ(codes(subject), Texts{"warning quota_stops"});
    EXPECT_EQ(first(subject).evidence[0], "stopped in 40 % of 1000 periods since its cgroup was made");
    subject.sight.quota = QuotaStops{10, 9};  // too few to tell
    EXPECT_EQ(codes(subject), Texts{});
    subject.sight.watched->quota_throttled = std::chrono::milliseconds(300);
    EXPECT_EQ(codes(subject), Texts{"warning quota_stops"});
    const auto read = parse_quota_stops("nr_periods 7\nnr_throttled 3\nthrottled_time 5\n");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->periods, 7);
    EXPECT_EQ(read->stopped, 3);
    EXPECT_FALSE(parse_quota_stops("usage_usec 5\n"));
}

TEST(DoctorMachine, Heat) {
    Subject subject = machine();
    subject.sight.heat_events = 5;
    EXPECT_EQ(codes(subject), Texts{"note heat_before"});
    subject.sight.watched->throttle_events = 2;
    EXPECT_EQ(codes(subject), Texts{"problem heat_now"});
    subject = machine();
    GpuReport gpu;
    gpu.id = "GPU-1";
    gpu.slowed_share = 0.4;
    subject.sight.watched->gpus = {gpu};
    EXPECT_EQ(codes(subject), Texts{"warning heat_gpu"});
    subject.sight.watched->gpus.clear();
    subject.sight.heat_events = std::nullopt;
    EXPECT_TRUE(unchecked(subject, "heat"));
}

TEST(DoctorMachine, Power) {
    Subject subject = machine();
    subject.facts.hardware.cpu.governor = "powersave";
    subject.sight.power.powersave = true;
    EXPECT_EQ(codes(subject), Texts{"warning powersave"});
    EXPECT_EQ(first(subject).command, "sudo cpupower frequency-set -g performance");
    subject.facts.hardware.cpu.governor.clear();
    EXPECT_TRUE(unchecked(subject, "governor"));
    subject = machine();
    subject.sight.power.on_battery = true;
    EXPECT_EQ(codes(subject), Texts{"warning battery"});
}

TEST(DoctorMachine, Disk) {
    Subject subject = machine();
    subject.sight.store->free_bytes = 3 * kTestGiB;
    EXPECT_EQ(codes(subject), Texts{"warning disk_full"});
    EXPECT_EQ(first(subject).title, "3.00 GiB are left for models");
    subject.sight.store->free_bytes = 1 << 20U;
    EXPECT_EQ(codes(subject), Texts{"problem disk_full"});
    subject.sight.store = std::nullopt;
    EXPECT_TRUE(unchecked(subject, "room for models"));
}

TEST(DoctorMachine, ServersOfOtherMachinesAreNotJudgedByThisOne) {
    Subject subject = machine();
    subject.facts.engine = subject.facts.observed.engine = "ollama";
    subject.facts.observed.answering = true;
    subject.sight.models = {"llama3.1:8b"};
    subject.sight.remote = true;
    subject.sight.power.on_battery = true;
    subject.sight.swapped_bytes = kTestGiB;
    EXPECT_EQ(codes(subject), (Texts{"note old_version"}));
    for (const char* check : {"swap", "battery", "threads", "context against memory", "heat", "room for models"})
        EXPECT_TRUE(unchecked(subject, check)) << check;
}

TEST(DoctorMachine, ApprovedTexts) {
    Subject subject = machine();
    subject.facts = good_facts();
    subject.facts.threads = {.count = 1, .reason = "cgroup quota 1.00 CPUs", .limit = "quota", .quota_cpus = 1.0};
    subject.facts.observed.models = {{"llama3.1:8b", 4096, 6 * kTestGiB, 0}};
    subject.facts.observed.server->env["OLLAMA_FLASH_ATTN"] = "1";
    subject.facts.shell["OLLAMA_KEEP_ALIVE"] = "1h";
    subject.sight.models = {"llama3.1:8b"};
    subject.sight.heat_events = 3;
    const Report report = examine(subject);
    test::approve(report_text(report, false), "doctor.txt");
    test::approve(report_json(report, 2, "2026-01-01T00:00:00Z") + "\n", "doctor.json");
    test::approve(report_text(examine(machine()), true), "doctor-well.txt");
}

TEST(DoctorMachine, WhoAnswers) {
    const auto answer = [](int status, std::string body) {
        http::HttpResponse out;
        out.status = status;
        out.body = std::move(body);
        return out;
    };
    const auto who = [](const ServerAnswers& answers) { return judge_answers(answers).who; };
    EXPECT_EQ(who({.version = answer(200, R"({"version":"0.32.15"})")}), "Ollama");
    EXPECT_EQ(who({.version = answer(404, ""), .props = answer(200, R"({"model_path":"/m.gguf"})")}), "llama-server");
    EXPECT_EQ(who({.version = answer(404, ""), .models = answer(200, R"({"data":[]})")}),
              "a server with OpenAI's interface (vLLM, LM Studio or another)");
    EXPECT_EQ(who({.version = answer(401, ""), .models = answer(401, "")}), "a server that wants a key (status 401)");
    EXPECT_EQ(who({.version = answer(200, "<html>"), .root = answer(200, "<html>")}), "a web server (status 200 at /)");
    http::HttpResponse none;
    none.end.failure = http::TransportFailure::kRefused;
    EXPECT_EQ(judge_answers({.version = none}).detail, "connection refused: nothing listens there");
    EXPECT_EQ(judge_answers({.version = none}).who, "");
    none.end.failure = http::TransportFailure::kNotHttp;
    EXPECT_EQ(who({.version = none}), "something that doesn't speak HTTP");
    none.end.failure = http::TransportFailure::kNone;
    none.timed_out = true;
    EXPECT_EQ(judge_answers({.version = none}).detail, "no answer within 0.5 s");
}

TEST(DoctorMachine, ListeningPorts) {
    const std::string text =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100\n"
        "   1: 0100007F:1F90 0100007F:0001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100\n"
        "   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100\n"
        "garbage 00 0A 0A\n";
    EXPECT_EQ(listening_ports(text), (std::vector<int>{22, 11434}));
}

TEST(DoctorMachine, RightsOfDeviceFiles) {
    using system::may_read_and_write;
    const system::FileRights group_only{0660, 0, 109};
    EXPECT_TRUE(may_read_and_write(group_only, 0, {}));  // root
    EXPECT_TRUE(may_read_and_write(group_only, 1000, {109}));
    EXPECT_FALSE(may_read_and_write(group_only, 1000, {1000}));
    EXPECT_TRUE(may_read_and_write({0666, 0, 109}, 1000, {1000}));
    EXPECT_FALSE(may_read_and_write({0640, 0, 109}, 1000, {109}));
    EXPECT_TRUE(may_read_and_write({0600, 1000, 109}, 1000, {}));
    const test::TempFolder folder;
    const auto file = folder.write("file", "");
    const auto rights = system::file_rights(file);
    ASSERT_TRUE(rights);
    EXPECT_EQ(rights->owner, system::own_user());
    EXPECT_TRUE(system::may_read_and_write(file));
    EXPECT_FALSE(system::file_rights(folder.path() / "none"));
    EXPECT_EQ(system::user_name(0), "root");
    EXPECT_EQ(system::group_name(987654321), "987654321");
}

/// Codes of what is found on a recorded machine.
std::set<std::string> found_on(const system::System& system, const std::string& host) {
    system::SteadyClock clock;
    Target target;
    target.engine = "embedded";
    const Report report = examine(look(target, false, system, clock));
    EXPECT_EQ(report.checks + static_cast<int>(report.unchecked.size()), static_cast<int>(check_names().size()))
        << host;
    std::set<std::string> codes;
    for (const Diagnosis& found : report.findings) {
        EXPECT_EQ(found.code.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << found.code;
        EXPECT_FALSE(found.title.empty() || found.remedy.empty()) << found.code << host;
        codes.insert(found.code);
    }
    return codes;
}

TEST(DoctorMachine, RecordedHostsAreWell) {
    const std::filesystem::path hosts = std::filesystem::path(VELOLLM_TESTS_DIR) / "hosts";
    std::size_t count = 0;
    for (const auto& host : std::filesystem::directory_iterator(hosts)) {
        if (host.path().extension() != ".tree") continue;
        ++count;
        const std::string name = host.path().stem().string();
        EXPECT_EQ(found_on(test::HostTree(host.path()).system(), name), std::set<std::string>{}) << name;
    }
    EXPECT_GE(count, 16U);
    EXPECT_EQ(found_on({.root = hosts / "gpu-zoo", .env = {}}, "gpu-zoo"), std::set<std::string>{"gpu_driver_missing"});
}

TEST(DoctorMachine, LooksAtFilesOfTheMachine) {
    test::TempFolder folder;
    folder.write("sys/class/power_supply/BAT0/type", "Battery\n");
    folder.write("sys/class/power_supply/BAT0/status", "Discharging\n");
    folder.write("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "12\n");
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n");
    folder.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    folder.write("home/.ollama/models/manifests/none", "");
    system::System system;
    system.root = folder.path();
    system.env = {{"HOME", "/home"}};
    system::SteadyClock clock;
    Target target;
    target.engine = "embedded";
    const Subject subject = look(target, false, system, clock);
    EXPECT_TRUE(subject.sight.power.on_battery);
    EXPECT_TRUE(subject.sight.power.powersave);
    EXPECT_EQ(subject.sight.heat_events, 12);
    ASSERT_TRUE(subject.sight.store);
    EXPECT_GT(subject.sight.store->total_bytes, 0);
    EXPECT_FALSE(subject.sight.watched);
}

}  // namespace
}  // namespace velollm::optimize::doctor_machine_test
