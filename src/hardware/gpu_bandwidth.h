#pragma once

#include <velollm/hardware.h>

namespace velollm::hardware {

/// Theoretical memory bandwidth from the highest memory clock and the width of the bus, where no library stated it:
/// clock * transfers a clock * bits / 8. The clock that NVIDIA's driver tells is half the rate of a data line for every
/// type of memory; AMD's is that of the memory's commands, with 2 transfers (HBM, DDR), 4 (GDDR5), 8 (LPDDR5) or 16
/// (GDDR6) each. Checked by published figures: 10501 MHz * 2 * 384 bits / 8 = 1008 GB/s (RTX 4090), 1250 MHz * 16 * 384
/// bits / 8 = 960 GB/s (RX 7900 XTX). Nothing where one of them is unknown, and for Intel, whose clock isn't defined.
void judge_bandwidth(Gpu& gpu);

}  // namespace velollm::hardware
