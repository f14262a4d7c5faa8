#pragma once

#include <velollm/hardware.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace velollm::hardware {

/// "0x10de" or "10de" as a number; nothing for anything else.
std::optional<std::uint32_t> parse_hex(std::string_view text);

/// "Nvidia" for the PCI vendor 10de, and so on; "Unknown" for any that makes no GPUs.
std::string vendor_name(std::uint32_t vendor);

/// The device's name in the pci.ids database (https://pci-ids.ucw.cz), verbatim.
std::optional<std::string> pci_name(std::string_view pci_ids, std::uint32_t vendor, std::uint32_t device);

/// "Model:" of /proc/driver/nvidia/gpus/ADDRESS/information.
std::optional<std::string> nvidia_model(std::string_view information);

/// The driver's version, e.g. "535.129.03", in the text of /proc/driver/nvidia/version.
std::optional<std::string> nvidia_driver_version(std::string_view text);

/// Why a display adapter isn't a GPU that can compute: virtual, made for server consoles, or lent to a virtual machine.
/// Empty when it may compute.
std::string_view skip_reason(std::uint32_t vendor, std::uint32_t device, std::string_view driver);

struct Displays {
    std::vector<Gpu> gpus;             ///< discrete before integrated, then by PCI address
    std::vector<std::string> skipped;  ///< "PCI 1a03:2000 at 0000:02:00.0: server console"
};

/// GPUs on the PCI bus, from sysfs alone: nothing is loaded, no device is woken. `kernel` is the kernel's release.
Displays read_displays(const system::System& system, const std::string& kernel);

}  // namespace velollm::hardware
