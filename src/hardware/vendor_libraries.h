#pragma once

#include <velollm/hardware.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/library_answer.h"
#include "system/system.h"

namespace velollm::hardware {

/// One library that may be asked about GPUs, and all that differs between them.
struct VendorLibrary {
    const LibraryWords* words;
    std::string_view variable;           ///< environment variable that names another file, and asks in any case
    std::span<const char* const> files;  ///< tried in turn, as the loader finds them
    std::string (*ask)(const std::vector<std::string>& files);  ///< runs in the child
    /// Whether there is something to ask about, by what is known so far.
    bool (*wanted)(const system::System& system, const std::vector<Gpu>& gpus);
    /// Whether its absence is worth a warning.
    bool (*missed)(const system::System& system, const std::vector<Gpu>& gpus);
    bool last_resort = false;  ///< asked after the others have answered, unless no other is asked
    bool lists_all = false;    ///< a GPU with the driver of `words` that it doesn't list isn't lent to this process
};

/// All of them.
std::span<const VendorLibrary> vendor_libraries();

/// The files to load it from: what its variable names, or its own where it is wanted. None: it is not to be asked.
std::vector<std::string> files_to_ask(const VendorLibrary& library, const system::System& system,
                                      const std::vector<Gpu>& gpus);

}  // namespace velollm::hardware
