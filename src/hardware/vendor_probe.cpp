#include "hardware/vendor_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "hardware/files.h"
#include "hardware/gpu.h"
#include "hardware/library_answer.h"

namespace velollm::hardware {
namespace {

constexpr std::size_t kMaxAnswerBytes = std::size_t{1} << 20U;

/// A container may be given some of the GPUs that its sysfs shows.
void compare_with_bus(const LibraryAnswer& answer, const LibraryWords& words, Hardware& hardware) {
    std::vector<std::string> missing;
    for (const Gpu& gpu : hardware.gpus) {
        const bool told = std::any_of(answer.gpus.begin(), answer.gpus.end(), [&](const LibraryGpu& other) {
            return other.gpu.pci_address == gpu.pci_address;
        });
        if (gpu.driver == words.driver && !told) missing.push_back(gpu.pci_address);
    }
    if (answer.gpus.empty() || missing.empty()) return;
    hardware.warnings.push_back(
        gpu_warning("sources-disagree",
                    fmt::format("The PCI bus shows GPUs that {} doesn't: {}.", words.title, fmt::join(missing, ", ")),
                    "In a container, only those that it was given can be used."));
}

void start(const VendorLibrary& library, const system::System& system, const std::vector<Gpu>& gpus,
           VendorProbe& probe) {
    const std::vector<std::string> files = files_to_ask(library, system, gpus);
    if (files.empty()) return;
    auto question = system::ChildQuestion::ask([ask = library.ask, files] { return ask(files); });
    if (question) {
        probe.asked.push_back({.library = &library, .file = files.front(), .question = std::move(*question)});
    } else {
        probe.failures.push_back(gpu_warning(
            "probe-failed", fmt::format("{} was not asked: {}", files.front(), question.error().message), ""));
    }
}

void finish(AskedLibrary& asked, TimePoint deadline, const system::System& system, Hardware& hardware, Clock& clock) {
    const LibraryWords& words = *asked.library->words;
    const system::ChildAnswer end = asked.question.answer(clock, deadline, kMaxAnswerBytes);
    if (auto warning = judge_end(end, asked.file)) {
        hardware.warnings.push_back(std::move(*warning));
        return;
    }
    const std::string kernel_driver =
        nvidia_driver_version(read_text(system, "/proc/driver/nvidia/version")).value_or("");
    auto answer = parse_library_answer(end.text, words, kernel_driver);
    if (!answer) {
        hardware.warnings.push_back(
            gpu_warning("probe-garbage", fmt::format("What {} made of its question can't be read.", asked.file), ""));
        return;
    }
    const bool missed = system.variable(std::string(asked.library->variable)).has_value() ||
                        asked.library->missed(system, hardware.gpus);
    if (!missed)
        std::erase_if(answer->warnings,
                      [](const HardwareWarning& warning) { return warning.code == "library-missing"; });
    merge_library_answer(*answer, words, hardware);
    if (asked.library->lists_all) compare_with_bus(*answer, words, hardware);
}

}  // namespace

VendorProbe start_vendor_probe(const system::System& system, const std::vector<Gpu>& gpus, Clock& clock) {
    VendorProbe probe{.deadline = clock.now() + kVendorLimit, .asked = {}, .failures = {}};
    for (const VendorLibrary& library : vendor_libraries())
        if (!library.last_resort) start(library, system, gpus, probe);
    if (probe.asked.empty())
        for (const VendorLibrary& library : vendor_libraries())
            if (library.last_resort) start(library, system, gpus, probe);
    return probe;
}

std::optional<HardwareWarning> judge_end(const system::ChildAnswer& answer, const std::string& library) {
    const std::string left_out = "Its facts are left out; the rest comes from files.";
    if (!answer.in_time)
        return gpu_warning("probe-timeout",
                           fmt::format("{} gave no answer within {:.0f} s and was stopped. {}", library,
                                       std::chrono::duration<double>(kVendorLimit).count(), left_out),
                           "A driver that hangs shows in the kernel's log (dmesg).");
    if (!answer.in_size)
        return gpu_warning("probe-garbage",
                           fmt::format("{} answered with more than {} bytes. {}", library, kMaxAnswerBytes, left_out),
                           "");
    if (answer.end.signal != 0)
        return gpu_warning(
            "probe-crashed",
            fmt::format("{} crashed the process that loaded it: {}. {}", library, answer.end.text(), left_out),
            "An engine that loads it will crash as well: install the driver anew.");
    if (answer.end.exit_code != 0 || answer.text.empty())
        return gpu_warning(
            "probe-crashed",
            fmt::format("{} ended the process that loaded it, {}. {}", library, answer.end.text(), left_out), "");
    return std::nullopt;
}

void finish_vendor_probe(VendorProbe& probe, const system::System& system, Hardware& hardware, Clock& clock) {
    hardware.warnings.insert(hardware.warnings.end(), probe.failures.begin(), probe.failures.end());
    for (AskedLibrary& asked : probe.asked) finish(asked, probe.deadline, system, hardware, clock);
    const bool late = !probe.asked.empty() && !probe.asked.back().library->last_resort;
    probe.asked.clear();
    probe.failures.clear();
    if (!late || clock.now() >= probe.deadline) return;
    for (const VendorLibrary& library : vendor_libraries())
        if (library.last_resort) start(library, system, hardware.gpus, probe);
    hardware.warnings.insert(hardware.warnings.end(), probe.failures.begin(), probe.failures.end());
    for (AskedLibrary& asked : probe.asked) finish(asked, probe.deadline, system, hardware, clock);
    probe.asked.clear();
}

}  // namespace velollm::hardware
