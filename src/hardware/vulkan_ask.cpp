#include "hardware/vulkan_ask.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/json_writer.h"
#include "hardware/loaded_library.h"
#include "hardware/vulkan_abi.h"

namespace velollm::hardware {
namespace {

using namespace vulkan;

bool has_extension(const LoadedLibrary& library, Handle device, std::string_view name) {
    constexpr std::uint32_t kMost = 1024;
    const auto list = library.find<ListExtensions>("vkEnumerateDeviceExtensionProperties");
    std::uint32_t count = 0;
    if (list == nullptr || list(device, nullptr, &count, nullptr) != kSuccess) return false;
    count = std::min(count, kMost);
    std::vector<Extension> found(count);
    const int code = list(device, nullptr, &count, found.data());
    found.resize(std::min<std::size_t>(found.size(), count));
    if (code != kSuccess && code != kIncomplete) return false;
    return std::any_of(found.begin(), found.end(), [&](const Extension& extension) {
        return bounded_text(extension.name.data(), extension.name.size()) == name;
    });
}

void write_memory(base::JsonWriter& json, const LoadedLibrary& library, Handle device) {
    const auto get = library.find<GetMemory>("vkGetPhysicalDeviceMemoryProperties2");
    if (get == nullptr) return;
    const bool budgeted = has_extension(library, device, "VK_EXT_memory_budget");
    Roomy<MemoryBudget> budget;
    budget.value.stype = kMemoryBudget;
    Roomy<MemoryProperties2> memory;
    memory.value.stype = kMemoryProperties2;
    if (budgeted) memory.value.next = &budget.value;
    get(device, &memory.value);
    std::uint64_t total = 0;
    std::uint64_t free_bytes = 0;
    const std::size_t count = std::min<std::size_t>(memory.value.heap_count, memory.value.heaps.size());
    for (std::size_t i = 0; i < count; ++i) {
        const Heap& heap = memory.value.heaps[i];
        if ((heap.flags & kDeviceLocal) == 0) continue;
        if (__builtin_add_overflow(total, heap.bytes, &total)) total = ~std::uint64_t{0};
        if (__builtin_add_overflow(free_bytes, std::min(heap.bytes, budget.value.budget[i]), &free_bytes))
            free_bytes = ~std::uint64_t{0};
    }
    if (total == 0) return;
    json.field("total", total);
    if (budgeted && free_bytes > 0) json.field("free", free_bytes);
}

void write_device(base::JsonWriter& json, const LoadedLibrary& library, GetProperties get, Handle device) {
    const bool addressed = has_extension(library, device, "VK_EXT_pci_bus_info");
    Roomy<PciBusInfo> pci;
    pci.value.stype = kPciBusInfo;
    Roomy<Properties2> found;
    found.value.stype = kProperties2;
    if (addressed) found.value.next = &pci.value;
    get(device, &found.value);
    json.begin_object();
    json.field("name", bounded_text(found.value.name.data(), found.value.name.size()));
    json.field("vendor_id", std::uint64_t{found.value.vendor});
    if (found.value.type == kCpu) json.field("software", 1);
    if (found.value.type == kIntegrated || found.value.type == kDiscrete)
        json.field("integrated", int{found.value.type == kIntegrated});
    if (addressed) {
        json.field("domain", std::uint64_t{pci.value.domain}).field("bus", std::uint64_t{pci.value.bus});
        json.field("device", std::uint64_t{pci.value.device}).field("function", std::uint64_t{pci.value.function});
    }
    // An integrated GPU's heap is the machine's memory, whatever its flags say.
    if (found.value.type == kDiscrete || found.value.type == kVirtual) write_memory(json, library, device);
    json.end_object();
}

void write_answer(base::JsonWriter& json, const LoadedLibrary& library) {
    const auto create = library.find<CreateInstance>("vkCreateInstance");
    const auto list = library.find<ListDevices>("vkEnumeratePhysicalDevices");
    const auto get = library.find<GetProperties>("vkGetPhysicalDeviceProperties2");
    if (create == nullptr || list == nullptr || get == nullptr) {
        json.field("lacks", create == nullptr ? "vkCreateInstance"
                            : list == nullptr ? "vkEnumeratePhysicalDevices"
                                              : "vkGetPhysicalDeviceProperties2");
        return;
    }
    const Application application;
    InstanceCreate wanted;
    wanted.application = &application;
    Handle instance = nullptr;
    int code = create(&wanted, nullptr, &instance);
    std::uint32_t count = 0;
    if (code == kSuccess) code = list(instance, &count, nullptr);
    json.field("init", code);
    if (code != kSuccess) return;
    json.field("count", std::uint64_t{count});
    std::uint32_t here = std::min<std::uint32_t>(count, kMaxLibraryGpus);
    std::vector<Handle> devices(here, nullptr);
    code = here == 0 ? int{kSuccess} : list(instance, &here, devices.data());
    if (code != kSuccess && code != kIncomplete) devices.clear();
    devices.resize(std::min<std::size_t>(devices.size(), here));
    json.key("gpus").begin_array();
    for (Handle device : devices)
        if (device != nullptr) write_device(json, library, get, device);
    json.end_array();
}

}  // namespace

std::string ask_vulkan(const std::vector<std::string>& files) {
    return ask_library(files, write_answer);
}

}  // namespace velollm::hardware
