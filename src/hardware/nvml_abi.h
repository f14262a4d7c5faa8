#pragma once

#include <array>
#include <cstdint>

/// The few types of NVIDIA's management library (NVML) that are used here, declared anew from its public API reference
/// (https://docs.nvidia.com/deploy/nvml-api): libnvidia-ml.so.1 belongs to the driver and can't be linked.
namespace velollm::hardware::nvml {

using Device = void*;

/// Return codes; what isn't listed is only ever shown as its number.
enum Code : int {
    kSuccess = 0,
    kNotSupported = 3,
    kNoPermission = 4,
    kDriverNotLoaded = 9,
    kGpuIsLost = 15,
    kLibraryMismatch = 18,
};

enum Clock : int { kGraphicsClock = 0, kMemoryClock = 2 };

struct PciInfo {
    std::array<char, 16> bus_id_legacy;
    unsigned domain;
    unsigned bus;
    unsigned device;
    unsigned pci_device_id;
    unsigned pci_subsystem_id;
    std::array<char, 32> bus_id;
};
static_assert(sizeof(PciInfo) == 68);

struct MemoryV1 {
    std::uint64_t total;
    std::uint64_t free;
    std::uint64_t used;  ///< with what the driver keeps for itself
};
static_assert(sizeof(MemoryV1) == 24);

struct MemoryV2 {
    unsigned version;
    std::uint64_t total;
    std::uint64_t reserved;
    std::uint64_t free;
    std::uint64_t used;
};
static_assert(sizeof(MemoryV2) == 40);

/// What the library wants in MemoryV2::version: the size, and the version in the highest byte.
constexpr unsigned kMemoryV2Version = sizeof(MemoryV2) | 2U << 24U;

using Init = int (*)();
using SystemText = int (*)(char*, unsigned);
using SystemInt = int (*)(int*);
using Count = int (*)(unsigned*);
using HandleByIndex = int (*)(unsigned, Device*);
using DeviceText = int (*)(Device, char*, unsigned);
using DevicePci = int (*)(Device, PciInfo*);
using DeviceMemoryV1 = int (*)(Device, MemoryV1*);
using DeviceMemoryV2 = int (*)(Device, MemoryV2*);
using DeviceNumber = int (*)(Device, unsigned*);
using DeviceTwoNumbers = int (*)(Device, unsigned*, unsigned*);
using DeviceClock = int (*)(Device, int, unsigned*);
using DeviceTwoInts = int (*)(Device, int*, int*);
using MigByIndex = int (*)(Device, unsigned, Device*);

}  // namespace velollm::hardware::nvml
