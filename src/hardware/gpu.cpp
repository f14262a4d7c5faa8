#include "hardware/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/text.h"
#include "hardware/files.h"
#include "hardware/gpu_files.h"

namespace velollm::hardware {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kPciFolder = "/sys/bus/pci/devices";
constexpr std::uint32_t kNvidia = 0x10de;
constexpr std::uint32_t kAmd = 0x1002;
constexpr std::uint32_t kIntel = 0x8086;
constexpr std::uint32_t kApple = 0x106b;

struct SkippedAdapter {
    std::uint32_t vendor;
    std::uint32_t device;     // 0: every device of the vendor
    std::string_view driver;  // "": any; with vendor 0: every device that this driver holds
    std::string_view reason;
};
constexpr std::array kSkipped{
    SkippedAdapter{0x1234, 0x1111, "", "virtual display of QEMU (bochs)"},
    SkippedAdapter{0x1b36, 0x0100, "", "virtual display of QEMU (qxl)"},
    SkippedAdapter{0x1af4, 0, "", "virtual display (virtio)"},
    SkippedAdapter{0x1013, 0, "", "virtual display of QEMU (cirrus)"},
    SkippedAdapter{0x15ad, 0, "", "virtual display of VMware (svga)"},
    SkippedAdapter{0x80ee, 0, "", "virtual display of VirtualBox"},
    SkippedAdapter{0x1414, 0, "", "virtual display of Hyper-V"},
    SkippedAdapter{0x1ab8, 0, "", "virtual display of Parallels"},
    SkippedAdapter{0x1d0f, 0x1111, "", "virtual display of Amazon EC2"},
    SkippedAdapter{0x1a03, 0, "", "server console (ast)"},
    SkippedAdapter{0x102b, 0, "", "server console (mgag200)"},
    SkippedAdapter{0x19e5, 0x1711, "", "server console (hibmc)"},
    SkippedAdapter{kAmd, 0x515e, "", "server console (ES1000)"},
    SkippedAdapter{0, 0, "vfio-pci", "lent to a virtual machine"},
    SkippedAdapter{0, 0, "pci-stub", "lent to a virtual machine"},
};

struct Device {
    std::string address;  // "0000:03:00.0"
    std::string folder;   // in sysfs
    std::uint32_t vendor = 0;
    std::uint32_t device = 0;
    std::string driver;
};

/// A display controller (PCI class 03), or a processing accelerator (class 12) that a GPU's driver holds: the same
/// class holds NPUs. Function 1 and up of subclass 80 is the second head of an old card.
bool is_gpu_class(std::uint32_t class_code, std::string_view address, std::string_view driver) {
    const std::uint32_t base_class = class_code >> 16U;
    const std::uint32_t subclass = class_code >> 8U & 0xffU;
    if (base_class == 0x12) return driver == "amdgpu" || driver == "nvidia" || driver == "xe" || driver == "i915";
    return base_class == 0x03 && (subclass != 0x80 || address.ends_with(".0"));
}

std::optional<Device> read_device(const system::System& system, const std::string& address) {
    Device device{.address = address, .folder = fmt::format("{}/{}", kPciFolder, address), .driver = {}};
    const auto class_code = parse_hex(read_word(system, device.folder + "/class"));
    if (!class_code || (*class_code >> 16U != 0x03 && *class_code >> 16U != 0x12)) return std::nullopt;

    std::error_code error;
    const fs::path driver = fs::read_symlink(under_root(system, device.folder + "/driver"), error);
    if (!error) device.driver = driver.filename().string();
    if (!is_gpu_class(*class_code, address, device.driver)) return std::nullopt;

    const auto vendor = parse_hex(read_word(system, device.folder + "/vendor"));
    const auto number = parse_hex(read_word(system, device.folder + "/device"));
    if (!vendor || !number) return std::nullopt;
    device.vendor = *vendor;
    device.device = *number;
    return device;
}

/// Intel names dedicated memory per tile (xe) or in the DRM folder (i915); integrated parts have neither file.
std::optional<std::int64_t> read_intel_vram(const system::System& system, const std::string& folder) {
    std::optional<std::int64_t> sum;
    for (int tile = 0;; ++tile) {
        const auto bytes = read_byte_count(system, fmt::format("{}/tile{}/physical_vram_size_bytes", folder, tile));
        std::int64_t next = 0;
        if (!bytes || __builtin_add_overflow(sum.value_or(0), *bytes, &next)) break;
        sum = next;
    }
    if (sum) return sum;
    for (const std::string& card : folder_entries(system, folder + "/drm"))
        if (const auto bytes = read_byte_count(system, fmt::format("{}/drm/{}/lmem_total_bytes", folder, card)))
            return bytes;
    return std::nullopt;
}

/// Only AMD's integrated GPUs measure the north bridge's voltage, and they always do.
bool amd_integrated(const system::System& system, const std::string& folder) {
    for (const std::string& monitor : folder_entries(system, folder + "/hwmon"))
        if (is_there(system, fmt::format("{}/hwmon/{}/in1_input", folder, monitor))) return true;
    return false;
}

void read_memory_of(const system::System& system, const Device& device, Gpu& gpu) {
    if (device.vendor == kAmd) {
        gpu.vram_bytes = read_byte_count(system, device.folder + "/mem_info_vram_total");
        gpu.vram_used_bytes = read_byte_count(system, device.folder + "/mem_info_vram_used");
        gpu.shared_bytes = read_byte_count(system, device.folder + "/mem_info_gtt_total");
        gpu.shared_used_bytes = read_byte_count(system, device.folder + "/mem_info_gtt_used");
        gpu.integrated = amd_integrated(system, device.folder);
    }
    if (device.vendor == kIntel) {
        gpu.vram_bytes = read_intel_vram(system, device.folder);
        gpu.integrated = !gpu.vram_bytes && device.address == "0000:00:02.0";  // where every integrated one sits
    }
    if (gpu.vram_bytes) gpu.memory_source = "sysfs";
}

void add_kfd(const std::vector<KfdNode>& nodes, Gpu& gpu) {
    for (const KfdNode& node : nodes) {
        if (node.pci_address != gpu.pci_address) continue;
        gpu.arch = node.arch;
        if (gpu.vram_bytes || !node.vram_bytes) continue;
        gpu.vram_bytes = node.vram_bytes;
        gpu.memory_source = "kfd";
    }
}

std::string pci_id(const Device& device) {
    return fmt::format("PCI {:04x}:{:04x}", device.vendor, device.device);
}

/// The pci.ids databases of the machine, read when first asked: more than a megabyte that most machines don't need.
class PciDatabases {
public:
    explicit PciDatabases(const system::System& system) : system_(system) {}

    std::optional<std::string> name(const Device& device) {
        if (texts_.empty())
            for (const std::string_view path : {"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"})
                texts_.push_back(read_text(system_, path));
        for (const std::string& text : texts_)
            if (auto found = pci_name(text, device.vendor, device.device)) return found;
        return std::nullopt;
    }

private:
    const system::System& system_;
    std::vector<std::string> texts_;
};

std::string read_name(const system::System& system, const Device& device, PciDatabases& databases) {
    if (device.vendor == kNvidia) {
        const std::string path = fmt::format("/proc/driver/nvidia/gpus/{}/information", device.address);
        if (auto model = nvidia_model(read_text(system, path))) return *model;
    }
    return databases.name(device).value_or(pci_id(device));
}

/// Drivers that come with the kernel have its version; NVIDIA's doesn't and tells its own.
std::string read_driver_version(const system::System& system, const std::string& driver, const std::string& kernel) {
    if (driver.empty()) return {};
    if (driver == "nvidia") return nvidia_driver_version(read_text(system, "/proc/driver/nvidia/version")).value_or("");
    const std::string own = read_word(system, fmt::format("/sys/module/{}/version", driver));
    return own.empty() ? kernel : own;
}

}  // namespace

std::string vendor_name(std::uint32_t vendor) {
    switch (vendor) {
        case kNvidia: return "Nvidia";
        case kAmd: return "Amd";
        case kIntel: return "Intel";
        case kApple: return "Apple";
        default: return "Unknown";
    }
}

std::optional<std::uint32_t> parse_hex(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::string> pci_name(std::string_view pci_ids, std::uint32_t vendor, std::uint32_t device) {
    // A vendor's line starts with its number, a device's below it with one tab, a board's below that with two.
    const std::size_t block = pci_ids.find(fmt::format("\n{:04x}  ", vendor));
    if (block == std::string_view::npos) return std::nullopt;
    const std::string start = fmt::format("\t{:04x}  ", device);
    std::string_view rest = pci_ids.substr(block + 1);
    for (bool first = true; !rest.empty(); first = false) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        if (line.starts_with(start)) return std::string(base::trim(line.substr(start.size())));
        if (!first && !line.empty() && line.front() != '\t' && line.front() != '#') break;  // the next vendor
    }
    return std::nullopt;
}

std::optional<std::string> nvidia_model(std::string_view information) {
    for (const std::string_view line : base::split(information, '\n')) {
        const auto [name, value] = name_and_value(line, ':');
        if (name == "Model" && !value.empty() && value != "Unknown") return std::string(value);
    }
    return std::nullopt;
}

std::optional<std::string> nvidia_driver_version(std::string_view text) {
    for (const std::string_view word : base::split(text.substr(0, text.find('\n')), ' ')) {
        const bool version =
            word.find('.') != std::string_view::npos && word.find_first_not_of("0123456789.") == std::string_view::npos;
        if (version) return std::string(word);
    }
    return std::nullopt;
}

std::string_view skip_reason(std::uint32_t vendor, std::uint32_t device, std::string_view driver) {
    for (const SkippedAdapter& row : kSkipped) {
        const bool vendor_fits = row.vendor == 0 || row.vendor == vendor;
        const bool device_fits = row.device == 0 || row.device == device;
        if (vendor_fits && device_fits && (row.driver.empty() || row.driver == driver)) return row.reason;
    }
    return {};
}

Displays read_displays(const system::System& system, const std::string& kernel) {
    Displays displays;
    PciDatabases databases(system);
    const std::vector<KfdNode> kfd = read_kfd(system);
    for (const std::string& address : folder_entries(system, kPciFolder)) {
        const auto device = read_device(system, address);
        if (!device) continue;
        if (const auto reason = skip_reason(device->vendor, device->device, device->driver); !reason.empty()) {
            displays.skipped.push_back(fmt::format("{} at {}: {}", pci_id(*device), address, reason));
            continue;
        }
        Gpu gpu;
        gpu.vendor = vendor_name(device->vendor);
        gpu.name = read_name(system, *device, databases);
        gpu.pci_address = address;
        gpu.driver = device->driver;
        gpu.driver_version = read_driver_version(system, device->driver, kernel);
        read_memory_of(system, *device, gpu);
        if (device->vendor == kAmd) add_kfd(kfd, gpu);
        if (!gpu.integrated) gpu.pcie = read_link(system, address);
        gpu.power_limit_w = read_power_cap(system, device->folder);
        displays.gpus.push_back(std::move(gpu));
    }
    std::stable_partition(displays.gpus.begin(), displays.gpus.end(), [](const Gpu& gpu) { return !gpu.integrated; });
    return displays;
}

}  // namespace velollm::hardware
