#pragma once

#include <array>
#include <cstdint>

/// The few types of oneAPI Level Zero that are used here, declared anew from ze_api.h and zes_api.h of its loader
/// (https://github.com/oneapi-src/level-zero): those of 1.8.12 and of 1.32.0, which are alike in these. zesInit came
/// in between, with version 1.5 of the interface.
namespace velollm::hardware::level_zero {

using Handle = void*;
using Flag = std::uint8_t;  ///< ze_bool_t

enum Result : int {
    kSuccess = 0,
    kNoPermission = 0x70010000,   ///< ZE_RESULT_ERROR_INSUFFICIENT_PERMISSIONS
    kNoDependency = 0x70020000,   ///< ZE_RESULT_ERROR_DEPENDENCY_UNAVAILABLE
    kUninitialized = 0x78000001,  ///< ZE_RESULT_ERROR_UNINITIALIZED: no driver was found
    kNothingThere = 0x78000003,   ///< ZE_RESULT_ERROR_UNSUPPORTED_FEATURE
};

/// Values of `stype`.
enum Kind : int {
    kDeviceProperties = 0x1,
    kPciProperties = 0x2,
    kFrequencyProperties = 0x9,
    kMemoryProperties = 0xb,
    kPciState = 0x17,
    kMemoryState = 0x1e,
    kPowerLimit = 0x27,
    kCoreDeviceProperties = 0x3,  ///< among those of ze_api.h
};

constexpr std::uint32_t kGpuDevice = 1;        ///< ZE_DEVICE_TYPE_GPU
constexpr std::uint32_t kIntegratedFlag = 1;   ///< ZE_DEVICE_PROPERTY_FLAG_INTEGRATED
constexpr std::uint32_t kDeviceMemory = 1;     ///< ZES_MEM_LOC_DEVICE
constexpr std::uint32_t kGpuFrequency = 0;     ///< ZES_FREQ_DOMAIN_GPU
constexpr std::uint32_t kMemoryFrequency = 1;  ///< ZES_FREQ_DOMAIN_MEMORY
constexpr std::uint32_t kSustainedLevel = 1;   ///< ZES_POWER_LEVEL_SUSTAINED
constexpr std::uint32_t kPowerUnit = 2;        ///< ZES_LIMIT_UNIT_POWER: milliwatts

/// ze_device_properties_t
struct CoreProperties {
    int stype;
    void* next;
    std::uint32_t type;
    std::uint32_t vendor_id;
    std::uint32_t device_id;
    std::uint32_t flags;
    std::uint32_t subdevice_id;
    std::uint32_t core_clock_mhz;
    std::uint64_t max_allocation;
    std::array<std::uint32_t, 7> units;
    std::uint64_t timer_resolution;
    std::array<std::uint32_t, 2> timestamp_bits;
    std::array<std::uint8_t, 16> uuid;
    std::array<char, 256> name;
};
static_assert(sizeof(CoreProperties) == 368);

/// zes_device_properties_t
struct DeviceProperties {
    int stype;
    void* next;
    CoreProperties core;
    std::uint32_t subdevices;
    std::array<char, 64> serial;
    std::array<char, 64> board;
    std::array<char, 64> brand;
    std::array<char, 64> model;
    std::array<char, 64> vendor;
    std::array<char, 64> driver_version;
};
static_assert(sizeof(DeviceProperties) == 776);

struct PciSpeed {
    std::int32_t generation;  ///< -1: unknown
    std::int32_t lanes;       ///< -1: unknown
    std::int64_t bytes_per_second;
};

/// zes_pci_properties_t
struct PciProperties {
    int stype;
    void* next;
    std::uint32_t domain;
    std::uint32_t bus;
    std::uint32_t device;
    std::uint32_t function;
    PciSpeed max_speed;
    std::array<Flag, 3> counters;
};
static_assert(sizeof(PciProperties) == 56);

/// zes_pci_state_t
struct PciState {
    int stype;
    const void* next;
    std::uint32_t status;
    std::uint32_t quality;
    std::uint32_t stability;
    PciSpeed speed;
};
static_assert(sizeof(PciState) == 48);

/// zes_mem_properties_t
struct MemoryProperties {
    int stype;
    void* next;
    std::int32_t type;
    Flag on_subdevice;
    std::uint32_t subdevice_id;
    std::uint32_t location;
    std::uint64_t physical_bytes;  ///< 0: unknown
    std::int32_t bus_bits;         ///< -1: unknown
    std::int32_t channels;         ///< -1: unknown
};
static_assert(sizeof(MemoryProperties) == 48);

/// zes_mem_state_t
struct MemoryState {
    int stype;
    const void* next;
    std::uint32_t health;
    std::uint64_t free_bytes;
    std::uint64_t size_bytes;
};
static_assert(sizeof(MemoryState) == 40);

/// zes_mem_bandwidth_t
struct MemoryBandwidth {
    std::uint64_t read_bytes;
    std::uint64_t written_bytes;
    std::uint64_t max_bytes_per_second;
    std::uint64_t timestamp;
};
static_assert(sizeof(MemoryBandwidth) == 32);

/// zes_freq_properties_t
struct FrequencyProperties {
    int stype;
    void* next;
    std::uint32_t domain;
    Flag on_subdevice;
    std::uint32_t subdevice_id;
    Flag can_control;
    Flag throttle_event;
    double min_mhz;
    double max_mhz;
};
static_assert(sizeof(FrequencyProperties) == 48);

/// zes_power_sustained_limit_t
struct SustainedLimit {
    Flag enabled;
    std::int32_t milliwatts;
    std::int32_t interval_ms;
};
static_assert(sizeof(SustainedLimit) == 12);

/// zes_power_limit_ext_desc_t
struct PowerLimit {
    int stype;
    const void* next;
    std::uint32_t level;
    std::uint32_t source;
    std::uint32_t unit;
    Flag enabled_locked;
    Flag enabled;
    Flag interval_locked;
    std::int32_t interval_ms;
    Flag value_locked;
    std::int32_t limit;
};
static_assert(sizeof(PowerLimit) == 48);

using Init = int (*)(std::uint32_t);
using List = int (*)(std::uint32_t*, Handle*);            ///< drivers
using ListOf = int (*)(Handle, std::uint32_t*, Handle*);  ///< what belongs to a driver or device
using OneOf = int (*)(Handle, Handle*);
using GetLimits = int (*)(Handle, SustainedLimit*, void*, void*);
using GetLimitsExt = int (*)(Handle, std::uint32_t*, PowerLimit*);
template <typename T>
using Get = int (*)(Handle, T*);

}  // namespace velollm::hardware::level_zero
