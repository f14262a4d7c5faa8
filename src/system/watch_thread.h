#pragma once

#include <velollm/run.h>
#include <velollm/time.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace velollm::system {

/// Does something every `period`, on a thread of its own, from now until it is destroyed. It is told when it was due.
class Periodic {
public:
    Periodic(Ns period, std::function<void(TimePoint due)> what);
    ~Periodic();
    Periodic(const Periodic&) = delete;
    Periodic& operator=(const Periodic&) = delete;

private:
    std::function<void(TimePoint)> what_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ending_ = false;
    std::thread thread_;
};

/// Sorts out how late naps ended. `late` in the order taken, `at` beside it.
Hiccups summarize_hiccups(Ns nap, const std::vector<Hiccup>& naps);

/// A thread that naps and writes down how late it wakes, after jHiccup: what delays it delays every program here. A
/// nap costs some 20 us of CPU time, so the shorter they are, the more the watching itself disturbs.
class HiccupWatch {
public:
    explicit HiccupWatch(Ns nap);
    /// What was seen so far.
    Hiccups report();

private:
    Ns nap_;
    TimePoint begin_;
    std::mutex mutex_;
    std::vector<Hiccup> naps_;
    Periodic thread_;  // last: it uses the others
};

}  // namespace velollm::system
