#pragma once

#include <string>

namespace velollm::hardware {

/// At most so many GPUs, and slices of a GPU, are asked for: a library that counts wrong must not keep us busy.
constexpr unsigned kMaxNvmlGpus = 64;
constexpr unsigned kMaxNvmlSlices = 16;

/// Loads NVIDIA's management library and writes down what it says, unjudged, as one JSON document. Run it in a child
/// process: the library is known to hang and to crash.
///
///     {"load_error": "…"}                   the file can't be loaded
///     {"lacks": "nvmlInit_v2"}              it isn't NVML
///     {"init": 18}                          it refused, with its return code
///     {"init": 0, "driver": "550.54.14", "cuda": 12040, "count": 1, "gpus": [{"name": …, …}]}
///
/// A key stands only where the library gave a value. Each function that may refuse for a reason that matters has its
/// return code beside it ("memory_code", "mig_code").
std::string ask_nvml(const std::string& library);

}  // namespace velollm::hardware
