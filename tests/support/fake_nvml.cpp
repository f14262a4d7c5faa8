// A library that answers like NVIDIA's management library, or as badly as one can. $FAKE_NVML_SCENE says how. Its
// structures are declared here and not taken from src, so that a mistake there shows.
//
// With FAKE_NVML_BARE it has no function of NVML at all, with FAKE_NVML_OLD only those of the library's first years.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#ifndef FAKE_NVML_BARE

namespace {

constexpr int kOk = 0;
constexpr int kNotSupported = 3;
constexpr int kNoPermission = 4;
constexpr int kDriverNotLoaded = 9;
constexpr int kGpuIsLost = 15;
constexpr int kMismatch = 18;
constexpr int kWrongVersion = 25;
constexpr int kUnknown = 999;

struct Memory {
    unsigned long long total, free, used;
};
[[maybe_unused]] constexpr unsigned kMemoryVersion = 0x02000028;
struct MemoryVersioned {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct Pci {
    char legacy[16];
    unsigned domain, bus, device, pci_device, pci_subsystem;
    char text[32];
};

// Handles: GPU n is 1 + n, slice n of a GPU is 101 + n.
char handles[256];
void* handle(unsigned number) {
    return handles + number;
}
unsigned number_of(void* device) {
    return static_cast<unsigned>(static_cast<char*>(device) - handles);
}
bool is_slice(void* device) {
    return number_of(device) > 100;
}

bool scene(std::string_view name) {
    const char* const chosen = std::getenv("FAKE_NVML_SCENE");
    return chosen != nullptr && name == chosen;
}

[[noreturn]] void hang() {
    for (;;) ::pause();
}

void crash() {
    volatile int* nowhere = nullptr;
    *nowhere = 1;
}

/// A helper program of the library that never ends; its number goes to a file.
void start_helper() {
    const pid_t pid = ::fork();
    if (pid == 0) hang();
    std::FILE* const file = std::fopen(std::getenv("FAKE_NVML_PID_FILE"), "w");
    std::fprintf(file, "%d", static_cast<int>(pid));
    std::fclose(file);
}

int put(char* into, unsigned length, const char* text) {
    std::strncpy(into, text, length);
    return kOk;
}

int start() {
    if (scene("hang-init")) hang();
    if (scene("crash-init")) crash();
    if (scene("abort")) std::abort();
    if (scene("exit")) std::_Exit(0);
    if (scene("mismatch")) return kMismatch;
    if (scene("no-driver")) return kDriverNotLoaded;
    if (scene("no-permission")) return kNoPermission;
    if (scene("unknown")) return kUnknown;
    if (scene("helper")) start_helper();
    if (scene("chatty")) {
        std::puts("{\"gpu\": \"from the library\"}");
        std::fputs("from the library\n", stderr);
        std::fflush(nullptr);
    }
    return kOk;
}

int count(unsigned* out) {
    *out = scene("two") || scene("lost") ? 2 : scene("many") ? 4'000'000'000U : scene("none") ? 0 : 1;
    return kOk;
}

int device(unsigned index, void** out) {
    if (scene("lost") && index == 1) return kGpuIsLost;
    if (scene("hang-device")) hang();
    *out = handle(1 + index);
    return kOk;
}

int pci(void* device, Pci* out) {
    std::memset(out, 0, sizeof *out);
    out->bus = scene("many") ? 1 : number_of(device);
    if (scene("absurd")) out->bus = 0x12345;
    if (scene("server")) out->bus = 0x41;
    std::snprintf(out->text, sizeof out->text, "%08X:%02X:%02X.0", out->domain, out->bus, out->device);
    return kOk;
}

int memory(void* device, Memory* out) {
    if (scene("gb10")) return kNotSupported;
    if (scene("mig") && !is_slice(device)) return kNoPermission;
    const unsigned long long gib = 1ULL << 30U;
    if (is_slice(device)) {
        *out = {5 * gib, 4 * gib + number_of(device) % 100 * (gib >> 2U), 0};
    } else if (scene("absurd")) {
        *out = {~0ULL, 5, 7};
    } else if (scene("more-free")) {
        *out = {gib, 2 * gib, 0};
    } else {
        *out = {24 * gib, 23 * gib, gib};
    }
    return kOk;
}

}  // namespace

extern "C" {

int nvmlDeviceGetName(void* device, char* name, unsigned length) {
    if (scene("crash-device")) crash();
    if (scene("no-text")) return kUnknown;
    if (scene("names")) {
        std::memset(name, 0xfe, length);  // no UTF-8, and no end
        return kOk;
    }
    if (is_slice(device)) return put(name, length, "NVIDIA A100-SXM4-40GB MIG 1g.5gb");
    if (scene("mig")) return put(name, length, "NVIDIA A100-SXM4-40GB");
    if (scene("gb10")) return put(name, length, "NVIDIA GB10");
    return put(name, length, "NVIDIA GeForce RTX 4090");
}

int nvmlDeviceGetMemoryInfo(void* device, Memory* out) {
    return memory(device, out);
}

#ifdef FAKE_NVML_OLD

int nvmlInit() {
    return start();
}
int nvmlDeviceGetCount(unsigned* out) {
    return count(out);
}
int nvmlDeviceGetHandleByIndex(unsigned index, void** out) {
    return device(index, out);
}
int nvmlDeviceGetPciInfo_v2(void* device, Pci* out) {
    return pci(device, out);
}

#else

int nvmlInit_v2() {
    return start();
}
int nvmlDeviceGetCount_v2(unsigned* out) {
    return count(out);
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** out) {
    return device(index, out);
}
int nvmlDeviceGetPciInfo_v3(void* device, Pci* out) {
    return pci(device, out);
}
int nvmlSystemGetDriverVersion(char* text, unsigned length) {
    return put(text, length, "560.35.03");
}
int nvmlSystemGetNVMLVersion(char* text, unsigned length) {
    return put(text, length, "12.565.57");
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
    *version = scene("absurd") ? -7 : 12060;
    return kOk;
}
int nvmlDeviceGetMemoryInfo_v2(void* device, MemoryVersioned* out) {
    if (out->version != kMemoryVersion) return kWrongVersion;
    if (scene("wsl")) return kUnknown;
    Memory plain{};
    if (const int code = memory(device, &plain); code != kOk) return code;
    const unsigned long long reserved = 512ULL << 20U;
    *out = {kMemoryVersion, plain.total, reserved, plain.free - (scene("more-free") ? 0 : reserved), 0};
    return kOk;
}
int nvmlDeviceGetCudaComputeCapability(void*, int* major, int* minor) {
    *major = scene("absurd") ? -1 : scene("mig") ? 8 : scene("gb10") ? 12 : 8;
    *minor = scene("mig") ? 0 : scene("gb10") ? 1 : 9;
    return kOk;
}
int nvmlDeviceGetCurrPcieLinkGeneration(void*, unsigned* out) {
    *out = scene("absurd") ? 77 : 1;
    return kOk;
}
int nvmlDeviceGetCurrPcieLinkWidth(void*, unsigned* out) {
    *out = 8;
    return kOk;
}
int nvmlDeviceGetMaxPcieLinkGeneration(void*, unsigned* out) {
    *out = 4;
    return kOk;
}
int nvmlDeviceGetMaxPcieLinkWidth(void*, unsigned* out) {
    *out = 16;
    return kOk;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* out) {
    *out = scene("absurd") ? 0xffffffffU : 450'000;
    return scene("gb10") ? kNotSupported : kOk;
}
int nvmlDeviceGetMemoryBusWidth(void*, unsigned* out) {
    *out = 384;
    return scene("gb10") ? kNotSupported : kOk;
}
int nvmlDeviceGetClockInfo(void*, int type, unsigned* out) {
    *out = type == 2 ? 405 : 210;
    return kOk;
}
int nvmlDeviceGetUtilizationRates(void*, unsigned* out) {
    out[0] = 97;
    out[1] = 60;
    return kOk;
}
/// Swings between 300 and 330 W.
int nvmlDeviceGetPowerUsage(void*, unsigned* out) {
    static unsigned calls = 0;
    *out = 300'000 + ++calls % 2 * 30'000;
    return kOk;
}
int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* out) {
    static unsigned long long millijoules = 1'000'000;
    *out = millijoules += 63'000;
    return kOk;
}
int nvmlDeviceGetTemperature(void*, int, unsigned* out) {
    *out = 71;
    return kOk;
}
int nvmlDeviceGetCurrentClocksEventReasons(void*, unsigned long long* out) {
    *out = scene("hot") ? 0x40 : 0x4;
    return kOk;
}
int nvmlDeviceGetMaxClockInfo(void*, int type, unsigned* out) {
    *out = scene("absurd") ? 0xffffffffU : type == 2 ? 10501 : 3105;
    return kOk;
}
int nvmlDeviceGetEccMode(void*, unsigned* current, unsigned* pending) {
    *current = scene("absurd") ? 9 : 0;
    *pending = 1;
    return scene("gb10") ? kNotSupported : kOk;
}
int nvmlDeviceGetMigMode(void*, unsigned* current, unsigned* pending) {
    *current = scene("mig") || scene("many-slices") ? 1 : 0;
    *pending = 0;
    return scene("mig") || scene("many-slices") ? kOk : kNotSupported;
}
int nvmlDeviceGetMaxMigDeviceCount(void*, unsigned* out) {
    *out = scene("mig") ? 7 : scene("many-slices") ? 3'000'000'000U : 0;
    return kOk;
}
/// Slice 1 has been destroyed: there are gaps.
int nvmlDeviceGetMigDeviceHandleByIndex(void*, unsigned index, void** out) {
    if (scene("mig") && (index == 1 || index > 2)) return 6;
    *out = handle(101 + index % 100);
    return kOk;
}

#endif
}  // extern "C"

#else

extern "C" int some_other_library() {
    return 0;
}

#endif
