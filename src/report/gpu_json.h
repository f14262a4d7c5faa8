#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_writer.h"

namespace velollm::report {

/// Dedicated memory that is free; nothing when either half is unknown.
std::optional<std::int64_t> free_vram_bytes(const Gpu& gpu);

/// The object `gpu` of the hardware document, with the original program's keys and nothing else.
void write_original_gpu(base::JsonWriter& json, const Gpu& gpu);

/// One element of `gpus` of the hardware document.
void write_gpu(base::JsonWriter& json, const Gpu& gpu, int index);

/// The array `warnings` of the hardware document.
void write_warnings(base::JsonWriter& json, const std::vector<HardwareWarning>& warnings);

/// A GPU for people, in one line without a newline.
std::string gpu_text(const Gpu& gpu);

/// What can use it: "CUDA yes, Vulkan unknown (no nvidia_icd*.json in the usual folders)".
std::string backends_text(const Gpu& gpu);

}  // namespace velollm::report
