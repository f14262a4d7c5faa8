#include "hardware/bandwidth.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include "base/text.h"
#include "hardware/cpu.h"
#include "hardware/files.h"
#include "hardware/pinned.h"
#include "hardware/probe_kernels.h"

namespace velollm::hardware {
namespace {

constexpr std::int64_t kMib = std::int64_t{1} << 20U;
constexpr std::int64_t kBlock = kMib;      // one call of the read kernel: some tens of microseconds
constexpr std::int64_t kSlice = 4 * kMib;  // slices of the threads are multiples of it
constexpr double kCleanShare = 0.985;
constexpr int kFewestClean = 3;
constexpr int kFullRepetitions = 16;
constexpr int kHalfRepetitions = 6;
constexpr double kMostCvPercent = 5.0;
constexpr Ns kReadWindow = std::chrono::milliseconds(10);
constexpr Ns kComputeWindow = std::chrono::milliseconds(5);

struct Unmap {
    std::size_t bytes = 0;
    void operator()(void* memory) const { ::munmap(memory, bytes); }
};
using Buffer = std::unique_ptr<void, Unmap>;

Buffer map_buffer(std::int64_t bytes) {
    const auto size = static_cast<std::size_t>(bytes);
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Buffer(nullptr, Unmap{size});
    ::madvise(memory, size, MADV_HUGEPAGE);
    return Buffer(memory, Unmap{size});
}

/// Different in each line, so that neither a zero page nor a merged one can stand behind two of them.
void fill(char* data, std::int64_t bytes, std::uint64_t seed) {
    auto* words = reinterpret_cast<std::uint64_t*>(data);
    std::uint64_t value = seed * 0x9e3779b97f4a7c15ULL + 1;
    for (std::int64_t i = 0; i < bytes / 8; ++i) {
        value = value * 6364136223846793005ULL + 1442695040888963407ULL;
        words[i] = value;
    }
}

/// Pages behind the buffer, by what the kernel says of the whole process: nearly all of that is the buffer.
std::string pages_text(const system::System& system, std::int64_t buffer_bytes) {
    const std::string rollup = read_text(system, "/proc/self/smaps_rollup");
    for (const std::string_view line : base::split(rollup, '\n')) {
        const auto [name, value] = name_and_value(line, ':');
        if (name != "AnonHugePages") continue;
        const auto kib = base::parse_int(value.substr(0, value.find(' ')));
        if (!kib) return {};
        const double share = static_cast<double>(*kib) * 1024.0 / static_cast<double>(buffer_bytes);
        return share > 0.9 ? "2M" : share < 0.1 ? "4K" : "mixed";
    }
    return {};
}

double round_to(double value, double step) {
    return std::round(value / step) * step;
}

/// Reads of one thread go round and round in its slice.
struct Reader {
    const char* data = nullptr;
    std::int64_t bytes = 0;
    std::int64_t at = 0;
    unsigned long long seen = 0;
    char padding[64] = {};  // the readers' places change all the time: each in a line of its own
};

struct ReadRun {
    Judgement judgement;
    int repetitions = 0;
};

class BandwidthRun {
public:
    BandwidthRun(const ProbePlan& plan, const ProbeKernels& kernels, char* data, TimePoint until)
        : plan_(plan), kernels_(kernels), data_(data), until_(until) {}

    /// `part`: share of each thread's slice that is read.
    ReadRun read(int threads, int repetitions, double part, bool touch) {
        const std::int64_t slice = slice_bytes(threads);
        std::vector<Reader> readers(static_cast<std::size_t>(threads));
        for (int i = 0; i < threads; ++i) {
            Reader& reader = readers[static_cast<std::size_t>(i)];
            reader.data = data_ + i * slice;
            reader.bytes =
                std::max(kBlock, static_cast<std::int64_t>(static_cast<double>(slice) * part) / kBlock * kBlock);
        }
        const auto prepare = [&](int thread) {
            if (touch) fill(data_ + thread * slice, slice, static_cast<std::uint64_t>(thread));
        };
        const auto work = [&](int thread) {
            Reader& reader = readers[static_cast<std::size_t>(thread)];
            reader.seen ^= kernels_.read(reader.data + reader.at, static_cast<std::size_t>(kBlock));
            reader.at = reader.at + kBlock < reader.bytes ? reader.at + kBlock : 0;
            return static_cast<double>(kBlock);
        };
        const CpuList cpus(plan_.cpus.begin(), plan_.cpus.begin() + threads);
        const auto all = repeat_pinned(cpus, {kReadWindow, repetitions, until_}, work, prepare);
        unsigned long long seen = 0;
        for (const Reader& reader : readers) seen ^= reader.seen;
        asm volatile("" : : "r"(seen));
        return {judge(all), static_cast<int>(all.size())};
    }

private:
    std::int64_t slice_bytes(int threads) const { return plan_.buffer_bytes / threads / kSlice * kSlice; }

    const ProbePlan& plan_;
    const ProbeKernels& kernels_;
    char* data_;
    TimePoint until_;
};

void describe(BandwidthProbe& probe, const ReadRun& run, int threads) {
    probe.threads = threads;
    probe.repetitions = run.repetitions;
    probe.clean_repetitions = run.judgement.clean;
    probe.cv_percent = round_to(run.judgement.cv_percent, 0.1);
    probe.cpu_share_min = round_to(run.judgement.cpu_share_min, 0.001);
}

void keep(BandwidthProbe& probe, const ReadRun& run, int threads) {
    const Judgement& judged = run.judgement;
    if (judged.clean > 0) probe.steps.push_back({threads, round_to(judged.rate / 1e9, 0.01), judged.clean});
    if (threads == 1 && judged.valid) probe.read_gbps_1t = round_to(judged.rate / 1e9, 0.1);
    const bool best = judged.valid && (!probe.read_gbps || judged.rate / 1e9 > *probe.read_gbps);
    if (!best && probe.repetitions > 0) return;
    if (best) probe.read_gbps = round_to(judged.rate / 1e9, 0.1);
    describe(probe, run, threads);
}

BandwidthProbe refused(std::string reason) {
    BandwidthProbe probe;
    probe.reason = std::move(reason);
    return probe;
}

BandwidthProbe probe_bandwidth(const system::System& system, const ProbePlan& plan, const ProbeKernels& kernels,
                               TimePoint until) {
    if (!plan.refusal.empty()) return refused(plan.refusal);
    const Buffer buffer = map_buffer(plan.buffer_bytes);
    if (!buffer) return refused(fmt::format("no {} MiB of memory to read", plan.buffer_bytes / kMib));
    BandwidthProbe probe;
    probe.buffer_bytes = plan.buffer_bytes;
    BandwidthRun run(plan, kernels, static_cast<char*>(buffer.get()), until);
    const int most = plan.thread_counts.back();
    ReadRun full = run.read(most, kFullRepetitions, 1.0, true);
    probe.pages = pages_text(system, plan.buffer_bytes);
    if (!full.judgement.valid) full = run.read(most, kFullRepetitions, 1.0, false);  // a moment later it may be quiet
    ReadRun half = run.read(most, kHalfRepetitions, 0.5, false);
    if (!half.judgement.valid) half = run.read(most, kHalfRepetitions, 0.5, false);
    for (const int threads : plan.thread_counts)
        keep(probe, threads == most ? full : run.read(threads, threads == 1 ? 12 : 6, 1.0, false), threads);
    const bool suspect = half.judgement.valid && cache_suspect(full.judgement.rate, half.judgement.rate);
    if (!full.judgement.valid)
        probe.reason = full.judgement.reason;
    else if (suspect)
        probe.reason = "half of the buffer is read faster than all of it: a cache is measured as well";
    else if (!half.judgement.valid)
        probe.reason = fmt::format("whether a cache was measured could not be told: {}", half.judgement.reason);
    probe.valid = probe.reason.empty();
    if (!probe.valid) {
        probe.read_gbps.reset();
        probe.read_gbps_1t.reset();
        describe(probe, full, most);  // what was judged
    }
    return probe;
}

ComputePeak probe_compute(const ProbePlan& plan, const ProbeKernels& kernels, TimePoint until) {
    ComputePeak peak;
    peak.kernel = kernels.name;
    if (!plan.refusal.empty()) {
        peak.reason = plan.refusal;
        return peak;
    }
    constexpr long kRounds = 2000;  // some microseconds a call
    peak.threads = static_cast<int>(plan.cpus.size());
    const auto measure = [&](double (*kernel)(long), const CpuList& cpus) {
        const auto work = [kernel](int) { return kernel(kRounds); };
        return judge(repeat_pinned(cpus, {kComputeWindow, 6, until}, work));
    };
    const auto giga = [](const Judgement& judged) {
        return judged.valid ? std::optional(judged.rate / 1e9) : std::nullopt;
    };
    const CpuList one{plan.cpus.front()};
    const Judgement all = measure(kernels.fp32, plan.cpus);
    peak.valid = all.valid;
    peak.reason = all.reason;
    peak.fp32_gflops = giga(all);
    peak.fp32_gflops_1t = plan.cpus.size() == 1 ? giga(all) : giga(measure(kernels.fp32, one));
    if (kernels.int8 == nullptr) {
        if (peak.valid) peak.reason = "no instruction for 8-bit dot products that this program has a kernel for";
        return peak;
    }
    peak.int8_gops = giga(measure(kernels.int8, plan.cpus));
    peak.int8_gops_1t = plan.cpus.size() == 1 ? peak.int8_gops : giga(measure(kernels.int8, one));
    return peak;
}

}  // namespace

Judgement judge(const std::vector<Repetition>& repetitions) {
    Judgement judged;
    std::vector<double> clean;
    judged.cpu_share_min = repetitions.empty() ? 0.0 : 1.0;
    for (const Repetition& repetition : repetitions) {
        judged.cpu_share_min = std::min(judged.cpu_share_min, repetition.cpu_share);
        if (repetition.cpu_share >= kCleanShare && std::isfinite(repetition.rate)) clean.push_back(repetition.rate);
    }
    judged.clean = static_cast<int>(clean.size());
    if (!clean.empty()) {
        std::sort(clean.begin(), clean.end());
        const std::size_t middle = clean.size() / 2;
        judged.rate = clean.size() % 2 == 1 ? clean[middle] : (clean[middle - 1] + clean[middle]) / 2;
        double sum = 0;
        for (const double rate : clean) sum += rate;
        const double mean = sum / static_cast<double>(clean.size());
        double squares = 0;
        for (const double rate : clean) squares += (rate - mean) * (rate - mean);
        if (clean.size() > 1 && mean > 0)
            judged.cv_percent = 100.0 * std::sqrt(squares / static_cast<double>(clean.size() - 1)) / mean;
    }
    if (judged.clean < kFewestClean)
        judged.reason = fmt::format("other work took CPU time in {} of {} repetitions",
                                    static_cast<int>(repetitions.size()) - judged.clean, repetitions.size());
    else if (judged.cv_percent > kMostCvPercent)
        judged.reason = fmt::format("repetitions differ by {:.1f} % (at most {:.0f} % is trusted)", judged.cv_percent,
                                    kMostCvPercent);
    judged.valid = judged.reason.empty();
    return judged;
}

bool cache_suspect(double full_rate, double half_rate) {
    return half_rate > 1.05 * full_rate;
}

ProbePlan plan_probe(const Hardware& hardware, const CpuTopology& topology, const CpuList& allowed) {
    ProbePlan plan;
    const int usable = hardware.cpu.usable.count;
    const CpuList fast =
        hardware.cpu.kinds.size() > 1 ? parse_cpu_list(hardware.cpu.kinds.front().cpus) : topology.online;
    const auto may = [&](int cpu) {
        return allowed.empty() || std::binary_search(allowed.begin(), allowed.end(), cpu);
    };
    for (const bool only_fast : {true, false}) {
        for (const CpuList& core : topology.cores) {
            const auto free_cpu = std::find_if(core.begin(), core.end(), may);
            if (free_cpu == core.end() || static_cast<int>(plan.cpus.size()) == usable) continue;
            if (std::binary_search(fast.begin(), fast.end(), *free_cpu) == only_fast) plan.cpus.push_back(*free_cpu);
        }
    }
    std::int64_t l3_bytes = 0;
    for (const Cache& cache : hardware.cpu.caches)
        if (cache.level == 3) l3_bytes += cache.size_bytes * cache.instances;
    const auto threads = static_cast<std::int64_t>(plan.cpus.size());
    const std::int64_t most = std::min(2048 * kMib, hardware.memory.available_bytes / 4);
    if (threads == 0) {
        plan.refusal = "no CPU that this process may use was found";
        return plan;
    }
    plan.buffer_bytes = std::min(std::max(8 * std::min(l3_bytes, 2048 * kMib), 256 * kMib * threads), most);
    plan.buffer_bytes = plan.buffer_bytes / (kSlice * threads) * (kSlice * threads);
    if (plan.buffer_bytes < 128 * kMib) {
        plan.refusal =
            fmt::format("only {} MiB of memory is available: a quarter of it is too little to read past caches",
                        hardware.memory.available_bytes / kMib);
        plan.cpus.clear();
        plan.buffer_bytes = 0;
        return plan;
    }
    for (int count = 1; count < static_cast<int>(threads); count *= 2) plan.thread_counts.push_back(count);
    plan.thread_counts.push_back(static_cast<int>(threads));
    return plan;
}

Probes run_probes(const system::System& system, const KernelAnswers& kernel, const Hardware& hardware) {
    system::SteadyClock clock;
    const CpuTopology topology =
        read_topology(system, parse_cpuinfo(read_text(system, "/proc/cpuinfo")), kernel.allowed_cpus);
    const ProbePlan plan = plan_probe(hardware, topology, kernel.allowed_cpus);
    const ProbeKernels kernels = best_kernels();
    Probes probes;
    probes.bandwidth = probe_bandwidth(system, plan, kernels, clock.now() + std::chrono::milliseconds(1800));
    probes.peak = probe_compute(plan, kernels, clock.now() + std::chrono::milliseconds(400));
    return probes;
}

}  // namespace velollm::hardware
