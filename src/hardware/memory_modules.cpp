#include "hardware/memory_modules.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "hardware/files.h"

namespace velollm::hardware {
namespace {

constexpr std::size_t kMostModules = 512;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 44U;  // 16 TiB in one module is garbage
constexpr std::int64_t kMostMts = 100'000;

std::optional<int> speed(std::optional<std::int64_t> mts) {
    if (!mts || *mts <= 0 || *mts > kMostMts) return std::nullopt;
    return static_cast<int>(*mts);
}

std::optional<int> width(std::optional<std::int64_t> bits) {
    if (!bits || *bits <= 0 || *bits > 1024) return std::nullopt;
    return static_cast<int>(*bits);
}

void set_udev_field(MemoryModule& module, std::string_view field, std::string_view value) {
    const auto number = base::parse_int(value);
    if (field == "SIZE" && number && *number > 0 && *number <= kMostBytes) module.size_bytes = *number;
    if (field == "TYPE" && value != "Unknown" && value != "<OUT OF SPEC>") module.type = value;
    if (field == "CONFIGURED_SPEED_MTS") module.configured_mts = speed(number);
    if (field == "DATA_WIDTH") module.width_bits = width(number);
    if (field == "LOCATOR") module.locator = value;
    if (field == "BANK_LOCATOR") module.bank = value;
}

std::uint64_t number_at(std::string_view bytes, std::size_t offset, std::size_t size) {
    std::uint64_t number = 0;
    for (std::size_t i = size; i > 0; --i) {
        const std::size_t at = offset + i - 1;
        number = number << 8U | (at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0U);
    }
    return number;
}

/// Text number `index` (from 1) of the texts behind a structure.
std::string text_at(std::string_view texts, std::uint64_t index) {
    for (std::uint64_t i = 1; !texts.empty(); ++i) {
        const std::size_t end = texts.find('\0');
        if (i == index) return base::one_line(base::trim(texts.substr(0, end)), 64);
        if (end == std::string_view::npos) break;
        texts.remove_prefix(end + 1);
    }
    return {};
}

std::string smbios_memory_type(std::uint64_t code) {
    constexpr std::array kTypes{std::pair{0x12, "DDR"},    std::pair{0x13, "DDR2"},   std::pair{0x18, "DDR3"},
                                std::pair{0x1a, "DDR4"},   std::pair{0x1b, "LPDDR"},  std::pair{0x1c, "LPDDR2"},
                                std::pair{0x1d, "LPDDR3"}, std::pair{0x1e, "LPDDR4"}, std::pair{0x20, "HBM"},
                                std::pair{0x21, "HBM2"},   std::pair{0x22, "DDR5"},   std::pair{0x23, "LPDDR5"},
                                std::pair{0x24, "HBM3"}};
    for (const auto& [type, name] : kTypes)
        if (static_cast<std::uint64_t>(type) == code) return name;
    return {};
}

/// `fields`: the formatted part of a structure of type 17.
MemoryModule memory_device(std::string_view fields, std::string_view texts) {
    constexpr std::uint64_t kInExtended = 0x7fff;
    MemoryModule module;
    const std::uint64_t size = number_at(fields, 0x0c, 2);
    if (size == kInExtended)
        module.size_bytes = static_cast<std::int64_t>(number_at(fields, 0x1c, 4) & 0x7fffffffU) << 20U;
    else if (size != 0xffff)  // unknown
        module.size_bytes = static_cast<std::int64_t>(size & 0x7fffU) << ((size & 0x8000U) != 0 ? 10U : 20U);
    if (module.size_bytes > kMostBytes) module.size_bytes = 0;
    module.type = smbios_memory_type(number_at(fields, 0x12, 1));
    const auto mts = static_cast<std::int64_t>(number_at(fields, 0x20, 2));
    module.configured_mts = speed(mts == 0xffff ? static_cast<std::int64_t>(number_at(fields, 0x58, 4)) : mts);
    const auto bits = static_cast<std::int64_t>(number_at(fields, 0x0a, 2));
    if (bits != 0xffff) module.width_bits = width(bits);
    module.locator = text_at(texts, number_at(fields, 0x10, 1));
    module.bank = text_at(texts, number_at(fields, 0x11, 1));
    return module;
}

std::vector<MemoryModule> read_edac(const system::System& system) {
    std::vector<MemoryModule> modules;
    for (int controller = 0; controller < 16; ++controller) {
        const std::string folder = fmt::format("/sys/devices/system/edac/mc/mc{}/", controller);
        if (read_word(system, folder + "mc_name").empty()) break;
        for (int dimm = 0; dimm < 64; ++dimm) {
            const std::string place = fmt::format("{}dimm{}/", folder, dimm);
            const auto mib = base::parse_int(read_word(system, place + "size"));
            if (!mib || *mib <= 0 || *mib > (kMostBytes >> 20U)) continue;
            MemoryModule module;
            module.size_bytes = *mib << 20U;
            const std::string type =
                read_word(system, place + "dimm_mem_type");  // "Registered-DDR4", "Unbuffered-DDR5"
            const std::size_t at = type.find("DDR");
            if (at != std::string::npos) module.type = type.substr(at);
            module.locator = read_word(system, place + "dimm_label");
            modules.push_back(std::move(module));
        }
    }
    return modules;
}

bool letter(char c) {
    return c >= 'A' && c <= 'Z';
}

bool digit(char c) {
    return c >= '0' && c <= '9';
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

/// "P0 CHANNEL A" -> itself up to the letter; "CHANNELB-DIMM1" the same. Empty when there is no such word.
std::string channel_word(std::string_view text) {
    const std::string words = upper(text);
    const std::size_t at = words.find("CHANNEL");
    if (at == std::string::npos) return {};
    std::size_t end = at + 7;
    while (end < words.size() && (words[end] == ' ' || words[end] == '_' || words[end] == '-')) ++end;
    if (end == words.size() || !(letter(words[end]) || digit(words[end]))) return {};
    return words.substr(0, end + 1);
}

/// "DIMM_A1" -> "DIMM_A", "P1-DIMMB2" -> "P1-DIMMB": the letter before the slot's number names the channel.
std::string channel_of_slot(std::string_view text) {
    std::string words = upper(text);
    while (!words.empty() && digit(words.back())) words.pop_back();
    const std::size_t at = words.find("DIMM");
    if (words.size() == text.size() || at == std::string::npos || words.size() <= at + 4) return {};
    const bool one_letter = letter(words.back()) && (words.size() == at + 5 || !letter(words[words.size() - 2]));
    return one_letter ? words : std::string();
}

std::string channel_of(const MemoryModule& module) {
    for (const std::string* text : {&module.bank, &module.locator})
        if (std::string word = channel_word(*text); !word.empty()) return word;
    return channel_of_slot(module.locator);
}

}  // namespace

std::vector<MemoryModule> parse_udev_modules(std::string_view text) {
    constexpr std::string_view kPrefix = "E:MEMORY_DEVICE_";
    std::map<std::int64_t, MemoryModule> by_number;
    for (std::string_view line : base::split(text, '\n')) {
        if (!line.starts_with(kPrefix)) continue;
        line.remove_prefix(kPrefix.size());
        const std::size_t end = line.find('_');
        const std::size_t equals = line.find('=');
        if (end == std::string_view::npos || equals == std::string_view::npos || end > equals) continue;
        const auto number = base::parse_int(line.substr(0, end));
        if (!number || *number < 0 || by_number.size() > kMostModules) continue;
        set_udev_field(by_number[*number], line.substr(end + 1, equals - end - 1), base::trim(line.substr(equals + 1)));
    }
    std::vector<MemoryModule> modules;
    for (auto& [number, module] : by_number)
        if (module.size_bytes > 0) modules.push_back(std::move(module));  // an empty slot has no size
    return modules;
}

std::vector<MemoryModule> parse_smbios_modules(std::string_view table) {
    constexpr std::uint64_t kMemoryDevice = 17;
    constexpr std::uint64_t kEnd = 127;
    std::vector<MemoryModule> modules;
    while (table.size() >= 4 && modules.size() < kMostModules) {
        const std::uint64_t type = number_at(table, 0, 1);
        const std::size_t length = number_at(table, 1, 1);
        if (type == kEnd || length < 4 || length > table.size()) break;
        const std::string_view rest = table.substr(length);
        const std::size_t end = rest.find(std::string_view("\0\0", 2));  // of the texts, and of an empty list of them
        if (type == kMemoryDevice) {
            MemoryModule module = memory_device(table.substr(0, length), rest.substr(0, end));
            if (module.size_bytes > 0) modules.push_back(std::move(module));
        }
        if (end == std::string_view::npos) break;
        table = rest.substr(end + 2);
    }
    return modules;
}

Modules read_modules(const system::System& system) {
    constexpr std::string_view kUdev = "/run/udev/data/+dmi:id";
    constexpr std::string_view kTable = "/sys/firmware/dmi/tables/DMI";
    Modules found{parse_udev_modules(read_text(system, kUdev)), std::string(kUdev)};
    if (found.modules.empty())
        found = {parse_smbios_modules(read_text(system, kTable)), fmt::format("{} (root only)", kTable)};
    if (found.modules.empty()) found = {read_edac(system), "/sys/devices/system/edac"};
    return found.modules.empty() ? Modules{} : found;
}

Channels infer_channels(const std::vector<MemoryModule>& modules) {
    std::set<std::string> names;
    std::int64_t soldered_bits = 0;
    bool named = !modules.empty();
    bool soldered = !modules.empty();
    bool same_speed = !modules.empty();
    for (const MemoryModule& module : modules) {
        const std::string channel = channel_of(module);
        named = named && !channel.empty();
        names.insert(channel);
        soldered = soldered && module.type.starts_with("LPDDR") && module.width_bits.has_value();
        soldered_bits += module.width_bits.value_or(0);
        same_speed = same_speed && module.configured_mts && module.configured_mts == modules.front().configured_mts;
    }
    Channels channels;
    if (named) channels.count = static_cast<int>(names.size());
    if (!same_speed) return channels;
    const double transfers = *modules.front().configured_mts * 1e6;
    if (soldered)
        channels.gbps = static_cast<double>(soldered_bits) / 8.0 * transfers / 1e9;
    else if (channels.count && !modules.front().type.starts_with("LPDDR"))
        channels.gbps = *channels.count * 8.0 * transfers / 1e9;
    return channels;
}

}  // namespace velollm::hardware
