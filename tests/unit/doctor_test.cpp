#include "optimize/doctor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "optimize/doctor_address.h"
#include "optimize/observe.h"
#include "support/approve.h"
#include "support/facts.h"
#include "support/host_tree.h"
#include "support/temp_folder.h"

namespace velollm::optimize::doctor_test {
namespace {

using Texts = std::vector<std::string>;

/// A server and a machine with which everything is right, and all of which can be seen.
Subject well() {
    Subject subject;
    subject.facts = good_facts();
    subject.facts.observed.model = subject.facts.model;
    subject.facts.observed.models = {{"llama3.1:8b", 4096, 6 * kTestGiB, 0}};
    subject.facts.observed.log_path = "/var/log/ollama.log";
    subject.facts.observed.log =
        "msg=\"server config\" env=\"map[]\"\n"
        "system_info: n_threads = 8 (n_threads_batch = 8) / 16 | CPU : SSE3 = 1 | AVX2 = 1 | FMA = 1 | REPACK = 1 |\n";
    subject.facts.hardware.cpu.features = {"avx2", "fma"};
    subject.facts.hardware.cpu.governor = "schedutil";
    subject.facts.hardware.memory = {.total_bytes = 64 * kTestGiB, .available_bytes = 60 * kTestGiB, .limit_bytes = {}};
    subject.sight.models = {"llama3.1:8b", "qwen3:4b"};
    subject.sight.at = {"Ollama", "ollama", ""};
    subject.sight.watched = HostReport{.span = std::chrono::seconds(1),
                                       .busy_share = 0.02,
                                       .others_share = 0.01,
                                       .steal_share = 0.0,
                                       .swapped_in_pages = 0,
                                       .engine_major_faults = 0,
                                       .throttle_events = 0,
                                       .quota_throttled = Ns{0}};
    subject.sight.heat_events = 0;
    subject.sight.swapped_bytes = 0;
    subject.sight.store = DiskRoom{"/usr/share/ollama", 100 * kTestGiB, 500 * kTestGiB};
    subject.sight.speed = KnownSpeed{"2026-01-01T00:00:00Z", 8.0, 4.7e9, 50.0};
    return subject;
}

/// "problem threads", one for each finding.
Texts codes(const Subject& subject) {
    Texts out;
    for (const Diagnosis& found : examine(subject).findings)
        out.push_back(std::string(severity_name(found.severity)) + " " + found.code);
    return out;
}

Diagnosis only(const Subject& subject) {
    const Report report = examine(subject);
    EXPECT_EQ(report.findings.size(), 1U) << report_text(report, false);
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

TEST(Doctor, NothingWrong) {
    const Report report = examine(well());
    EXPECT_TRUE(report.findings.empty()) << report_text(report, false);
    EXPECT_TRUE(report.unchecked.empty()) << report_text(report, false);
    EXPECT_EQ(report.checks, static_cast<int>(check_names().size()));
    EXPECT_EQ(report_text(report, true).substr(0, 30), "✓ Nothing wrong found; 26 ch");
    const Texts names = check_names();
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

Subject down() {
    Subject subject = well();
    subject.facts.observed.answering = false;
    subject.facts.observed.server = std::nullopt;
    subject.facts.observed.models.clear();
    subject.facts.observed.log.clear();
    subject.sight.models = std::nullopt;
    subject.sight.at = {"", "", "connection refused: nothing listens there"};
    return subject;
}

TEST(Doctor, ServerDown) {
    Subject subject = down();
    EXPECT_EQ(codes(subject), Texts{"problem server_down"});
    EXPECT_EQ(only(subject).title, "Ollama is not running");
    EXPECT_EQ(only(subject).command, "");  // it isn't installed
    EXPECT_NE(only(subject).remedy.find("https://ollama.com/download"), std::string::npos);
    subject.sight.program = "/usr/bin/ollama";
    EXPECT_EQ(only(subject).command, "ollama serve");
    subject.sight.unit_installed = true;
    EXPECT_EQ(only(subject).command, "sudo systemctl start ollama");
    EXPECT_TRUE(unchecked(subject, "cut prompts"));
    subject.facts.engine = subject.facts.observed.engine = "llama-server";
    subject.facts.version = "0.5.0";
    EXPECT_EQ(only(subject).title, "llama-server is not running");
    EXPECT_EQ(only(subject).command, "llama-server -m MODEL.gguf --port 8080");
}

TEST(Doctor, ServerAtAnotherPort) {
    Subject subject = down();
    subject.sight.elsewhere = {{"Ollama", "http://127.0.0.1:11500"}};
    EXPECT_EQ(codes(subject), Texts{"problem server_elsewhere"});
    EXPECT_EQ(only(subject).command, "velollm doctor -b ollama --url http://127.0.0.1:11500");
}

TEST(Doctor, WrongAddress) {
    Subject subject = down();
    subject.sight.at = {"llama-server", "llama-server", ""};
    EXPECT_EQ(codes(subject), Texts{"problem wrong_url"});
    EXPECT_EQ(only(subject).title, "http://localhost:11434 is not Ollama");
    EXPECT_EQ(only(subject).evidence[0], "what answers there is llama-server");
    EXPECT_EQ(only(subject).command, "velollm doctor -b llamacpp --url http://localhost:11434");
    subject.sight.at = {"a web server (status 404 at /)", "", ""};
    EXPECT_EQ(only(subject).command, "");
    subject.sight.elsewhere = {{"Ollama", "http://127.0.0.1:11500"}};
    EXPECT_EQ(only(subject).command, "velollm doctor -b ollama --url http://127.0.0.1:11500");
}

TEST(Doctor, ModelMissing) {
    Subject subject = well();
    subject.facts.model = subject.facts.observed.model = "lama3.1:8b";
    subject.facts.observed.models.clear();
    EXPECT_EQ(codes(subject), Texts{"problem model_missing"});
    EXPECT_EQ(only(subject).evidence[0], "near it are: llama3.1:8b");
    EXPECT_EQ(only(subject).command, "ollama pull lama3.1:8b");
    subject.facts.observed.url = "http://127.0.0.1:4000";
    EXPECT_EQ(only(subject).command, "OLLAMA_HOST=http://127.0.0.1:4000 ollama pull lama3.1:8b");
    subject.facts.model = "a;reboot";  // a printed command can't do more than it says
    EXPECT_NE(only(subject).command.find("pull 'a;reboot'"), std::string::npos);
    subject.sight.models = Texts{};
    EXPECT_EQ(only(subject).title, "The server has no model at all");
    subject = well();
    subject.sight.models = Texts{"Llama3.1:8B"};  // capital letters don't matter, as for Ollama
    EXPECT_EQ(codes(subject), Texts{});
    subject.facts.model = "mine";
    subject.sight.models = Texts{"mine:latest"};
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, VariableThatTheServerNeverSees) {
    Subject subject = well();
    subject.facts.shell["OLLAMA_NUM_PARALLEL"] = "4";
    EXPECT_EQ(codes(subject), Texts{"warning shell_variable"});
    EXPECT_EQ(only(subject).title, "OLLAMA_NUM_PARALLEL is set in this shell, and the server never sees it");
    EXPECT_EQ(only(subject).evidence[1], "the server (process 100) has none");
    EXPECT_NE(only(subject).remedy.find("start it from this shell"), std::string::npos);
    subject.facts.observed.unit = "ollama.service";
    subject.facts.observed.manager = "systemd unit ollama.service";
    EXPECT_EQ(only(subject).command, "sudo systemctl edit ollama.service");
    subject.facts.observed.container = true;
    EXPECT_NE(only(subject).remedy.find("-e OLLAMA_NUM_PARALLEL=4"), std::string::npos);
    subject.facts.observed.server->env["OLLAMA_NUM_PARALLEL"] = "2";
    subject.facts.settings["parallel"] = {"2", "environment", true};
    EXPECT_EQ(only(subject).evidence[1], "the server (process 100) has OLLAMA_NUM_PARALLEL=2");
    subject.facts.observed.server->env["OLLAMA_NUM_PARALLEL"] = "4";
    EXPECT_EQ(codes(subject), Texts{});
    subject.facts.observed.server->env_known = false;
    EXPECT_TRUE(unchecked(subject, "variables of this shell"));
}

TEST(Doctor, DeadAndMisspeltVariables) {
    Subject subject = well();
    subject.facts.observed.server->env["OLLAMA_FLASH_ATTN"] = "1";
    EXPECT_EQ(codes(subject), Texts{"warning dead_variable"});
    EXPECT_EQ(only(subject).title, "OLLAMA_FLASH_ATTN does nothing");
    EXPECT_NE(only(subject).remedy.find("OLLAMA_FLASH_ATTENTION"), std::string::npos);
    subject.facts.observed.server->env = {{"OLLAMA_FLASH_ATTENTION", "1"}};
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, SettingThatIsNotInForce) {
    Subject subject = well();
    subject.facts.observed.server->env["OLLAMA_CONTEXT_LENGTH"] = "8192";  // /api/ps shows 4096
    const Diagnosis found = only(subject);
    EXPECT_EQ(found.code, "not_in_force");
    EXPECT_EQ(found.evidence[0], "/api/ps: 4096");
    subject.facts.observed.server->env["OLLAMA_CONTEXT_LENGTH"] = "4096";
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, OldVersion) {
    Subject subject = well();
    subject.facts.version = subject.facts.observed.version = "0.24.0";
    subject.facts.hardware.surroundings.cgroup = "v2";
    EXPECT_EQ(codes(subject), Texts{"note old_version"});
    EXPECT_EQ(examine(subject).count(Severity::kProblem), 0);
    subject.facts.version.clear();
    EXPECT_TRUE(unchecked(subject, "version"));
}

TEST(Doctor, Threads) {
    Subject subject = well();
    subject.facts.threads = {.count = 1, .reason = "cgroup quota 1.00 CPUs", .limit = "quota", .quota_cpus = 1.0};
    const Diagnosis found = only(subject);
    EXPECT_EQ(found.code, "threads");
    EXPECT_EQ(found.severity, Severity::kProblem);
    EXPECT_EQ(found.remedy, "Start the server with LLAMA_ARG_THREADS=1.");
    EXPECT_EQ(found.command, "velollm optimize llama3.1:8b -o velollm.sh");
    EXPECT_EQ(found.evidence.back(), "its log says n_threads = 8");
    EXPECT_DOUBLE_EQ(found.gain[0].high, 45.0);
    subject.facts.observed.unit = "ollama.service";
    EXPECT_EQ(only(subject).command, "velollm optimize llama3.1:8b --format systemd -o 90-velollm.conf");
    choose(subject.facts, "threads", "1");
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, ContextThatDoesNotFit) {
    Subject subject = well();
    subject.facts.memory_bytes = 8 * kTestGiB;
    choose(subject.facts, "num_ctx", "65536");
    subject.sight.memory_limit_bytes = 8 * kTestGiB;
    const Diagnosis found = only(subject);
    EXPECT_EQ(found.code, "context_spill");
    EXPECT_EQ(found.evidence.back(), "the cgroup of the server has a limit of 8.00 GiB");
    EXPECT_EQ(found.command, "velollm optimize llama3.1:8b -o Modelfile");
    subject.facts.memory_bytes = 64 * kTestGiB;
    EXPECT_EQ(codes(subject), Texts{});
    subject.facts.shape = std::nullopt;
    EXPECT_TRUE(unchecked(subject, "context against memory"));
}

TEST(Doctor, CachesOfParallelRequests) {
    Subject subject = well();
    subject.facts.memory_bytes = 8 * kTestGiB;
    choose(subject.facts, "parallel", "8");
    choose(subject.facts, "num_ctx", "4096");
    EXPECT_EQ(codes(subject), Texts{"problem parallel_caches"});
}

TEST(Doctor, ModelTooLarge) {
    Subject subject = well();
    subject.facts.memory_bytes = 4 * kTestGiB;
    EXPECT_EQ(codes(subject), Texts{"problem model_too_large"});
    EXPECT_EQ(only(subject).command, "velollm predict llama3.1:8b --quantization Q4_0");
}

TEST(Doctor, GpuThatIsNotUsed) {
    Subject subject = well();
    Gpu gpu = test_gpu(24 * kTestGiB);
    gpu.backends = {{"cuda", std::nullopt, "libcuda.so.1 is in none of the usual folders"}};
    subject.facts.hardware.gpus = {gpu};
    subject.facts.observed.models[0].gpu_bytes = 6 * kTestGiB;
    EXPECT_EQ(codes(subject), Texts{});
    subject.facts.observed.models[0].gpu_bytes = 0;
    EXPECT_EQ(codes(subject), Texts{"problem gpu_unused"});
    subject.facts.hardware.gpus[0].integrated = true;  // Ollama leaves these out by a rule
    EXPECT_EQ(codes(subject), Texts{"note gpu_unused"});
    EXPECT_NE(only(subject).evidence[1].find("is integrated"), std::string::npos);
}

TEST(Doctor, GpuThatTheEngineDoesNotSee) {
    Subject subject = well();
    subject.facts.engine = subject.facts.observed.engine = "llama-server";
    subject.facts.version = "0.5.0";
    subject.facts.observed.models.clear();
    subject.facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    subject.facts.observed.log += "device_info:\nI cmn   - CPU : Test CPU (64000 MiB, 60000 MiB free)\n";
    EXPECT_EQ(codes(subject), Texts{"problem gpu_unseen"});
    subject.facts.observed.log += "I cmn   - CUDA0 : Test GPU (24576 MiB, 24000 MiB free)\n";
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, GpuWithoutDriverGroupOrBackend) {
    Subject subject = well();
    subject.sight.closed_devices = {{"/dev/kfd", "render", "ollama"}};
    subject.facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    subject.facts.observed.models.clear();
    EXPECT_EQ(codes(subject), Texts{"problem gpu_group"});
    EXPECT_EQ(only(subject).command, "sudo usermod -aG render ollama");
    subject.facts.observed.models = {{"llama3.1:8b", 4096, 6 * kTestGiB, 6 * kTestGiB}};
    EXPECT_EQ(codes(subject), Texts{});  // it is used all the same
    subject.sight.closed_devices.clear();
    subject.facts.hardware.gpus[0].backends = {{"cuda", false, "it needs NVIDIA's driver"}, {"vulkan", false, "none"}};
    EXPECT_EQ(codes(subject), Texts{"warning gpu_unusable"});
    subject.facts.hardware.gpus[0].backends[1].usable = std::nullopt;
    subject.facts.hardware.warnings = {
        {"gpu-driver-missing", "gpus", "No kernel driver holds it.", "Install its driver."}};
    EXPECT_EQ(codes(subject), Texts{"warning gpu_driver_missing"});
}

TEST(Doctor, PartialOffload) {
    Subject subject = well();
    subject.facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    subject.facts.observed.models[0].gpu_bytes = 3 * kTestGiB;
    EXPECT_EQ(codes(subject), Texts{"problem partial_offload"});
    EXPECT_EQ(only(subject).title, "50 % of the model is not on the GPU");
    EXPECT_EQ(only(subject).evidence[0], "/api/ps: 3.00 GiB of 6.00 GiB on a GPU");
    subject.facts.observed.models.clear();
    EXPECT_TRUE(unchecked(subject, "share on the GPU"));
    subject.facts.engine = subject.facts.observed.engine = "llama-server";
    subject.facts.version = "0.5.0";
    subject.facts.observed.log += "load_tensors: offloaded 20/33 layers to GPU\n";
    const Texts found = codes(subject);
    EXPECT_NE(std::find(found.begin(), found.end(), "problem partial_offload"), found.end());
    subject.facts.observed.log += "load_tensors: offloaded 33/33 layers to GPU\n";
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, CutPrompts) {
    Subject subject = well();
    choose(subject.facts, "num_ctx", "1024");
    subject.facts.observed.models[0].context = 1024;
    EXPECT_EQ(codes(subject), Texts{"warning context_short"});
    subject = well();
    subject.facts.observed.log += "level=WARN msg=\"truncating input prompt\" limit=2050 prompt=9000 keep=4 new=2050\n";
    EXPECT_EQ(codes(subject), Texts{"warning prompt_truncated"});
    EXPECT_EQ(only(subject).evidence[0], "the last one: 9000 tokens, cut to 2050");
    subject = well();
    subject.facts.observed.log += "slot context shift, n_keep = 4, n_left = 4091, n_discard = 2045\n";
    EXPECT_EQ(codes(subject), Texts{"warning context_shift"});
    subject = well();
    subject.facts.observed.log += "request (5000 tokens) exceeds the available context size (4096 tokens)\n";
    EXPECT_EQ(codes(subject), Texts{"warning prompt_refused"});
}

TEST(Doctor, SlotsOfALlamaServerThatAreShort) {
    Subject subject = well();
    Facts& facts = subject.facts;
    facts.engine = facts.observed.engine = "llama-server";
    facts.version = facts.observed.version = "0.5.0";
    facts.observed.models.clear();
    facts.observed.slots = 4;
    facts.observed.slot_context = 512;
    facts.observed.server->words = {"llama-server", "-c", "2048", "-np", "4"};
    facts.settings = settings_of(facts.observed, facts.model, 0);
    const Report report = examine(subject);
    const auto found = std::find_if(report.findings.begin(), report.findings.end(),
                                    [](const Diagnosis& one) { return one.code == "context_short"; });
    ASSERT_NE(found, report.findings.end());
    EXPECT_EQ(found->title, "The context of 512 is short: a chat with its answer takes 1280");
    EXPECT_EQ(found->evidence[0], "4 slots share 2048 (command line of process 100)");
    EXPECT_EQ(found->command,
              "velollm optimize llama3.1:8b -b llamacpp --url http://localhost:11434 --ctx 1280 --format "
              "llama-server");
}

TEST(Doctor, ALoadThatFailed) {
    Subject subject = well();
    subject.sight.models = {subject.facts.model};
    const std::string failed =
        "msg=\"starting llama-server\"\nmsg=\"Load failed\" model=/x error=\"llama-server process has terminated: exit "
        "status 1: llama_init_from_model: quantized V cache requires flash_attn to be enabled\"\n";
    subject.facts.observed.log += failed;
    EXPECT_EQ(codes(subject), Texts{"problem load_failed"});
    EXPECT_NE(only(subject).evidence[0].find("requires flash_attn"), std::string::npos);
    EXPECT_NE(only(subject).remedy.find("OLLAMA_FLASH_ATTENTION=1"), std::string::npos);
    subject.facts.observed.log += "msg=\"starting llama-server\"\n";
    EXPECT_EQ(codes(subject), Texts{});
}

TEST(Doctor, Reloads) {
    Subject subject = well();
    for (const char* context : {"4096", "8192", "4096", "8192"})
        subject.facts.observed.log +=
            std::string("msg=\"starting llama-server\" cmd=\"llama-server --model /m -c ") + context + " -np 1\"\n";
    EXPECT_EQ(codes(subject), Texts{"warning reloads"});
}

TEST(Doctor, BuildWithoutSimd) {
    Subject subject = well();
    subject.facts.observed.log =
        "system_info: n_threads = 8 (n_threads_batch = 8) / 16 | CPU : SSE3 = 1 | LLAMAFILE = 1 |\n";
    EXPECT_EQ(codes(subject), Texts{"problem no_simd"});
    EXPECT_DOUBLE_EQ(only(subject).gain[0].high, 7.0);
    subject.facts.observed.log = "msg=system CPU.0.SSE3=1 CPU.0.AVX2=1 CPU.0.FMA=1 compiler=cgo(gcc)\n";
    EXPECT_EQ(codes(subject), Texts{});
    subject.facts.observed.log = "msg=system CPU.0.LLAMAFILE=1 compiler=cgo(gcc)\n";
    EXPECT_EQ(codes(subject), Texts{"problem no_simd"});
    subject.facts.observed.log = "nothing on it\n";
    EXPECT_TRUE(unchecked(subject, "build for this processor"));
}

TEST(Doctor, OtherSettings) {
    Subject subject = well();
    choose(subject.facts, "num_batch", "16");
    EXPECT_EQ(codes(subject), Texts{"warning batch"});
    subject = well();
    choose(subject.facts, "keep_alive", "10s");
    EXPECT_EQ(codes(subject), Texts{"note keep_alive"});
    subject = well();
    subject.facts = good_facts("qwen3:30b-a3b");
    subject.facts.hardware.gpus = {test_gpu(16 * kTestGiB)};
    choose(subject.facts, "gpu_layers", "99");
    const Texts found = codes(subject);
    EXPECT_NE(std::find(found.begin(), found.end(), "warning experts_fixed"), found.end());
}

TEST(Doctor, FlashAttentionOfOldOllama) {
    Subject subject = well();
    subject.facts.version = subject.facts.observed.version = "0.24.0";
    subject.facts.hardware.gpus = {test_gpu(24 * kTestGiB)};
    subject.facts.observed.models[0].gpu_bytes = subject.facts.observed.models[0].total_bytes;
    EXPECT_EQ(codes(subject), (Texts{"note old_version", "note flash_attention"}));
}

TEST(Doctor, Roofline) {
    Subject subject = well();
    subject.sight.speed->decode_tps = 2.0;  // 9.4 of 50 GB/s
    EXPECT_EQ(codes(subject), Texts{"note roofline"});
    EXPECT_EQ(only(subject).title, "Decode reaches 19 % of what the memory allows");
    subject.sight.speed->decode_tps = 0.5;
    EXPECT_EQ(codes(subject), Texts{"warning roofline"});
    subject.sight.speed = std::nullopt;
    EXPECT_TRUE(unchecked(subject, "share of the roofline"));
}

}  // namespace
}  // namespace velollm::optimize::doctor_test
