#include "hardware/level_zero_ask.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json_writer.h"
#include "hardware/level_zero_abi.h"
#include "hardware/loaded_library.h"

namespace velollm::hardware {
namespace {

using namespace level_zero;

/// Asks for the number of things, then for the things; at most `most`, whatever the number.
template <typename Call>
std::vector<Handle> handles(Call call, unsigned most, std::uint32_t& count) {
    count = 0;
    if (call(&count, nullptr) != kSuccess) {
        count = 0;
        return {};
    }
    std::uint32_t wanted = std::min(count, most);
    std::vector<Handle> out(wanted, nullptr);
    if (wanted == 0 || call(&wanted, out.data()) != kSuccess) return {};
    out.resize(std::min<std::size_t>(out.size(), wanted));
    std::erase(out, nullptr);
    return out;
}

std::vector<Handle> parts(const LoadedLibrary& library, const char* name, Handle owner) {
    const auto list = library.find<ListOf>(name);
    std::uint32_t count = 0;
    if (list == nullptr) return {};
    return handles([&](std::uint32_t* n, Handle* out) { return list(owner, n, out); }, kMaxGpuParts, count);
}

template <typename T>
bool get(const LoadedLibrary& library, const char* name, Handle handle, int kind, Roomy<T>& out) {
    out.value.stype = kind;
    const auto call = library.find<Get<T>>(name);
    return call != nullptr && call(handle, &out.value) == kSuccess;
}

std::string_view memory_type(std::int32_t type) {
    constexpr std::array<std::string_view, 28> kNames{
        "HBM",     "DDR",  "DDR3", "DDR4",  "DDR5",  "LPDDR", "LPDDR3", "LPDDR4", "LPDDR5", "",
        "",        "",     "",     "",      "GDDR4", "GDDR5", "GDDR5X", "GDDR6",  "GDDR6X", "GDDR7",
        "LPDDR5X", "HBM2", "DDR2", "HBM2E", "HBM3",  "HBM3E", "HBM4",   "LPDDR6"};
    return type >= 0 && type < static_cast<std::int32_t>(kNames.size()) ? kNames[static_cast<std::size_t>(type)]
                                                                        : std::string_view();
}

/// Drivers disagree on what the width is of: of one channel (stacked memory), of all of them (32 bits each), or a
/// constant. 0 where it can't be told.
std::int64_t bus_bits(const MemoryProperties& memory) {
    constexpr std::int64_t kMost = 1 << 16U;
    if (memory.bus_bits <= 0 || memory.channels <= 0 || memory.bus_bits > kMost || memory.channels > kMost) return 0;
    const std::int64_t bits = memory.bus_bits;
    if (memory_type(memory.type).starts_with("HBM")) return bits * memory.channels;
    return bits == std::int64_t{32} * memory.channels ? bits : 0;
}

struct MemorySums {
    std::uint64_t total = 0;
    std::uint64_t free = 0;
    std::uint64_t bytes_per_second = 0;
    std::int64_t bus_bits = 0;
    bool bus_known = true;
    bool bandwidth_known = true;
    std::string_view type;
};

void add(std::uint64_t& sum, std::uint64_t value) {
    if (__builtin_add_overflow(sum, value, &sum)) sum = ~std::uint64_t{0};
}

void add_module(const LoadedLibrary& library, Handle module, MemorySums& sums) {
    Roomy<MemoryProperties> properties;
    Roomy<MemoryState> state;
    if (!get(library, "zesMemoryGetProperties", module, kMemoryProperties, properties)) return;
    if (properties.value.location != kDeviceMemory) return;
    if (!get(library, "zesMemoryGetState", module, kMemoryState, state)) return;
    add(sums.total, state.value.size_bytes);
    add(sums.free, state.value.free_bytes);
    sums.type = memory_type(properties.value.type);
    const std::int64_t bits = bus_bits(properties.value);
    sums.bus_known = sums.bus_known && bits > 0;
    sums.bus_bits += bits;
    Roomy<MemoryBandwidth> bandwidth;
    const auto ask = library.find<Get<MemoryBandwidth>>("zesMemoryGetBandwidth");
    const bool told = ask != nullptr && ask(module, &bandwidth.value) == kSuccess;
    sums.bandwidth_known = sums.bandwidth_known && told && bandwidth.value.max_bytes_per_second > 0;
    if (told) add(sums.bytes_per_second, bandwidth.value.max_bytes_per_second);
}

void write_memory(base::JsonWriter& json, const LoadedLibrary& library, Handle device) {
    MemorySums sums;
    for (Handle module : parts(library, "zesDeviceEnumMemoryModules", device)) add_module(library, module, sums);
    if (sums.total == 0) return;
    json.field("total", sums.total).field("free", sums.free);
    // Plain "DDR" is what drivers say that don't know.
    if (!sums.type.empty() && sums.type != "DDR") json.field("memory_type", sums.type);
    if (sums.bus_known) json.field("memory_bus_bits", sums.bus_bits);
    if (sums.bandwidth_known) json.field("bandwidth_mbps", sums.bytes_per_second / 1'000'000);
}

void write_clocks(base::JsonWriter& json, const LoadedLibrary& library, Handle device) {
    double core = 0;
    double memory = 0;
    for (Handle domain : parts(library, "zesDeviceEnumFrequencyDomains", device)) {
        Roomy<FrequencyProperties> found;
        if (!get(library, "zesFrequencyGetProperties", domain, kFrequencyProperties, found)) continue;
        double& highest = found.value.domain == kMemoryFrequency ? memory : core;
        if (found.value.domain <= kMemoryFrequency) highest = std::max(highest, found.value.max_mhz);
    }
    constexpr double kMost = 1e9;  // also keeps what can't be a whole number out
    if (core >= 1 && core < kMost) json.field("max_core_mhz", static_cast<std::int64_t>(core));
    if (memory >= 1 && memory < kMost) json.field("max_memory_mhz", static_cast<std::int64_t>(memory));
}

/// The sustained limit of one power domain in milliwatts; 0 where none is told.
std::int64_t power_limit(const LoadedLibrary& library, Handle domain) {
    if (const auto limits = library.find<GetLimitsExt>("zesPowerGetLimitsExt"); limits != nullptr) {
        std::array<PowerLimit, kMaxGpuParts> found{};
        for (PowerLimit& limit : found) limit.stype = kPowerLimit;
        std::uint32_t count = found.size();
        if (limits(domain, &count, found.data()) == kSuccess)
            for (std::size_t i = 0; i < std::min<std::size_t>(count, found.size()); ++i)
                if (found[i].level == kSustainedLevel && found[i].unit == kPowerUnit && found[i].limit > 0)
                    return found[i].limit;
    }
    SustainedLimit sustained{};
    const auto older = library.find<GetLimits>("zesPowerGetLimits");
    const bool told = older != nullptr && older(domain, &sustained, nullptr, nullptr) == kSuccess;
    return told && sustained.enabled != 0 ? sustained.milliwatts : 0;
}

void write_power(base::JsonWriter& json, const LoadedLibrary& library, Handle device) {
    Handle card = nullptr;
    const auto get_card = library.find<OneOf>("zesDeviceGetCardPowerDomain");
    if (get_card != nullptr && get_card(device, &card) != kSuccess) card = nullptr;
    std::vector<Handle> domains = parts(library, "zesDeviceEnumPowerDomains", device);
    if (card != nullptr) domains.insert(domains.begin(), card);
    for (Handle domain : domains) {
        const std::int64_t limit = power_limit(library, domain);
        if (limit == 0) continue;
        json.field("power_limit_mw", limit);
        return;
    }
}

void write_link(base::JsonWriter& json, const PciSpeed& speed, const char* generation, const char* lanes) {
    if (speed.generation > 0) json.field(generation, std::int64_t{speed.generation});
    if (speed.lanes > 0) json.field(lanes, std::int64_t{speed.lanes});
}

void write_pci(base::JsonWriter& json, const LoadedLibrary& library, Handle device) {
    Roomy<PciProperties> pci;
    if (!get(library, "zesDevicePciGetProperties", device, kPciProperties, pci)) return;
    json.field("domain", std::uint64_t{pci.value.domain}).field("bus", std::uint64_t{pci.value.bus});
    json.field("device", std::uint64_t{pci.value.device}).field("function", std::uint64_t{pci.value.function});
    write_link(json, pci.value.max_speed, "pcie_max_generation", "pcie_max_lanes");
    Roomy<PciState> state;
    if (get(library, "zesDevicePciGetState", device, kPciState, state))
        write_link(json, state.value.speed, "pcie_generation", "pcie_lanes");
}

/// False for what is no GPU: NPUs come through the same loader.
bool write_device(base::JsonWriter& json, const LoadedLibrary& library, Handle device) {
    Roomy<DeviceProperties> found;
    found.value.core.stype = kCoreDeviceProperties;
    const bool told = get(library, "zesDeviceGetProperties", device, kDeviceProperties, found);
    const CoreProperties& core = found.value.core;
    if (told && core.type > kGpuDevice) return false;
    json.begin_object();
    if (told) {
        std::string_view name = bounded_text(core.name.data(), core.name.size());
        if (name.empty()) name = bounded_text(found.value.model.data(), found.value.model.size());
        if (!name.empty() && name != "unknown") json.field("name", name);
        if (core.type == kGpuDevice) json.field("integrated", int{(core.flags & kIntegratedFlag) != 0});
    }
    write_pci(json, library, device);
    write_memory(json, library, device);
    write_clocks(json, library, device);
    write_power(json, library, device);
    json.end_object();
    return true;
}

void write_answer(base::JsonWriter& json, const LoadedLibrary& library) {
    // Before 1.5 there is no zesInit: then the management functions take the handles of the plain ones. One device a
    // card, not one a tile, is to be listed.
    const auto init = library.find<Init>("zesInit", "zeInit");
    const bool own = library.find<Init>("zesInit") != nullptr;
    const auto get_drivers = library.find<List>(own ? "zesDriverGet" : "zeDriverGet");
    const auto get_devices = library.find<ListOf>(own ? "zesDeviceGet" : "zeDeviceGet");
    if (init == nullptr || get_drivers == nullptr || get_devices == nullptr) {
        json.field("lacks", init == nullptr ? "zeInit" : get_drivers == nullptr ? "zeDriverGet" : "zeDeviceGet");
        return;
    }
    const int code = init(0);
    json.field("init", code);
    if (code != kSuccess) return;
    std::uint32_t driver_count = 0;
    std::uint64_t count = 0;
    std::uint64_t others = 0;
    json.key("gpus").begin_array();
    const auto drivers =
        handles([&](std::uint32_t* n, Handle* out) { return get_drivers(n, out); }, kMaxGpuParts, driver_count);
    for (Handle driver : drivers) {
        std::uint32_t here = 0;
        const auto devices =
            handles([&](std::uint32_t* n, Handle* out) { return get_devices(driver, n, out); }, kMaxLibraryGpus, here);
        count += here;
        for (Handle device : devices) others += write_device(json, library, device) ? 0U : 1U;
    }
    json.end_array();
    json.field("count", count - others);
}

}  // namespace

std::string ask_level_zero(const std::vector<std::string>& files) {
    ::setenv("ZES_ENABLE_SYSMAN", "1", 1);
    ::setenv("ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE", 1);
    return ask_library(files, write_answer);
}

}  // namespace velollm::hardware
