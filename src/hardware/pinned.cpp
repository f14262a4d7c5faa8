#include "hardware/pinned.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>

namespace velollm::hardware {
namespace {

TimePoint now() {
    return std::chrono::time_point_cast<Ns>(std::chrono::steady_clock::now());
}

Ns thread_cpu_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + Ns(time.tv_nsec);
}

/// Where it isn't allowed the thread stays where it is: the share of its CPU shows whether that was bad.
void pin_to(int cpu) {
    const std::size_t count = static_cast<std::size_t>(cpu) + 1;
    cpu_set_t* set = CPU_ALLOC(count);
    if (set == nullptr) return;
    CPU_ZERO_S(CPU_ALLOC_SIZE(count), set);
    CPU_SET_S(static_cast<std::size_t>(cpu), CPU_ALLOC_SIZE(count), set);
    ::sched_setaffinity(0, CPU_ALLOC_SIZE(count), set);
    CPU_FREE(set);
}

/// All threads leave it together. It spins, since a thread that is woken comes tens of microseconds late; who waits
/// long gives its CPU away, in case the others need it.
class Gate {
public:
    explicit Gate(int threads) : threads_(threads) {}
    void pass() {
        const int turn = turn_.load();
        if (arrived_.fetch_add(1) + 1 == threads_) {
            arrived_.store(0);
            turn_.store(turn + 1);
            return;
        }
        for (int spins = 0; turn_.load() == turn; ++spins)
            if (spins > 10'000) std::this_thread::yield();
    }

private:
    const int threads_;
    std::atomic<int> arrived_{0};
    std::atomic<int> turn_{0};
};

struct Stretch {
    TimePoint begin;
    TimePoint end;
    Ns cpu{};
    double amount = 0;
};

Stretch run_window(Ns window, const Work& work, int thread) {
    Stretch stretch;
    const Ns cpu = thread_cpu_time();
    stretch.begin = now();
    do {
        stretch.amount += work(thread);
        stretch.end = now();
    } while (stretch.end - stretch.begin < window);
    stretch.cpu = thread_cpu_time() - cpu;
    return stretch;
}

Repetition together(const std::vector<Stretch>& stretches) {
    Repetition repetition{.rate = 0, .cpu_share = 1};
    TimePoint begin = stretches.front().begin;
    TimePoint end = stretches.front().end;
    double amount = 0;
    for (const Stretch& stretch : stretches) {
        begin = std::min(begin, stretch.begin);
        end = std::max(end, stretch.end);
        amount += stretch.amount;
        const double share = to_seconds(stretch.cpu) / to_seconds(stretch.end - stretch.begin);
        repetition.cpu_share = std::min(repetition.cpu_share, share);
    }
    repetition.rate = amount / to_seconds(end - begin);
    return repetition;
}

}  // namespace

std::vector<Repetition> repeat_pinned(const CpuList& cpus, const Schedule& schedule, const Work& work,
                                      const std::function<void(int)>& prepare) {
    const int count = static_cast<int>(cpus.size());
    std::vector<Stretch> stretches(cpus.size());
    std::vector<Repetition> repetitions;
    bool more = true;
    Gate gate(count);
    const auto decide = [&] {
        if (stretches.front().end != TimePoint{}) repetitions.push_back(together(stretches));
        // At least one, however long the preparation took.
        more = repetitions.empty() || (judge(repetitions).clean < schedule.repetitions && now() < schedule.until);
    };
    const auto run = [&](int thread) {
        pin_to(cpus[static_cast<std::size_t>(thread)]);
        if (prepare) prepare(thread);
        while (true) {
            gate.pass();
            if (thread == 0) decide();
            gate.pass();
            if (!more) return;
            stretches[static_cast<std::size_t>(thread)] = run_window(schedule.window, work, thread);
        }
    };
    std::vector<std::thread> threads;
    for (int thread = 0; thread < count; ++thread) threads.emplace_back(run, thread);
    for (std::thread& thread : threads) thread.join();
    return repetitions;
}

}  // namespace velollm::hardware
