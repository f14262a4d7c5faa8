#include "http/read_lag.h"

#include <algorithm>
#include <utility>

namespace velollm::http {
namespace {

constexpr std::size_t kMostSamples = 16'384;
constexpr int kPatience = 32;  // looks without an answer: here the kernel doesn't tell

}  // namespace

std::optional<std::size_t> ReadLagSampler::choose(TimePoint now, std::size_t ready) {
    if (ready == 0 || now < next_ || in_vain_ >= kPatience) return std::nullopt;
    next_ = now + period_;
    return turn_++ % ready;
}

void ReadLagSampler::look(int socket) {
    const auto waited = waiting_(socket);
    if (!waited) {
        if (samples_.empty()) ++in_vain_;
        return;
    }
    in_vain_ = 0;
    samples_.push_back(*waited);
    if (samples_.size() < kMostSamples) return;
    // Every second one goes, so that those of the whole time count alike.
    for (std::size_t i = 0; i < samples_.size() / 2; ++i) samples_[i] = samples_[2 * i];
    samples_.resize(samples_.size() / 2);
    period_ *= 2;
}

std::optional<ReadLag> ReadLagSampler::take() {
    std::vector<Ns> sorted = std::exchange(samples_, {});
    period_ = kShortest;
    if (sorted.empty()) return std::nullopt;
    std::sort(sorted.begin(), sorted.end());
    // Nearest ranks.
    const auto rank = [&](std::size_t percent) { return sorted[(sorted.size() * percent + 99) / 100 - 1]; };
    return ReadLag{
        .samples = static_cast<std::int64_t>(sorted.size()), .p50 = rank(50), .p99 = rank(99), .max = sorted.back()};
}

}  // namespace velollm::http
