#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "load/engine.h"

namespace velollm::cli {

/// A line on the terminal that tells what goes on. It reads counters and never touches the measuring; it wakes five
/// times a second, which costs well below a thousandth of a core. Off: every call does nothing.
class Progress {
public:
    explicit Progress(bool on);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Shows `label` alone, e.g. "Loading model...".
    void show(std::string label);
    /// Shows how far the request about to be sent is. `requests`: it and those after it, for the time left.
    void measure(std::string label, std::int64_t requests);
    /// Takes the line away, until the next show() or measure(). Call before printing anything.
    void clear();

    load::LiveCounters& counters() { return counters_; }

private:
    void draw_forever();
    std::string line() const;

    bool on_;
    load::LiveCounters counters_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string label_;
    std::int64_t requests_ = 0;  // 0: nothing is being measured
    bool visible_ = false;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace velollm::cli
