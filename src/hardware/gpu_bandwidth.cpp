#include "hardware/gpu_bandwidth.h"

#include <fmt/format.h>

namespace velollm::hardware {
void judge_bandwidth(Gpu& gpu) {
    constexpr int kTransfersPerClock = 2;  // as NVML counts clocks
    if (gpu.theoretical_gbps || gpu.vendor != "Nvidia" || !gpu.max_memory_mhz || !gpu.memory_bus_bits) return;
    gpu.theoretical_gbps = 1e-3 * *gpu.max_memory_mhz * kTransfersPerClock * *gpu.memory_bus_bits / 8;
    gpu.bandwidth_basis =
        fmt::format("{} MHz * {} * {} bits / 8", *gpu.max_memory_mhz, kTransfersPerClock, *gpu.memory_bus_bits);
}

}  // namespace velollm::hardware
