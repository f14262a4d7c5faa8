#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// How much of a GPU's memory a model may take now, with the rule's name, and whose memory that is: fills in
/// `memory_kind`, `usable_bytes` and `usable_rule`. `available_bytes` is the machine's memory that this process may
/// have.
///
/// dedicated                what is free; all of it where its use is unknown
/// MIG                      what is free in the largest slice
/// unified                  what the machine has available
/// carve-out and GTT (AMD)  the carve-out if it is no smaller than GTT, else GTT: so the kernel's compute driver takes
///                          memory (apu_prefer_gtt); what the machine has available bounds GTT
void judge_memory(Gpu& gpu, std::int64_t available_bytes);

/// Which engine backends could use the GPU here, from its driver, device files and installed libraries.
std::vector<GpuBackend> judge_backends(const system::System& system, const Gpu& gpu);

/// Both for all GPUs; puts discrete ones first, and adds what a reader should know to the warnings. Call it once, when
/// everything is known.
void judge_gpus(const system::System& system, Hardware& hardware);

}  // namespace velollm::hardware
