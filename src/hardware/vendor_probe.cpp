#include "hardware/vendor_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "hardware/files.h"
#include "hardware/gpu.h"
#include "hardware/gpu_files.h"
#include "hardware/nvml_answer.h"
#include "hardware/nvml_ask.h"

namespace velollm::hardware {
namespace {

constexpr std::size_t kMaxAnswerBytes = std::size_t{1} << 20U;

HardwareWarning about_library(std::string code, std::string message, std::string hint) {
    return {.code = std::move(code), .field = "gpus", .message = std::move(message), .hint = std::move(hint)};
}

/// /dev/dxg alone says that WSL has some GPU, of any vendor: a missing library is no surprise then.
bool expected_missing(const HardwareWarning& warning, const system::System& system, const Hardware& hardware) {
    const bool nvidia =
        std::any_of(hardware.gpus.begin(), hardware.gpus.end(), [](const Gpu& gpu) { return gpu.vendor == "Nvidia"; });
    return warning.code == "library-missing" && !nvidia && !system.variable("VELOLLM_NVML") &&
           !is_there(system, "/dev/nvidiactl");
}

/// A container may be given some of the GPUs that its sysfs shows.
void compare_with_bus(const NvmlAnswer& answer, Hardware& hardware) {
    std::vector<std::string> missing;
    for (const Gpu& gpu : hardware.gpus) {
        const bool told = std::any_of(answer.gpus.begin(), answer.gpus.end(),
                                      [&](const NvmlGpu& other) { return other.gpu.pci_address == gpu.pci_address; });
        if (gpu.driver == "nvidia" && !told) missing.push_back(gpu.pci_address);
    }
    if (answer.gpus.empty() || missing.empty()) return;
    hardware.warnings.push_back(about_library(
        "sources-disagree",
        fmt::format("The PCI bus shows NVIDIA GPUs that NVIDIA's library doesn't: {}.", fmt::join(missing, ", ")),
        "In a container, only those that it was given can be used."));
}

}  // namespace

std::optional<std::string> nvml_to_ask(const system::System& system, const std::vector<Gpu>& gpus) {
    if (auto named = system.variable("VELOLLM_NVML")) return named;
    const bool held = std::any_of(gpus.begin(), gpus.end(), [](const Gpu& gpu) { return gpu.driver == "nvidia"; });
    if (held || is_there(system, "/dev/nvidiactl") || is_there(system, "/dev/dxg")) return "libnvidia-ml.so.1";
    return std::nullopt;
}

VendorProbe start_vendor_probe(const system::System& system, const std::vector<Gpu>& gpus, Clock& clock) {
    VendorProbe probe{.deadline = clock.now() + kVendorLimit, .library = {}, .nvml = {}, .failure = {}};
    const auto library = nvml_to_ask(system, gpus);
    if (!library) return probe;
    probe.library = *library;
    auto question = system::ChildQuestion::ask([file = *library] { return ask_nvml(file); });
    if (question) {
        probe.nvml.emplace(std::move(*question));
    } else {
        probe.failure =
            about_library("probe-failed", fmt::format("{} was not asked: {}", *library, question.error().message), "");
    }
    return probe;
}

std::optional<HardwareWarning> judge_end(const system::ChildAnswer& answer, const std::string& library) {
    const std::string left_out = "Its facts are left out; the rest comes from files.";
    if (!answer.in_time)
        return about_library("probe-timeout",
                             fmt::format("{} gave no answer within {:.0f} s and was stopped. {}", library,
                                         std::chrono::duration<double>(kVendorLimit).count(), left_out),
                             "A driver that hangs shows in the kernel's log (dmesg).");
    if (!answer.in_size)
        return about_library("probe-garbage",
                             fmt::format("{} answered with more than {} bytes. {}", library, kMaxAnswerBytes, left_out),
                             "");
    if (answer.end.signal != 0)
        return about_library(
            "probe-crashed",
            fmt::format("{} crashed the process that loaded it: {}. {}", library, answer.end.text(), left_out),
            "An engine that loads it will crash as well: install the driver anew.");
    if (answer.end.exit_code != 0 || answer.text.empty())
        return about_library(
            "probe-crashed",
            fmt::format("{} ended the process that loaded it, {}. {}", library, answer.end.text(), left_out), "");
    return std::nullopt;
}

void finish_vendor_probe(VendorProbe& probe, const system::System& system, Hardware& hardware, Clock& clock) {
    if (probe.failure) hardware.warnings.push_back(*probe.failure);
    if (!probe.nvml) return;
    const system::ChildAnswer end = probe.nvml->answer(clock, probe.deadline, kMaxAnswerBytes);
    probe.nvml.reset();
    if (auto warning = judge_end(end, probe.library)) {
        hardware.warnings.push_back(std::move(*warning));
        return;
    }
    const std::string kernel_driver =
        nvidia_driver_version(read_text(system, "/proc/driver/nvidia/version")).value_or("");
    auto answer = parse_nvml_answer(end.text, kernel_driver);
    if (!answer) {
        hardware.warnings.push_back(about_library(
            "probe-garbage", fmt::format("What {} made of its question can't be read.", probe.library), ""));
        return;
    }
    std::erase_if(answer->warnings,
                  [&](const HardwareWarning& warning) { return expected_missing(warning, system, hardware); });
    merge_nvml(*answer, hardware);
    compare_with_bus(*answer, hardware);
}

}  // namespace velollm::hardware
