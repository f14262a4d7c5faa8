#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::hardware {

struct LibraryGpu;

/// What is said of a vendor's library, and how its answers are to be understood.
struct LibraryWords {
    std::string_view source;     ///< "nvml": as memory.source and in ids
    std::string_view title;      ///< "NVIDIA's library"
    std::string_view vendor;     ///< "Nvidia", of all its GPUs; empty: each tells its own
    std::string_view driver;     ///< kernel driver of a GPU that only it knows; empty: unknown
    std::string_view unnamed;    ///< "NVIDIA GPU"
    std::string_view if_absent;  ///< hint where the file is missing
    std::string_view if_broken;  ///< hint where it can't be used
    std::string_view if_odd;     ///< hint about a doubtful answer
    /// The code with which it refused to start, as a warning. `library` and `kernel_driver` are versions, or empty.
    HardwareWarning (*refusal)(std::int64_t code, const std::string& library, const std::string& kernel_driver);
    /// Whether the GPU shares the machine's memory, by the form of the library's answer; may be null.
    bool (*shares_memory)(const LibraryGpu& gpu, std::int64_t machine_bytes) = nullptr;
    bool all_free_is_unknown = false;  ///< all memory free is what it tells those who may not know
    bool fills_gaps_only = false;      ///< for GPUs that lack a name or memory, and for these only
};

/// One GPU as a library describes it; only values that can be true.
struct LibraryGpu {
    Gpu gpu;                            ///< with `pci_address` empty when the library didn't tell
    std::optional<bool> integrated;     ///< absent: it doesn't tell
    bool software = false;              ///< a renderer that runs on the processor
    bool memory_not_supported = false;  ///< NVML: what integrated parts answer, and lost ones too
    std::vector<std::string> refused;   ///< values that can't be true: "memory", "power limit"
};

struct LibraryAnswer {
    std::vector<LibraryGpu> gpus;
    std::vector<std::string> software;  ///< names of renderers that run on the processor
    std::string driver_version;
    std::int64_t count = 0;  ///< that the library claims
    int unreadable = 0;      ///< GPUs that it counted and gave no handle for
    std::vector<HardwareWarning> warnings;
};

/// What ask_library wrote, judged. `kernel_driver` is the version of the loaded kernel module, for the message about a
/// library of another one; may be empty. Nothing when the text isn't such a document.
std::optional<LibraryAnswer> parse_library_answer(std::string_view json, const LibraryWords& words,
                                                  const std::string& kernel_driver = {});

/// Puts the answer into the GPUs that files showed, matched by PCI address, and adds those that they didn't show. Facts
/// that files told stay; where a number of the library is more than 10 % off, that is a warning.
void merge_library_answer(const LibraryAnswer& answer, const LibraryWords& words, Hardware& hardware);

/// A warning about GPUs.
HardwareWarning gpu_warning(std::string code, std::string message, std::string hint);

}  // namespace velollm::hardware
