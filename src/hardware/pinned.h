#pragma once

#include <velollm/time.h>

#include <functional>
#include <vector>

#include "hardware/bandwidth.h"
#include "hardware/core_kinds.h"

namespace velollm::hardware {

/// One piece of work of the thread with this number; returns its amount, in bytes or operations. Much shorter than a
/// window.
using Work = std::function<double(int thread)>;

struct Schedule {
    Ns window{};          ///< length of a repetition
    int repetitions = 8;  ///< clean ones wanted
    TimePoint until;      ///< no repetition begins later
};

/// Runs `work` in one thread on each of `cpus`, all at once, in timed repetitions. Ends when enough of them were clean,
/// or it is late. `prepare`, if any, runs first in each thread.
std::vector<Repetition> repeat_pinned(const CpuList& cpus, const Schedule& schedule, const Work& work,
                                      const std::function<void(int)>& prepare = nullptr);

}  // namespace velollm::hardware
