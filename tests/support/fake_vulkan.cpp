// A library that answers like Vulkan's loader, or as badly as one can. $FAKE_VULKAN_SCENE says how. Its structures are
// declared here and not taken from src, so that a mistake there shows.

#include <cstdint>

#include "fake_scenes.h"

namespace {

using namespace velollm::fake;

constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;

bool scene(std::string_view name) {
    return plays("FAKE_VULKAN_SCENE", name);
}

struct Chain {
    int stype;
    Chain* next;
};
struct Properties {
    Chain head;
    std::uint32_t api, driver, vendor, device, type;
    char name[256];
};
struct Pci {
    Chain head;
    std::uint32_t domain, bus, device, function;
};
struct Memory {
    Chain head;
    std::uint32_t type_count;
    struct {
        std::uint32_t flags, heap;
    } types[32];
    std::uint32_t heap_count;
    struct {
        std::uint64_t size;
        std::uint32_t flags;
    } heaps[16];
};
struct Budget {
    Chain head;
    std::uint64_t budget[16], usage[16];
};
struct Extension {
    char name[256];
    std::uint32_t version;
};
struct Create {
    Chain head;
    std::uint32_t flags;
    const struct {
        Chain head;
        const char* name;
        std::uint32_t version;
        const char* engine;
        std::uint32_t engine_version, api;
    } * application;
};

char handles[8];

}  // namespace

extern "C" {

int vkCreateInstance(const Create* wanted, const void*, void** out) {
    if (wanted->head.stype != 1 || wanted->application->api != 0x401000) return -3;
    if (scene("hang")) hang();
    if (scene("crash")) crash();
    if (scene("no-driver")) return -9;
    *out = handles;
    return 0;
}
int vkEnumeratePhysicalDevices(void*, std::uint32_t* count, void** out) {
    const std::uint32_t have = scene("many") ? 4'000'000'000U : 1;
    if (out == nullptr) {
        *count = have;
        return 0;
    }
    for (std::uint32_t i = 0; i < *count; ++i) out[i] = handles + 1;
    return *count < have ? 5 : 0;
}
int vkEnumerateDeviceExtensionProperties(void*, const char*, std::uint32_t* count, Extension* out) {
    if (scene("bare")) {
        *count = 0;
        return 0;
    }
    if (out != nullptr && *count >= 2) {
        std::strcpy(out[0].name, "VK_EXT_pci_bus_info");
        std::strcpy(out[1].name, "VK_EXT_memory_budget");
    }
    *count = 2;
    return 0;
}
void vkGetPhysicalDeviceProperties2(void*, Properties* out) {
    if (out->head.stype != 1000059001) return;
    out->vendor = 0x10de;
    out->type = scene("integrated") ? 1 : scene("software") ? 4 : 2;
    if (scene("names")) {
        put_endless(out->name, sizeof out->name);
    } else {
        std::strcpy(out->name, "NVIDIA by Vulkan");
    }
    auto* const pci = reinterpret_cast<Pci*>(out->head.next);
    if (pci == nullptr || pci->head.stype != 1000212000) return;
    pci->bus = scene("absurd") ? 0x12345 : 1;
}
void vkGetPhysicalDeviceMemoryProperties2(void*, Memory* out) {
    if (out->head.stype != 1000059006) return;
    out->heap_count = scene("absurd") ? 4'000'000'000U : 2;
    out->heaps[0] = {scene("absurd") ? std::uint64_t{1} << 63U : 8 * kGib, 1};
    out->heaps[1] = {32 * kGib, 0};
    auto* const budget = reinterpret_cast<Budget*>(out->head.next);
    if (budget == nullptr || budget->head.stype != 1000237000) return;
    budget->budget[0] = 6 * kGib;
    budget->budget[1] = 30 * kGib;
}

}  // extern "C"
