#include "hardware/gpu_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "hardware/files.h"
#include "hardware/gpu.h"

namespace velollm::hardware {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kKfdNodes = "/sys/class/kfd/kfd/topology/nodes";

std::string word_of(const fs::path& file) {
    return std::string(base::trim(system::read_file(file).value_or("")));
}

bool is_bridge(const fs::path& folder) {
    return word_of(folder / "class").starts_with("0x0604");
}

/// The folder whose link files speak of the slot. A root port is never part of the card, whoever made it.
fs::path card_end(const fs::path& gpu) {
    std::error_code error;
    const fs::path real = fs::canonical(gpu, error);
    if (error) return gpu;
    const std::string vendor = word_of(real / "vendor");
    fs::path end = real;
    for (fs::path bridge = real.parent_path(); is_bridge(bridge) && is_bridge(bridge.parent_path());
         bridge = bridge.parent_path()) {
        if (word_of(bridge / "vendor") != vendor) break;
        end = bridge;
    }
    return end;
}

std::optional<int> lanes(const fs::path& file) {
    constexpr std::int64_t kMostLanes = 32;
    const auto count = base::parse_int(word_of(file));
    if (!count || *count < 1 || *count > kMostLanes) return std::nullopt;
    return static_cast<int>(*count);
}

/// The value of `key` in lines of "key value".
std::optional<std::int64_t> property(std::string_view text, std::string_view key) {
    for (const std::string_view line : base::split(text, '\n')) {
        const auto [name, value] = name_and_value(line, ' ');
        if (name == key) return base::parse_int(value);
    }
    return std::nullopt;
}

/// Frame buffer that the processor sees in part (1) or whole (2).
std::optional<std::int64_t> bank_bytes(const system::System& system, const std::string& node) {
    std::optional<std::int64_t> sum;
    for (const std::string& bank : folder_entries(system, node + "/mem_banks")) {
        const std::string text = read_text(system, fmt::format("{}/mem_banks/{}/properties", node, bank));
        const auto kind = property(text, "heap_type");
        const auto bytes = property(text, "size_in_bytes");
        std::int64_t next = 0;
        if ((kind != 1 && kind != 2) || !bytes || *bytes <= 0) continue;
        if (__builtin_add_overflow(sum.value_or(0), *bytes, &next)) return std::nullopt;
        sum = next;
    }
    return sum;
}

}  // namespace

std::vector<std::string> folder_entries(const system::System& system, std::string_view folder) {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator it(under_root(system, folder), error);
    for (; !error && it != fs::directory_iterator(); it.increment(error))
        names.push_back(it->path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

bool is_there(const system::System& system, std::string_view path) {
    std::error_code error;
    return fs::exists(under_root(system, path), error);
}

std::optional<std::int64_t> read_byte_count(const system::System& system, const std::string& path) {
    const auto bytes = base::parse_int(read_word(system, path));
    return bytes && *bytes >= 0 ? bytes : std::nullopt;
}

std::optional<int> link_generation(std::string_view speed) {
    constexpr std::array<double, 7> kGigatransfers{2.5, 5, 8, 16, 32, 64, 128};
    const auto value = base::parse_double(speed.substr(0, speed.find(' ')));
    const auto* const at = std::find(kGigatransfers.begin(), kGigatransfers.end(), value.value_or(0));
    if (at == kGigatransfers.end()) return std::nullopt;
    return static_cast<int>(at - kGigatransfers.begin()) + 1;
}

PcieLink read_link(const system::System& system, const std::string& pci_address) {
    const fs::path end = card_end(under_root(system, "/sys/bus/pci/devices/" + pci_address));
    return {.generation = link_generation(word_of(end / "current_link_speed")),
            .lanes = lanes(end / "current_link_width"),
            .max_generation = link_generation(word_of(end / "max_link_speed")),
            .max_lanes = lanes(end / "max_link_width")};
}

std::string gfx_target(std::int64_t version) {
    if (version < 10'000 || version >= 1'000'000) return {};
    return fmt::format("gfx{}{:x}{:x}", version / 10'000, version / 100 % 100, version % 100);
}

std::vector<KfdNode> read_kfd(const system::System& system) {
    std::vector<KfdNode> nodes;
    for (const std::string& name : folder_entries(system, kKfdNodes)) {
        const std::string folder = fmt::format("{}/{}", kKfdNodes, name);
        const std::string text = read_text(system, folder + "/properties");
        const std::int64_t location = property(text, "location_id").value_or(-1);
        const std::int64_t domain = property(text, "domain").value_or(0);
        std::string arch = gfx_target(property(text, "gfx_target_version").value_or(0));
        if (arch.empty() || location < 0 || location > 0xffff || domain < 0 || domain > 0xffff'ffff) continue;
        nodes.push_back({.pci_address = fmt::format("{:04x}:{:02x}:{:02x}.{}", domain, location >> 8U,
                                                    location >> 3U & 0x1fU, location & 7U),
                         .arch = std::move(arch),
                         .vram_bytes = bank_bytes(system, folder)});
    }
    return nodes;
}

std::optional<double> read_power_cap(const system::System& system, const std::string& device_folder) {
    constexpr std::int64_t kMostMicrowatts = 100'000'000'000;
    for (const std::string& monitor : folder_entries(system, device_folder + "/hwmon")) {
        for (const std::string_view file : {"power1_cap", "power1_max"}) {
            const auto microwatts =
                base::parse_int(read_word(system, fmt::format("{}/hwmon/{}/{}", device_folder, monitor, file)));
            if (microwatts && *microwatts > 0 && *microwatts < kMostMicrowatts)
                return static_cast<double>(*microwatts) / 1e6;
        }
    }
    return std::nullopt;
}

}  // namespace velollm::hardware
