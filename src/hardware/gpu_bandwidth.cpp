#include "hardware/gpu_bandwidth.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace velollm::hardware {
namespace {

struct Transfers {
    std::string_view type;  // start of its name
    int per_clock;
};
constexpr std::array kAmd{Transfers{"HBM", 2},    Transfers{"GDDR5", 4}, Transfers{"LPDDR5", 8},
                          Transfers{"GDDR6", 16}, Transfers{"DDR4", 2},  Transfers{"DDR5", 2}};

/// 0: unknown.
int transfers_per_clock(const Gpu& gpu) {
    if (gpu.vendor == "Nvidia") return 2;
    if (gpu.vendor != "Amd") return 0;
    for (const Transfers& row : kAmd)
        if (gpu.memory_type.starts_with(row.type)) return row.per_clock;
    return 0;
}

}  // namespace

void judge_bandwidth(Gpu& gpu) {
    const int transfers = transfers_per_clock(gpu);
    if (gpu.theoretical_gbps || transfers == 0 || !gpu.max_memory_mhz || !gpu.memory_bus_bits) return;
    gpu.theoretical_gbps = 1e-3 * *gpu.max_memory_mhz * transfers * *gpu.memory_bus_bits / 8;
    gpu.bandwidth_basis =
        fmt::format("{} MHz * {} * {} bits / 8", *gpu.max_memory_mhz, transfers, *gpu.memory_bus_bits);
}

}  // namespace velollm::hardware
