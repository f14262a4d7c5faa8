// A library that answers like the loader of oneAPI Level Zero, or as badly as one can. $FAKE_LEVEL_ZERO_SCENE says how.
// Its structures are declared here and not taken from src, so that a mistake there shows.
//
// With FAKE_LEVEL_ZERO_OLD it has no zesInit, and devices have to be asked for by the functions of ze_api.h.

#include <cstdint>

#include "fake_scenes.h"

namespace {

using namespace velollm::fake;

constexpr int kOk = 0;
constexpr int kNoPermission = 0x70010000;
constexpr int kUninitialized = 0x78000001;
constexpr int kUnsupported = 0x78000003;
constexpr int kWrongKind = 0x7800000c;
constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;

struct Core {
    int stype;
    void* next;
    std::uint32_t type, vendor, device, flags, subdevice, clock;
    std::uint64_t max_alloc;
    std::uint32_t contexts, priority, threads, width, units, subslices, slices;
    std::uint64_t timer;
    std::uint32_t bits, kernel_bits;
    std::uint8_t uuid[16];
    char name[256];
};
struct Device {
    int stype;
    void* next;
    Core core;
    std::uint32_t subdevices;
    char serial[64], board[64], brand[64], model[64], vendor[64], driver[64];
};
struct Speed {
    std::int32_t gen, width;
    std::int64_t bandwidth;
};
struct Pci {
    int stype;
    void* next;
    std::uint32_t domain, bus, device, function;
    Speed max;
    std::uint8_t counters[3];
};
struct PciNow {
    int stype;
    const void* next;
    std::uint32_t status, quality, stability;
    Speed speed;
};
struct Memory {
    int stype;
    void* next;
    std::int32_t type;
    std::uint8_t on_subdevice;
    std::uint32_t subdevice, location;
    std::uint64_t physical;
    std::int32_t bus, channels;
};
struct MemoryNow {
    int stype;
    const void* next;
    std::uint32_t health;
    std::uint64_t free, size;
};
struct Bandwidth {
    std::uint64_t read, written, max, timestamp;
};
struct Frequency {
    int stype;
    void* next;
    std::uint32_t type;
    std::uint8_t on_subdevice;
    std::uint32_t subdevice;
    std::uint8_t can_control, throttle;
    double min, max;
};
struct Sustained {
    std::uint8_t enabled;
    std::int32_t power, interval;
};
struct Limit {
    int stype;
    const void* next;
    std::uint32_t level, source, unit;
    std::uint8_t enabled_locked, enabled, interval_locked;
    std::int32_t interval;
    std::uint8_t limit_locked;
    std::int32_t limit;
};

bool scene(std::string_view name) {
    return plays("FAKE_LEVEL_ZERO_SCENE", name);
}

// Handles: driver 1, device 10 + n, memory module 20 + n, frequency 40 + domain, power domain 50.
char handles[64];
void* handle(unsigned number) {
    return handles + number;
}
unsigned number_of(void* thing) {
    return static_cast<unsigned>(static_cast<char*>(thing) - handles);
}

int list(unsigned have, unsigned first, std::uint32_t* count, void** out) {
    if (scene("many") && first != 1) {
        *count = out == nullptr ? 4'000'000'000U : *count;
        for (unsigned i = 0; out != nullptr && i < *count; ++i) out[i] = handle(first);
        return kOk;
    }
    if (out == nullptr || *count > have) *count = have;
    for (unsigned i = 0; out != nullptr && i < *count; ++i) out[i] = handle(first + i);
    return kOk;
}

int start() {
    if (scene("hang-init")) hang();
    if (scene("crash-init")) crash();
    if (scene("no-driver")) return kUninitialized;
    if (scene("no-permission")) return kNoPermission;
    if (scene("unknown")) return 0x7ffffffe;
    if (scene("chatty")) say_something();
    return kOk;
}

int drivers(std::uint32_t* count, void** out) {
    return list(1, 1, count, out);
}

int devices(std::uint32_t* count, void** out) {
    return list(scene("none") ? 0 : scene("npu") ? 2 : 1, 10, count, out);
}

}  // namespace

extern "C" {

#ifdef FAKE_LEVEL_ZERO_OLD
int zeInit(std::uint32_t) {
    const char* const wanted = std::getenv("ZES_ENABLE_SYSMAN");
    const char* const hierarchy = std::getenv("ZE_FLAT_DEVICE_HIERARCHY");
    const bool right = wanted != nullptr && hierarchy != nullptr && std::string_view(hierarchy) == "COMPOSITE";
    return right ? start() : kUninitialized;
}
int zeDriverGet(std::uint32_t* count, void** out) {
    return drivers(count, out);
}
int zeDeviceGet(void*, std::uint32_t* count, void** out) {
    return devices(count, out);
}
#else
int zesInit(std::uint32_t) {
    return start();
}
int zesDriverGet(std::uint32_t* count, void** out) {
    return drivers(count, out);
}
int zesDeviceGet(void*, std::uint32_t* count, void** out) {
    return devices(count, out);
}
#endif

int zesDeviceGetProperties(void* device, Device* out) {
    if (scene("hang-device")) hang();
    if (scene("crash-device")) crash();
    if (out->stype != 0x1 || out->core.stype != 0x3) return kWrongKind;
    out->core.type = scene("npu") && number_of(device) == 11 ? 5 : 1;
    out->core.vendor = 0x8086;
    out->core.flags = scene("integrated") ? 1 : 0;
    if (scene("names")) {
        put_endless(out->core.name, sizeof out->core.name);
    } else if (scene("model")) {
        std::strcpy(out->model, "Arc by its model");
    } else {
        std::strcpy(out->core.name, "Intel(R) Arc(TM) A770 Graphics");
    }
    return kOk;
}
int zesDevicePciGetProperties(void*, Pci* out) {
    if (out->stype != 0x2) return kWrongKind;
    out->bus = scene("absurd") ? 0x12345 : scene("integrated") ? 0 : 3;
    out->device = scene("integrated") ? 2 : 0;
    out->max = {scene("absurd") ? 77 : 4, 16, -1};
    return kOk;
}
int zesDevicePciGetState(void*, PciNow* out) {
    if (out->stype != 0x17) return kWrongKind;
    out->speed = {-1, 8, -1};
    return kOk;
}
int zesDeviceEnumMemoryModules(void*, std::uint32_t* count, void** out) {
    return list(scene("tiles") ? 3 : 1, 20, count, out);
}
int zesMemoryGetProperties(void* module, Memory* out) {
    if (out->stype != 0xb) return kWrongKind;
    out->type = scene("tiles") ? 0 : scene("plain") ? 1 : 17;
    out->location = scene("integrated") || number_of(module) == 22 ? 0 : 1;
    out->bus = scene("tiles") || scene("constant") ? 128 : scene("plain") ? -1 : 256;
    out->channels = scene("tiles") ? 32 : scene("plain") ? -1 : 8;
    return kOk;
}
int zesMemoryGetState(void*, MemoryNow* out) {
    if (out->stype != 0x1e) return kWrongKind;
    out->size = scene("absurd") ? std::uint64_t{1} << 63U : scene("smaller") ? 8 * kGib : 16 * kGib;
    out->free = scene("all-free") || scene("absurd") ? out->size : scene("more-free") ? 20 * kGib : 7 * kGib;
    return kOk;
}
int zesMemoryGetBandwidth(void*, Bandwidth* out) {
    if (scene("plain")) return kNoPermission;
    out->max = scene("absurd") ? ~std::uint64_t{0} : std::uint64_t{560'000'000'000};
    return kOk;
}
int zesDeviceEnumFrequencyDomains(void*, std::uint32_t* count, void** out) {
    return list(2, 40, count, out);
}
int zesFrequencyGetProperties(void* domain, Frequency* out) {
    if (out->stype != 0x9) return kWrongKind;
    out->type = number_of(domain) - 40;
    out->max = scene("absurd") ? 1e300 : out->type == 1 ? 2187 : 2400;
    return kOk;
}
int zesDeviceGetCardPowerDomain(void*, void** out) {
    *out = handle(55);
    return scene("plain") ? kOk : kUnsupported;
}
int zesDeviceEnumPowerDomains(void*, std::uint32_t* count, void** out) {
    return list(1, 50, count, out);
}
int zesPowerGetLimits(void* domain, Sustained* sustained, void*, void*) {
    *sustained = {1, number_of(domain) == 55 ? 225'000 : scene("absurd") ? 2'000'000'000 : 150'000, 0};
    return kOk;
}
#ifndef FAKE_LEVEL_ZERO_OLD
int zesPowerGetLimitsExt(void*, std::uint32_t* count, Limit* out) {
    if (scene("plain") || scene("absurd")) return kUnsupported;
    if (*count < 2 || out[0].stype != 0x27 || out[1].stype != 0x27) return kWrongKind;
    *count = 2;
    out[0].level = 3;
    out[0].unit = 1;
    out[0].limit = 300'000;
    out[1].level = 1;
    out[1].unit = 2;
    out[1].limit = 190'000;
    return kOk;
}
#endif

}  // extern "C"
