#pragma once

#include <array>
#include <cstdint>

/// The few types of Vulkan that are used here, declared anew from vulkan_core.h 1.3.239, whose structures never change.
namespace velollm::hardware::vulkan {

using Handle = void*;

enum Result : int { kSuccess = 0, kIncomplete = 5, kNoDriver = -9 };  ///< VK_ERROR_INCOMPATIBLE_DRIVER

enum Kind : int {
    kApplication = 0,
    kInstanceCreate = 1,
    kProperties2 = 1000059001,
    kMemoryProperties2 = 1000059006,
    kPciBusInfo = 1000212000,
    kMemoryBudget = 1000237000,
};

enum DeviceType : std::uint32_t { kIntegrated = 1, kDiscrete = 2, kVirtual = 3, kCpu = 4 };

constexpr std::uint32_t kVersion11 = 1U << 22U | 1U << 12U;
constexpr std::uint32_t kDeviceLocal = 1;  ///< VK_MEMORY_HEAP_DEVICE_LOCAL_BIT

struct Application {
    int stype = kApplication;
    const void* next = nullptr;
    const char* name = nullptr;
    std::uint32_t version = 0;
    const char* engine = nullptr;
    std::uint32_t engine_version = 0;
    std::uint32_t api_version = kVersion11;
};
static_assert(sizeof(Application) == 48);

struct InstanceCreate {
    int stype = kInstanceCreate;
    const void* next = nullptr;
    std::uint32_t flags = 0;
    const Application* application = nullptr;
    std::uint32_t layers = 0;
    const char* const* layer_names = nullptr;
    std::uint32_t extensions = 0;
    const char* const* extension_names = nullptr;
};
static_assert(sizeof(InstanceCreate) == 64);

/// The start of VkPhysicalDeviceProperties2; limits follow.
struct Properties2 {
    int stype;
    void* next;
    std::uint32_t api_version;
    std::uint32_t driver_version;
    std::uint32_t vendor;
    std::uint32_t device;
    std::uint32_t type;
    std::array<char, 256> name;
};
static_assert(sizeof(Properties2) == 296);

struct PciBusInfo {
    int stype;
    void* next;
    std::uint32_t domain;
    std::uint32_t bus;
    std::uint32_t device;
    std::uint32_t function;
};
static_assert(sizeof(PciBusInfo) == 32);

struct Heap {
    std::uint64_t bytes;
    std::uint32_t flags;
};

struct MemoryProperties2 {
    int stype;
    void* next;
    std::uint32_t type_count;
    std::array<std::uint32_t, 64> types;  ///< 32 of two numbers, of no use here
    std::uint32_t heap_count;
    std::array<Heap, 16> heaps;
};
static_assert(sizeof(MemoryProperties2) == 536);

struct MemoryBudget {
    int stype;
    void* next;
    std::array<std::uint64_t, 16> budget;
    std::array<std::uint64_t, 16> usage;
};
static_assert(sizeof(MemoryBudget) == 272);

struct Extension {
    std::array<char, 256> name;
    std::uint32_t version;
};
static_assert(sizeof(Extension) == 260);

using CreateInstance = int (*)(const InstanceCreate*, const void*, Handle*);
using ListDevices = int (*)(Handle, std::uint32_t*, Handle*);
using ListExtensions = int (*)(Handle, const char*, std::uint32_t*, Extension*);
using GetProperties = void (*)(Handle, Properties2*);
using GetMemory = void (*)(Handle, MemoryProperties2*);

}  // namespace velollm::hardware::vulkan
