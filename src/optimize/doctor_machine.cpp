#include <fmt/core.h>

#include <algorithm>

#include "metrics/validity.h"
#include "optimize/doctor_checks.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20U;
constexpr std::int64_t kGiB = std::int64_t{1} << 30U;
constexpr const char* kDocs = "docs/measuring-well.md";

/// What was seen in the second of watching; nothing, and skipped, without it.
const HostReport* watched(Exam& exam) {
    if (!exam.needs_machine()) return nullptr;
    if (exam.sight().watched) return &*exam.sight().watched;
    exam.skip("it takes a second of watching, which --quick leaves out");
    return nullptr;
}

Diagnosis make(std::string code, Severity severity, std::string title) {
    Diagnosis out;
    out.code = std::move(code);
    out.severity = severity;
    out.title = std::move(title);
    out.docs = kDocs;
    return out;
}

double percent(double share) {
    return 100.0 * share;
}

}  // namespace

void check_swap(Exam& exam) {
    if (!exam.needs_machine()) return;
    const Memory& memory = exam.facts().hardware.memory;
    const std::int64_t used = memory.swap_total_bytes - memory.swap_free_bytes;
    const auto& swapped = exam.sight().swapped_bytes;
    constexpr std::int64_t kLittle = 16 * kMiB;
    if (swapped && *swapped >= kLittle) {
        Diagnosis out =
            make("swap", Severity::kProblem, fmt::format("{} of the engine lie in swap", size_words(*swapped)));
        out.evidence = {
            fmt::format("swap of the machine: {} of {} used", size_words(used), size_words(memory.swap_total_bytes)),
            "what is swapped out must come from the disk when a token needs it"};
        out.remedy = "Free memory, or take a smaller model or context; then start the server again.";
        out.gain = {{"decode", 1.0, 50.0}};
        exam.find(std::move(out));
    } else if (memory.swap_total_bytes > 0 && used > memory.swap_total_bytes / 2) {
        Diagnosis out =
            make("swap_used", Severity::kNote,
                 fmt::format("{} of {} swap are used", size_words(used), size_words(memory.swap_total_bytes)));
        out.evidence = {fmt::format("memory available: {}", size_words(memory.available_bytes))};
        out.remedy = "Memory has been short: close programs before loading a model.";
        exam.find(std::move(out));
    }
}

void check_paging(Exam& exam) {
    const HostReport* host = watched(exam);
    if (host == nullptr) return;
    if (host->swapped_in_pages.value_or(0) > 0) {
        Diagnosis out = make("swapping_now", Severity::kProblem, "The machine is swapping now");
        out.evidence = {
            fmt::format("{} pages came back from swap in {:.1f} s", *host->swapped_in_pages, to_seconds(host->span))};
        out.remedy = "Memory is too small for what runs: close programs, or take a smaller model or context.";
        out.gain = {{"decode", 1.0, 50.0}};
        exam.find(std::move(out));
    }
    if (host->engine_major_faults.value_or(0) > 0) {
        Diagnosis out = make("paging_weights", Severity::kWarning, "The engine waits for pages from the disk");
        out.evidence = {fmt::format("{} times in {:.1f} s", *host->engine_major_faults, to_seconds(host->span))};
        out.remedy = "The weights don't stay in memory: free some, or load the model without mmap.";
        out.gain = {{"decode", 1.0, 50.0}};
        exam.find(std::move(out));
    }
}

void check_load(Exam& exam) {
    const HostReport* host = watched(exam);
    if (host == nullptr) return;
    const bool apart = host->others_share.has_value();
    const auto share = apart ? host->others_share : host->busy_share;
    if (!share) return exam.skip("the kernel doesn't count the CPUs' time here");
    if (*share > metrics::kThresholds.background_cpu) {
        Diagnosis out = make("background_load", Severity::kWarning,
                             fmt::format("Other programs use {:.0f} % of the machine's CPU time", percent(*share)));
        out.evidence = {
            fmt::format("watched for {:.1f} s{}", to_seconds(host->span),
                        apart || !exam.facts().observed.answering ? "" : "; the engine's own part isn't known")};
        if (const auto& busy = exam.sight().busiest)
            out.evidence.push_back(
                fmt::format("most: {} (process {}), {:.2f} CPUs", busy->name, busy->pid, busy->cpus));
        out.remedy =
            "Close them: threads wait for the one that shares its core, so one busy neighbour can halve decode.";
        out.gain = {{"decode", 1.0, 2.0}};
        exam.find(std::move(out));
    }
    const double pressure = std::max(host->memory_pressure.value_or(0.0), host->io_pressure.value_or(0.0));
    if (pressure > metrics::kThresholds.pressure) {
        Diagnosis out = make("pressure", Severity::kWarning, "Programs wait for memory or the disk");
        out.evidence = {fmt::format("for memory {:.0f} % of the time, for the disk {:.0f} %",
                                    percent(host->memory_pressure.value_or(0.0)),
                                    percent(host->io_pressure.value_or(0.0)))};
        out.remedy = "Close what reads, writes or fills memory.";
        exam.find(std::move(out));
    }
}

void check_steal(Exam& exam) {
    const HostReport* host = watched(exam);
    if (host == nullptr) return;
    if (!host->steal_share) return exam.skip("the kernel doesn't count the CPUs' time here");
    if (*host->steal_share <= metrics::kThresholds.steal) return;
    Diagnosis out = make("vm_steal", Severity::kWarning, "The host of this virtual machine takes CPU time away");
    out.evidence = {fmt::format("{:.1f} % of it in {:.1f} s", percent(*host->steal_share), to_seconds(host->span))};
    out.remedy = "Take a machine with CPUs of its own, or another time.";
    out.gain = {{"decode", 1.0, 2.0}};
    exam.find(std::move(out));
}

void check_quota(Exam& exam) {
    if (!exam.needs_machine()) return;
    const auto& quota = exam.sight().quota;
    const auto& host = exam.sight().watched;
    constexpr std::int64_t kFew = 20;
    constexpr double kOften = 0.05;
    const double share = quota && quota->periods >= kFew
                             ? static_cast<double>(quota->stopped) / static_cast<double>(quota->periods)
                             : 0.0;
    const bool now = host && host->quota_throttled && host->span > Ns{0} &&
                     to_seconds(*host->quota_throttled) > metrics::kThresholds.quota_throttled * to_seconds(host->span);
    if (!quota && !(host && host->quota_throttled) && !exam.facts().threads.quota_cpus) return;  // there is no quota
    if (share <= kOften && !now) return;
    Diagnosis out = make("quota_stops", Severity::kWarning, "The CPU quota stops the engine again and again");
    if (share > kOften)
        out.evidence.push_back(
            fmt::format("stopped in {:.0f} % of {} periods since its cgroup was made", percent(share), quota->periods));
    if (now)
        out.evidence.push_back(fmt::format("stopped for {:.2f} s in {:.1f} s of watching",
                                           to_seconds(*host->quota_throttled), to_seconds(host->span)));
    if (exam.facts().threads.quota_cpus)
        out.evidence.push_back(fmt::format("the quota is {:.2f} CPUs", *exam.facts().threads.quota_cpus));
    const auto quota_cpus = exam.facts().threads.quota_cpus;
    const bool few = quota_cpus && threads_in_force(exam.facts()) <= std::max(1, static_cast<int>(*quota_cpus));
    out.remedy = few ? "Its threads are as few as the quota has CPUs: only a larger quota would help."
                     : "Give it no more threads than the quota has CPUs, or a larger quota.";
    out.gain = {{"decode", 1.0, 45.0}};
    exam.find(std::move(out));
}

void check_heat(Exam& exam) {
    if (!exam.needs_machine()) return;
    const auto& host = exam.sight().watched;
    const auto& since_start = exam.sight().heat_events;
    bool hot_gpu = false;
    for (const GpuReport& gpu : host ? host->gpus : std::vector<GpuReport>{}) {
        if (gpu.slowed_share.value_or(0.0) <= 0.0) continue;
        Diagnosis out = make("heat_gpu", Severity::kWarning, fmt::format("The GPU {} holds its clock down", gpu.id));
        out.evidence = {fmt::format("for heat or power, in {:.0f} % of the readings", percent(*gpu.slowed_share))};
        out.remedy = "Look at its fans, its power limit and its power cable.";
        exam.find(std::move(out));
        hot_gpu = true;
    }
    if (host && host->throttle_events.value_or(0) > 0) {
        Diagnosis out = make("heat_now", Severity::kProblem, "The CPU slows down for heat now");
        out.evidence = {fmt::format("{} times in {:.1f} s", *host->throttle_events, to_seconds(host->span))};
        out.remedy = "Let it cool, clean its fans, give it air.";
        out.gain = {{"decode", 1.0, 2.0}, {"prefill", 1.0, 3.0}};
        exam.find(std::move(out));
    } else if (since_start.value_or(0) > 0) {
        Diagnosis out = make("heat_before", Severity::kNote, "The CPU has slowed down for heat");
        out.evidence = {fmt::format("{} times since the machine was started, not now", *since_start)};
        out.remedy = "Watch it in long runs: the benchmark says when it happens.";
        out.command = fmt::format("velollm benchmark -m {}", shell_word(exam.facts().model));
        exam.find(std::move(out));
    } else if (!since_start && !hot_gpu) {
        exam.skip("this machine has no counter of it, as most virtual ones");
    }
}

void check_governor(Exam& exam) {
    if (!exam.needs_machine()) return;
    if (exam.facts().hardware.cpu.governor.empty())
        return exam.skip("the kernel shows no governor, as in most virtual machines");
    if (!exam.sight().power.powersave) return;
    Diagnosis out = make("powersave", Severity::kWarning, "The CPU governor keeps the clock low");
    out.evidence = {fmt::format("governor {}", exam.facts().hardware.cpu.governor)};
    if (exam.facts().hardware.cpu.max_mhz)
        out.evidence.push_back(fmt::format("the CPU may run at up to {:.0f} MHz", *exam.facts().hardware.cpu.max_mhz));
    out.remedy = "Choose another one.";
    out.command = "sudo cpupower frequency-set -g performance";
    out.gain = {{"decode", 1.0, 1.5}, {"prefill", 1.0, 3.0}};
    exam.find(std::move(out));
}

void check_battery(Exam& exam) {
    if (!exam.needs_machine() || !exam.sight().power.on_battery) return;
    Diagnosis out = make("battery", Severity::kWarning, "The machine runs on its battery");
    out.evidence = {"a battery is discharging, and no mains supply is online"};
    out.remedy = "Plug it in: most machines are slower without.";
    out.gain = {{"decode", 1.0, 1.5}, {"prefill", 1.0, 2.0}};
    exam.find(std::move(out));
}

void check_disk(Exam& exam) {
    if (!exam.needs_machine()) return;
    const auto& store = exam.sight().store;
    if (!store) return exam.skip("no folder of models was found");
    constexpr std::int64_t kLow = 4 * kGiB;
    constexpr std::int64_t kNothing = kGiB / 2;
    if (store->free_bytes >= kLow) return;
    Diagnosis out = make("disk_full", store->free_bytes < kNothing ? Severity::kProblem : Severity::kWarning,
                         fmt::format("{} are left for models", size_words(store->free_bytes)));
    out.evidence = {fmt::format("{} is on a file system of {}", store->path, size_words(store->total_bytes))};
    out.remedy = "Remove models that nobody uses, or keep them elsewhere (OLLAMA_MODELS).";
    if (exam.facts().engine == "ollama") out.command = "ollama list";
    out.docs = "docs/doctor.md";
    exam.find(std::move(out));
}

}  // namespace velollm::optimize
