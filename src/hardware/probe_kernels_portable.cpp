#include <array>
#include <cstdint>

#include "hardware/probe_kernels.h"

namespace velollm::hardware {
namespace {

/// One load a cache line: the line has to come all the same, and four sums keep the adder from being the limit.
unsigned long long read_lines(const void* data, std::size_t bytes) {
    const auto* words = static_cast<const std::uint64_t*>(data);
    std::array<std::uint64_t, 4> sums{};
    for (std::size_t i = 0; i < bytes / 8; i += 32) {
        sums[0] ^= words[i];
        sums[1] ^= words[i + 8];
        sums[2] ^= words[i + 16];
        sums[3] ^= words[i + 24];
    }
    return sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}

/// Enough independent chains that the compiler can fill four-wide vectors and hide their latency.
double multiply_add(long rounds) {
    constexpr int kChains = 48;
    std::array<float, kChains> chain{};
    float factor = 0.999F;
    float addend = 0.001F;
    asm volatile("" : "+m"(factor), "+m"(addend));
    for (long i = 0; i < rounds; ++i)
        for (float& value : chain) value = value * factor + addend;
    asm volatile("" : : "m"(chain));
    return 2.0 * kChains * static_cast<double>(rounds);
}

}  // namespace

ProbeKernels portable_kernels() {
    return {.name = "portable", .read = read_lines, .fp32 = multiply_add, .int8 = nullptr};
}

}  // namespace velollm::hardware
