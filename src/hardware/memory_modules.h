#pragma once

#include <velollm/hardware.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// The modules in udev's record of the firmware's table, /run/udev/data/+dmi:id: lines "E:MEMORY_DEVICE_0_SIZE=..."
/// (systemd's dmi_memory_id). Any user may read it.
std::vector<MemoryModule> parse_udev_modules(std::string_view text);

/// The modules in the firmware's table itself, /sys/firmware/dmi/tables/DMI, which only root may read: structures of
/// type 17 (DMTF DSP0134, section 7.18). Never reads beyond `table`.
std::vector<MemoryModule> parse_smbios_modules(std::string_view table);

/// What is installed, and the source; empty where nothing can be read.
struct Modules {
    std::vector<MemoryModule> modules;
    std::string source;
};
Modules read_modules(const system::System& system);

/// Channels that the modules' words name ("P0 CHANNEL A", "DIMM_A1"), and what they can carry at most: channels * 8
/// bytes * transfers a second. Soldered LPDDR memory counts by the width of its devices. Nothing where any module lacks
/// a word, a speed, or the speeds differ: half a sum would be a wrong figure.
struct Channels {
    std::optional<int> count;
    std::optional<double> gbps;
};
Channels infer_channels(const std::vector<MemoryModule>& modules);

}  // namespace velollm::hardware
