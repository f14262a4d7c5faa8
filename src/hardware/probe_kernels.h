#pragma once

#include <cstddef>
#include <string_view>

namespace velollm::hardware {

/// Inner loops of the probes, for the widest instructions that processor and kernel allow.
struct ProbeKernels {
    std::string_view name;  ///< "avx512", "avx2", "portable"

    /// Reads `bytes` at `data` once; both multiples of 1,024. The result depends on every line, so that none is left
    /// out.
    unsigned long long (*read)(const void* data, std::size_t bytes) = nullptr;

    /// Fused multiply-adds of 32-bit floats in registers; the count of floating-point operations per call of `rounds`.
    double (*fp32)(long rounds) = nullptr;
    /// Dot products of 8-bit integers in registers, likewise; null where the processor has no instruction for them.
    double (*int8)(long rounds) = nullptr;
};
ProbeKernels best_kernels();

/// What no processor lacks; best_kernels() where nothing better is written.
ProbeKernels portable_kernels();

}  // namespace velollm::hardware
