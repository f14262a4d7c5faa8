#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// Names in a folder of the system, sorted; none when it isn't there.
std::vector<std::string> folder_entries(const system::System& system, std::string_view folder);

/// Whether the system has this file or folder.
bool is_there(const system::System& system, std::string_view path);

/// A count of bytes from a file of one number.
std::optional<std::int64_t> read_byte_count(const system::System& system, const std::string& path);

/// PCI Express generation of a speed as sysfs writes it: "16.0 GT/s PCIe" is 4. Nothing for "Unknown".
std::optional<int> link_generation(std::string_view speed);

/// The link that leads to the card. Cards with a switch of their own (AMD since Navi, Intel Arc) show in the GPU's
/// folder the link inside the card; the one to the machine is at the switch's upper end.
PcieLink read_link(const system::System& system, const std::string& pci_address);

/// One GPU of AMD's compute driver (KFD).
struct KfdNode {
    std::string pci_address;
    std::string arch;                        ///< "gfx1151"
    std::optional<std::int64_t> vram_bytes;  ///< its memory banks of kind frame buffer
};

/// "gfx90a" from the kernel's 90010: major, minor and stepping with two decimal digits each, the last two written as
/// hexadecimal. Empty for 0, which processors have.
std::string gfx_target(std::int64_t version);

/// The GPUs under /sys/class/kfd/kfd/topology/nodes.
std::vector<KfdNode> read_kfd(const system::System& system);

/// Highest power in watts that the driver lets an AMD or Intel GPU draw, from its sensors.
std::optional<double> read_power_cap(const system::System& system, const std::string& device_folder);

}  // namespace velollm::hardware
