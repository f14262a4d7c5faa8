#include "system/watch_thread.h"

#include <algorithm>

#include "system/system.h"

namespace velollm::system {

Periodic::Periodic(Ns period, std::function<void(TimePoint)> what)
    : what_(std::move(what)), thread_([this, period] {
          std::unique_lock lock(mutex_);
          TimePoint due = SteadyClock().now() + period;
          while (!changed_.wait_until(lock, due, [this] { return ending_; })) {
              what_(due);
              // After a long delay the missed turns are left out, not made up for.
              due = std::max(due + period, SteadyClock().now());
          }
      }) {}

Periodic::~Periodic() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

Hiccups summarize_hiccups(Ns nap, const std::vector<Hiccup>& naps) {
    constexpr std::size_t kKept = 16;
    Hiccups out{.naps = static_cast<std::int64_t>(naps.size()), .nap = nap};
    if (naps.empty()) return out;
    std::vector<Hiccup> sorted = naps;
    std::sort(sorted.begin(), sorted.end(), [](const Hiccup& a, const Hiccup& b) { return a.late > b.late; });
    // Nearest ranks from the long end: the p99 is exceeded by at most a hundredth.
    out.max = sorted.front().late;
    out.p99 = sorted[sorted.size() / 100].late;
    out.p50 = sorted[sorted.size() / 2].late;
    sorted.resize(std::min(sorted.size(), kKept));
    out.longest = std::move(sorted);
    return out;
}

HiccupWatch::HiccupWatch(Ns nap)
    : nap_(nap), begin_(SteadyClock().now()), thread_(nap, [this](TimePoint due) {
          const TimePoint now = SteadyClock().now();
          const std::lock_guard lock(mutex_);
          naps_.push_back({now - begin_, std::max(now - due, Ns{0})});
      }) {}

Hiccups HiccupWatch::report() {
    const std::lock_guard lock(mutex_);
    return summarize_hiccups(nap_, naps_);
}

}  // namespace velollm::system
