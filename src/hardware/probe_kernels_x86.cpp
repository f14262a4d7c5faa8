#include <immintrin.h>

#include "hardware/probe_kernels.h"

namespace velollm::hardware {
namespace {

// Twelve chains: two units of four cycles' latency need eight.
constexpr int kChains = 12;

[[gnu::target("avx512f")]] unsigned long long read_avx512(const void* data, std::size_t bytes) {
    const auto* lines = static_cast<const __m512i*>(data);
    __m512i a = _mm512_setzero_si512();
    __m512i b = a;
    __m512i c = a;
    __m512i d = a;
    for (std::size_t i = 0; i < bytes / sizeof(__m512i); i += 4) {
        a = _mm512_xor_si512(a, _mm512_load_si512(lines + i));
        b = _mm512_xor_si512(b, _mm512_load_si512(lines + i + 1));
        c = _mm512_xor_si512(c, _mm512_load_si512(lines + i + 2));
        d = _mm512_xor_si512(d, _mm512_load_si512(lines + i + 3));
    }
    const __m512i all = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
    alignas(64) unsigned long long words[8];
    _mm512_store_si512(words, all);
    return words[0] ^ words[1] ^ words[2] ^ words[3] ^ words[4] ^ words[5] ^ words[6] ^ words[7];
}

[[gnu::target("avx2")]] unsigned long long read_avx2(const void* data, std::size_t bytes) {
    const auto* halves = static_cast<const __m256i*>(data);
    __m256i a = _mm256_setzero_si256();
    __m256i b = a;
    __m256i c = a;
    __m256i d = a;
    for (std::size_t i = 0; i < bytes / sizeof(__m256i); i += 4) {
        a = _mm256_xor_si256(a, _mm256_load_si256(halves + i));
        b = _mm256_xor_si256(b, _mm256_load_si256(halves + i + 1));
        c = _mm256_xor_si256(c, _mm256_load_si256(halves + i + 2));
        d = _mm256_xor_si256(d, _mm256_load_si256(halves + i + 3));
    }
    const __m256i all = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    alignas(32) unsigned long long words[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), all);
    return words[0] ^ words[1] ^ words[2] ^ words[3];
}

[[gnu::target("avx512f")]] double fp32_avx512(long rounds) {
    __m512 chain[kChains];
    for (__m512& value : chain) value = _mm512_setzero_ps();
    __m512 factor = _mm512_set1_ps(0.999F);
    __m512 addend = _mm512_set1_ps(0.001F);
    asm volatile("" : "+v"(factor), "+v"(addend));
    for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int k = 0; k < kChains; ++k) chain[k] = _mm512_fmadd_ps(chain[k], factor, addend);
    }
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) asm volatile("" : : "v"(chain[k]));
    return 2.0 * 16 * kChains * static_cast<double>(rounds);
}

[[gnu::target("avx2,fma")]] double fp32_avx2(long rounds) {
    __m256 chain[kChains];
    for (__m256& value : chain) value = _mm256_setzero_ps();
    __m256 factor = _mm256_set1_ps(0.999F);
    __m256 addend = _mm256_set1_ps(0.001F);
    asm volatile("" : "+x"(factor), "+x"(addend));
    for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int k = 0; k < kChains; ++k) chain[k] = _mm256_fmadd_ps(chain[k], factor, addend);
    }
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) asm volatile("" : : "x"(chain[k]));
    return 2.0 * 8 * kChains * static_cast<double>(rounds);
}

[[gnu::target("avx512f,avx512vnni")]] double int8_avx512(long rounds) {
    __m512i chain[kChains];
    for (__m512i& value : chain) value = _mm512_setzero_si512();
    __m512i left = _mm512_set1_epi8(3);
    __m512i right = _mm512_set1_epi8(-2);
    asm volatile("" : "+v"(left), "+v"(right));
    for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int k = 0; k < kChains; ++k) chain[k] = _mm512_dpbusd_epi32(chain[k], left, right);
    }
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) asm volatile("" : : "v"(chain[k]));
    return 2.0 * 64 * kChains * static_cast<double>(rounds);
}

[[gnu::target("avx2,avxvnni")]] double int8_avx2(long rounds) {
    __m256i chain[kChains];
    for (__m256i& value : chain) value = _mm256_setzero_si256();
    __m256i left = _mm256_set1_epi8(3);
    __m256i right = _mm256_set1_epi8(-2);
    asm volatile("" : "+x"(left), "+x"(right));
    for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int k = 0; k < kChains; ++k) chain[k] = _mm256_dpbusd_avx_epi32(chain[k], left, right);
    }
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) asm volatile("" : : "x"(chain[k]));
    return 2.0 * 32 * kChains * static_cast<double>(rounds);
}

bool has_avx_vnni() {
    int a = 0;
    int b = 0;
    int c = 0;
    int d = 0;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0));
    if (a < 7) return false;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(1));
    return (a >> 4 & 1) != 0;
}

}  // namespace

ProbeKernels best_kernels() {
    // These ask the kernel's register state as well, not only the processor.
    if (__builtin_cpu_supports("avx512f") != 0)
        return {.name = "avx512",
                .read = read_avx512,
                .fp32 = fp32_avx512,
                .int8 = __builtin_cpu_supports("avx512vnni") != 0 ? int8_avx512 : nullptr};
    if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
        return {.name = "avx2", .read = read_avx2, .fp32 = fp32_avx2, .int8 = has_avx_vnni() ? int8_avx2 : nullptr};
    return portable_kernels();
}

}  // namespace velollm::hardware
