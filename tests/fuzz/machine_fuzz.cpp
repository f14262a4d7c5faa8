#include <array>

#include "fuzz.h"
#include "hardware/cpu.h"
#include "hardware/engine_view.h"
#include "hardware/gpu.h"
#include "hardware/level_zero_words.h"
#include "hardware/library_answer.h"
#include "hardware/limits.h"
#include "hardware/memory.h"
#include "hardware/memory_modules.h"
#include "hardware/nvml_words.h"
#include "hardware/vulkan_words.h"

namespace {

using velollm::fuzz::require;
using namespace velollm::hardware;

void check_modules(const std::vector<velollm::MemoryModule>& modules) {
    require(modules.size() <= 4096, "no machine has that many modules");
    for (const auto& module : modules) require(module.size_bytes > 0, "a module has a size");
}

void read_cpus(std::string_view text) {
    const CpuList cpus = parse_cpu_list(text);
    require(cpus.size() <= 65536, "a list of CPUs is bounded");
    for (std::size_t i = 1; i < cpus.size(); ++i) require(cpus[i - 1] < cpus[i], "CPUs are ascending");
}

void read_limits(std::string_view text) {
    if (const auto cpus = parse_cpu_max(text)) require(*cpus > 0.0, "a quota is positive");
    const std::size_t half = text.size() / 2;
    if (const auto cpus = parse_cfs_quota(text.substr(0, half), text.substr(half)))
        require(*cpus > 0.0, "a quota is positive");
    (void)cgroup_chain(text.substr(0, half), text.substr(half), "cpu");
}

void read_memory_texts(std::string_view text) {
    const velollm::Memory memory = parse_meminfo(text);
    require(memory.total_bytes >= 0 && memory.available_bytes >= 0 && memory.used_bytes >= 0, "sizes aren't negative");
    require(memory.available_bytes <= memory.total_bytes, "no more is available than there is");
}

void read_engine(std::string_view text) {
    velollm::EngineView view;
    read_engine_report(text, view);
    (void)parse_llama_version(text);
    require(view.devices.size() <= 256 && view.features.size() <= 256, "an engine's report is bounded");
    for (const auto& device : view.devices)
        require(device.total_bytes >= 0 && device.free_bytes >= 0 && !device.name.empty(), "a device is one");
    (void)judge_engine({}, view);
}

void read_pci(std::string_view text) {
    (void)pci_name(text, 0x10de, 0x2684);
    (void)nvidia_model(text);
    (void)nvidia_driver_version(text);
}

void read_library(std::string_view text, const LibraryWords& words) {
    const auto answer = parse_library_answer(text, words, "560.35.03");
    if (!answer) return;
    velollm::Hardware hardware;
    merge_library_answer(*answer, words, hardware);
    for (const auto& gpu : hardware.gpus)
        require(gpu.vram_bytes.value_or(0) >= 0 && gpu.vram_used_bytes.value_or(0) >= 0, "memory isn't negative");
}

constexpr std::array<void (*)(std::string_view), 11> kReaders{
    read_cpus,
    read_limits,
    read_memory_texts,
    read_engine,
    read_pci,
    [](std::string_view text) { (void)parse_cpuinfo(text); },
    [](std::string_view text) { check_modules(parse_udev_modules(text)); },
    [](std::string_view text) { check_modules(parse_smbios_modules(text)); },
    [](std::string_view text) { read_library(text, kNvmlWords); },
    [](std::string_view text) { read_library(text, kLevelZeroWords); },
    [](std::string_view text) { read_library(text, kVulkanWords); },
};

}  // namespace

/// The first byte chooses who reads the rest: whatever the kernel's files, firmware tables, drivers and engines say.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    kReaders[data[0] % kReaders.size()](velollm::fuzz::as_text(data + 1, size - 1));
    return 0;
}
