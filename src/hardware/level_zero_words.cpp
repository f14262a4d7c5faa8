#include "hardware/level_zero_words.h"

#include <fmt/format.h>

#include "hardware/level_zero_abi.h"

namespace velollm::hardware {
namespace {

HardwareWarning refusal(std::int64_t code, const std::string&, const std::string&) {
    switch (code) {
        case level_zero::kUninitialized:
        case level_zero::kNoDependency:
            return gpu_warning("library-missing", "Level Zero finds no driver of Intel's compute runtime.",
                               "Install it (intel-level-zero-gpu, libze-intel-gpu1).");
        case level_zero::kNoPermission:
            return gpu_warning("gpu-unreadable", "Level Zero may not use the GPU's device files.",
                               "Run as a user of the groups render and video.");
        default:
            return gpu_warning("gpu-unreadable", fmt::format("Level Zero refuses to start, with its code {:#x}.", code),
                               "");
    }
}

}  // namespace

/// i915 and xe tell a user without CAP_PERFMON that all memory is free; some is taken from the start.
const LibraryWords kLevelZeroWords{
    .source = "level_zero",
    .title = "Level Zero",
    .vendor = "Intel",
    .driver = "",
    .unnamed = "Intel GPU",
    .if_absent = "Install the loader and Intel's compute runtime to see how much of the GPU's memory is taken.",
    .if_broken = "Install the loader (libze1, level-zero) anew.",
    .if_odd = "",
    .refusal = refusal,
    .all_free_is_unknown = true,
};

}  // namespace velollm::hardware
