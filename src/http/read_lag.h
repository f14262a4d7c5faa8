#pragma once

#include <velollm/backend.h>
#include <velollm/time.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace velollm::http {

/// How long bytes lie in the kernel before they are read, by the kernel's own stamps. Looks at a few reads only: at
/// most 50 a second, and half as often each time that its memory is full.
class ReadLagSampler {
public:
    /// `waiting` says how long the oldest bytes of a socket have waited; a test gives its own.
    explicit ReadLagSampler(std::function<std::optional<Ns>(int)> waiting) : waiting_(std::move(waiting)) {}

    /// Which of `ready` sockets to look at before it is read, if any. Takes turns, since the first of a wake-up waits
    /// least and the last longest.
    std::optional<std::size_t> choose(TimePoint now, std::size_t ready);
    void look(int socket);
    /// What was seen since the last call; absent when nothing was.
    std::optional<ReadLag> take();

private:
    std::function<std::optional<Ns>(int)> waiting_;
    std::vector<Ns> samples_;
    Ns period_ = kShortest;
    TimePoint next_{};
    std::size_t turn_ = 0;
    int in_vain_ = 0;  // looks without an answer before the first one

    static constexpr Ns kShortest = std::chrono::milliseconds(20);
};

}  // namespace velollm::http
