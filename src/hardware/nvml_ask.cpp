#include "hardware/nvml_ask.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/json_writer.h"
#include "hardware/loaded_library.h"
#include "hardware/nvml_abi.h"

namespace velollm::hardware {
namespace {

using namespace nvml;

/// The number that `name` gives for a device.
void number(base::JsonWriter& json, const LoadedLibrary& library, const char* key, const char* name, Device device) {
    unsigned value = 0;
    const auto get = library.find<DeviceNumber>(name);
    if (get != nullptr && get(device, &value) == kSuccess) json.field(key, std::uint64_t{value});
}

void clock(base::JsonWriter& json, const LoadedLibrary& library, const char* key, const char* name, Device device,
           Clock which) {
    unsigned value = 0;
    const auto get = library.find<DeviceClock>(name);
    if (get != nullptr && get(device, which, &value) == kSuccess) json.field(key, std::uint64_t{value});
}

/// One byte longer than what the library may fill: it isn't trusted to write the NUL.
using Buffer = std::array<char, 129>;

std::string_view text_of(const Buffer& buffer) {
    return bounded_text(buffer.data(), buffer.size());
}

void device_name(base::JsonWriter& json, const LoadedLibrary& library, Device device) {
    Buffer name{};
    const auto get = library.find<DeviceText>("nvmlDeviceGetName");
    if (get != nullptr && get(device, name.data(), name.size() - 1) == kSuccess) json.field("name", text_of(name));
}

/// The second form knows what the driver keeps for itself; WSL's library has it and fails.
void device_memory(base::JsonWriter& json, const LoadedLibrary& library, Device device) {
    MemoryV2 newer{};
    newer.version = kMemoryV2Version;
    const auto get_newer = library.find<DeviceMemoryV2>("nvmlDeviceGetMemoryInfo_v2");
    if (get_newer != nullptr && get_newer(device, &newer) == kSuccess) {
        json.field("total", newer.total).field("free", newer.free).field("reserved", newer.reserved);
        return;
    }
    MemoryV1 older{};
    const auto get_older = library.find<DeviceMemoryV1>("nvmlDeviceGetMemoryInfo");
    if (get_older == nullptr) return;
    const int code = get_older(device, &older);
    json.field("memory_code", code);
    if (code == kSuccess) json.field("total", older.total).field("free", older.free);
}

void device_pci(base::JsonWriter& json, const LoadedLibrary& library, Device device) {
    PciInfo pci{};
    const auto get = library.find<DevicePci>("nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2");
    if (get == nullptr || get(device, &pci) != kSuccess) return;
    json.field("domain", std::uint64_t{pci.domain});
    json.field("bus", std::uint64_t{pci.bus});
    json.field("device", std::uint64_t{pci.device});
}

void two_flags(base::JsonWriter& json, const LoadedLibrary& library, const char* key, const char* name, Device device) {
    unsigned current = 0;
    unsigned pending = 0;
    const auto get = library.find<DeviceTwoNumbers>(name);
    if (get != nullptr && get(device, &current, &pending) == kSuccess) json.field(key, std::uint64_t{current});
}

/// Slices are numbered with gaps.
void device_slices(base::JsonWriter& json, const LoadedLibrary& library, Device device) {
    const auto get_count = library.find<DeviceNumber>("nvmlDeviceGetMaxMigDeviceCount");
    const auto get_slice = library.find<MigByIndex>("nvmlDeviceGetMigDeviceHandleByIndex");
    unsigned count = 0;
    if (get_count == nullptr || get_slice == nullptr || get_count(device, &count) != kSuccess) return;
    json.field("slice_count", std::uint64_t{count});
    json.key("slices").begin_array();
    for (unsigned index = 0; index < std::min(count, kMaxGpuParts); ++index) {
        Device slice = nullptr;
        if (get_slice(device, index, &slice) != kSuccess || slice == nullptr) continue;
        json.begin_object();
        device_name(json, library, slice);
        device_memory(json, library, slice);
        json.end_object();
    }
    json.end_array();
}

void write_device(base::JsonWriter& json, const LoadedLibrary& library, Device device) {
    json.begin_object();
    device_name(json, library, device);
    device_pci(json, library, device);
    device_memory(json, library, device);
    int major = 0;
    int minor = 0;
    const auto capability = library.find<DeviceTwoInts>("nvmlDeviceGetCudaComputeCapability");
    if (capability != nullptr && capability(device, &major, &minor) == kSuccess)
        json.field("capability_major", major).field("capability_minor", minor);
    number(json, library, "pcie_generation", "nvmlDeviceGetCurrPcieLinkGeneration", device);
    number(json, library, "pcie_lanes", "nvmlDeviceGetCurrPcieLinkWidth", device);
    number(json, library, "pcie_max_generation", "nvmlDeviceGetMaxPcieLinkGeneration", device);
    number(json, library, "pcie_max_lanes", "nvmlDeviceGetMaxPcieLinkWidth", device);
    number(json, library, "power_limit_mw", "nvmlDeviceGetEnforcedPowerLimit", device);
    number(json, library, "memory_bus_bits", "nvmlDeviceGetMemoryBusWidth", device);
    clock(json, library, "core_mhz", "nvmlDeviceGetClockInfo", device, kGraphicsClock);
    clock(json, library, "memory_mhz", "nvmlDeviceGetClockInfo", device, kMemoryClock);
    clock(json, library, "max_core_mhz", "nvmlDeviceGetMaxClockInfo", device, kGraphicsClock);
    clock(json, library, "max_memory_mhz", "nvmlDeviceGetMaxClockInfo", device, kMemoryClock);
    two_flags(json, library, "ecc", "nvmlDeviceGetEccMode", device);
    two_flags(json, library, "mig", "nvmlDeviceGetMigMode", device);
    device_slices(json, library, device);
    json.end_object();
}

void write_devices(base::JsonWriter& json, const LoadedLibrary& library) {
    const auto get_count = library.find<Count>("nvmlDeviceGetCount_v2", "nvmlDeviceGetCount");
    const auto get_device = library.find<HandleByIndex>("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex");
    unsigned count = 0;
    if (get_count == nullptr || get_device == nullptr || get_count(&count) != kSuccess) return;
    json.field("count", std::uint64_t{count});
    json.key("gpus").begin_array();
    for (unsigned index = 0; index < std::min(count, kMaxLibraryGpus); ++index) {
        Device device = nullptr;
        const int code = get_device(index, &device);
        if (code == kSuccess && device != nullptr) {
            write_device(json, library, device);
        } else {
            json.begin_object().field("handle_code", code).end_object();
        }
    }
    json.end_array();
}

void write_answer(base::JsonWriter& json, const LoadedLibrary& library) {
    const auto init = library.find<Init>("nvmlInit_v2", "nvmlInit");
    if (init == nullptr) {
        json.field("lacks", "nvmlInit_v2");
        return;
    }
    const int code = init();
    json.field("init", code);
    // The library's own version is all that can be asked for when it has refused to start.
    Buffer version{};
    const auto get_version =
        library.find<SystemText>(code == kSuccess ? "nvmlSystemGetDriverVersion" : "nvmlSystemGetNVMLVersion");
    if (get_version != nullptr && get_version(version.data(), version.size() - 1) == kSuccess)
        json.field(code == kSuccess ? "driver" : "library", text_of(version));
    if (code != kSuccess) return;
    int cuda = 0;
    const auto get_cuda =
        library.find<SystemInt>("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion");
    if (get_cuda != nullptr && get_cuda(&cuda) == kSuccess) json.field("cuda", cuda);
    write_devices(json, library);
    // No nvmlShutdown: the process ends, and a library that hangs there would take its answer with it.
}

}  // namespace

std::string ask_nvml(const std::vector<std::string>& files) {
    return ask_library(files, write_answer);
}

}  // namespace velollm::hardware
