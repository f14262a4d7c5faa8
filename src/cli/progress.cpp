#include "cli/progress.h"

#include <fmt/core.h>

#include <cstdio>

namespace velollm::cli {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(200);
constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

Progress::Progress(bool on) : on_(on) {
    if (on_) thread_ = std::thread([this] { draw_forever(); });
}

Progress::~Progress() {
    clear();
    if (!on_) return;
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Progress::show(std::string label) {
    measure(std::move(label), 0);
}

void Progress::measure(std::string label, std::int64_t requests) {
    if (!on_) return;
    {
        const std::lock_guard lock(mutex_);
        counters_.events_in_request = 0;
        label_ = std::move(label);
        requests_ = requests;
        visible_ = true;
    }
    changed_.notify_one();
}

void Progress::clear() {
    if (!on_) return;
    const std::lock_guard lock(mutex_);
    if (visible_) {
        std::fputs(kClearLine, stderr);
        std::fflush(stderr);
    }
    visible_ = false;
}

std::string Progress::line() const {
    const std::int64_t events = counters_.events_in_request;
    const std::int64_t wanted = counters_.tokens_wanted;
    const double seconds = static_cast<double>(counters_.since_first_token_ns) / 1e9;
    if (requests_ == 0) return label_;
    if (events < 2 || seconds <= 0.0) return fmt::format("{} waiting for the first token", label_);
    const double speed = static_cast<double>(events - 1) / seconds;
    const auto tokens_left = static_cast<double>(requests_ * wanted - events);
    return fmt::format("{} {}/{} tokens, {:.1f} tok/s, ETA {:.0f}s", label_, events, wanted, speed,
                       std::max(tokens_left, 0.0) / speed);
}

void Progress::draw_forever() {
    std::unique_lock lock(mutex_);
    while (!ending_) {
        if (visible_) {
            const std::string text = kClearLine + line();
            std::fputs(text.c_str(), stderr);
            std::fflush(stderr);
        }
        changed_.wait_for(lock, kPeriod);
    }
}

}  // namespace velollm::cli
