#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::hardware {

/// One GPU as NVML describes it; only values that can be true.
struct NvmlGpu {
    Gpu gpu;                            ///< with `pci_address` empty when the library didn't tell
    bool memory_not_supported = false;  ///< "not supported" is what integrated parts answer, and lost ones too
    std::vector<std::string> refused;   ///< values that can't be true: "memory", "power limit"
};

struct NvmlAnswer {
    std::vector<NvmlGpu> gpus;
    std::string driver_version;
    std::int64_t count = 0;  ///< that the library claims
    int unreadable = 0;      ///< GPUs that it counted and gave no handle for
    std::vector<HardwareWarning> warnings;
};

/// What ask_nvml wrote, judged. `kernel_driver` is the version of the loaded kernel module, for the message about a
/// library of another one; may be empty. Nothing when the text isn't such a document.
std::optional<NvmlAnswer> parse_nvml_answer(std::string_view json, const std::string& kernel_driver);

/// Puts the answer into the GPUs that sysfs showed, matched by PCI address, and adds those that it didn't show. Facts
/// that only files tell are kept.
void merge_nvml(const NvmlAnswer& answer, Hardware& hardware);

}  // namespace velollm::hardware
