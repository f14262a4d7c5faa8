#pragma once

#include <cstddef>
#include <cstdint>

namespace velollm::base {

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring inputs give unrelated outputs.
constexpr std::uint64_t split_mix(std::uint64_t x) {
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
}
inline constexpr std::uint64_t kSplitMixStep = 0x9e3779b97f4a7c15U;

/// SplitMix64: a seed gives the same numbers on every machine and with every standard library.
class SplitMix {
public:
    explicit constexpr SplitMix(std::uint64_t seed) : state_(seed) {}

    constexpr std::uint64_t next() { return split_mix(state_ += kSplitMixStep); }
    /// 0 to n - 1.
    constexpr std::uint64_t below(std::uint64_t n) { return next() % n; }
    /// In [0, 1).
    constexpr double uniform() { return static_cast<double>(next() >> 11U) * 0x1p-53; }

private:
    std::uint64_t state_;
};

}  // namespace velollm::base
