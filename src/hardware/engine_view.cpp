#include "hardware/engine_view.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "base/text.h"

namespace velollm::hardware {
namespace {

constexpr std::int64_t kMib = std::int64_t{1} << 20U;
constexpr std::int64_t kMostMib = std::int64_t{1} << 32U;  // 4 EiB: more is no memory
constexpr std::size_t kMostDevices = 256;
constexpr double kSameMemory = 0.10;  // drivers and runtimes keep some back

/// "24080 MiB, 23000 MiB free" -> both; nothing for any other text.
std::optional<std::pair<std::int64_t, std::int64_t>> parse_sizes(std::string_view text) {
    const auto parts = base::split(text, ',');
    if (parts.size() != 2) return std::nullopt;
    const auto number = [](std::string_view part, std::string_view unit) -> std::optional<std::int64_t> {
        part = base::trim(part);
        if (!part.ends_with(unit)) return std::nullopt;
        const auto mib = base::parse_int(base::trim(part.substr(0, part.size() - unit.size())));
        return mib && *mib >= 0 && *mib < kMostMib ? mib : std::nullopt;
    };
    const auto total = number(parts[0], "MiB");
    const auto free = number(parts[1], "MiB free");
    if (!total || !free) return std::nullopt;
    return std::pair(*total * kMib, *free * kMib);
}

/// "  CUDA0: NVIDIA GeForce RTX 4090 (24080 MiB, 23000 MiB free)", also with a log's words and a hyphen in front.
std::optional<EngineDevice> parse_device(std::string_view line) {
    line = base::trim(line);
    if (!line.ends_with(" MiB free)")) return std::nullopt;
    const std::size_t open = line.rfind('(');
    if (open == std::string_view::npos) return std::nullopt;
    const auto sizes = parse_sizes(line.substr(open + 1, line.size() - open - 2));
    std::string_view words = line.substr(0, open);
    if (const std::size_t hyphen = words.find("  - "); hyphen != std::string_view::npos)
        words = words.substr(hyphen + 4);
    const std::size_t colon = words.find(':');
    if (!sizes || colon == std::string_view::npos) return std::nullopt;
    const std::string_view name = base::trim(words.substr(0, colon));
    if (name.empty() || name.find(' ') != std::string_view::npos) return std::nullopt;
    return EngineDevice{.name = base::one_line(name, 64),
                        .description = base::one_line(base::trim(words.substr(colon + 1)), 128),
                        .total_bytes = sizes->first,
                        .free_bytes = sizes->second};
}

/// "n_threads = 2 (n_threads_batch = 2) / 2 | CPU : SSE3 = 1 | AVX2 = 1 | ..." behind "system_info: ".
void read_system_info(std::string_view text, EngineView& view) {
    constexpr std::string_view kThreads = "n_threads = ";
    if (const std::size_t at = text.find(kThreads); at != std::string_view::npos) {
        const std::string_view rest = text.substr(at + kThreads.size());
        const auto threads = base::parse_int(rest.substr(0, rest.find_first_not_of("0123456789")));
        if (threads && *threads > 0 && *threads < 65536) view.threads = static_cast<int>(*threads);
    }
    bool of_cpu = false;
    for (std::string_view part : base::split(text, '|')) {
        if (const std::size_t colon = part.find(" : "); colon != std::string_view::npos) {
            of_cpu = base::trim(part.substr(0, colon)) == "CPU";
            part = part.substr(colon + 3);
        }
        part = base::trim(part);
        if (of_cpu && part.ends_with(" = 1") && view.features.size() < kMostDevices)
            view.features.push_back(base::lower(base::one_line(part.substr(0, part.size() - 4), 32)));
    }
}

bool is_cpu(const EngineDevice& device) {
    return device.name.starts_with("CPU") || device.name == "BLAS" || device.total_bytes == 0;
}

bool similar(std::int64_t a, std::int64_t b) {
    return std::abs(static_cast<double>(a - b)) <= kSameMemory * static_cast<double>(std::max(a, b));
}

/// By name, since every order of devices differs between libraries; by size where names are written differently.
bool same_device(const Gpu& gpu, const EngineDevice& device) {
    const std::string ours = base::lower(gpu.name);
    const std::string theirs = base::lower(device.description);
    if (!ours.empty() && !theirs.empty() &&
        (theirs.find(ours) != std::string::npos || ours.find(theirs) != std::string::npos))
        return true;
    return gpu.vram_bytes && similar(*gpu.vram_bytes, device.total_bytes);
}

std::string usable_builds(const Gpu& gpu) {
    std::vector<std::string> names;
    for (const GpuBackend& backend : gpu.backends)
        if (backend.usable != false) names.push_back(backend.name);
    return names.empty() ? "No backend could use it here: see its line above."
                         : fmt::format("Install a build with {}.", fmt::join(names, " or "));
}

void judge_gpus(const Hardware& hardware, const EngineView& view, std::vector<HardwareWarning>& warnings) {
    bool any = false;
    bool stranger = false;  // a device that is none of ours by name or size may be any of them
    for (const EngineDevice& device : view.devices) {
        if (is_cpu(device)) continue;
        any = true;
        stranger = stranger || std::none_of(hardware.gpus.begin(), hardware.gpus.end(),
                                            [&](const Gpu& gpu) { return same_device(gpu, device); });
    }
    for (const Gpu& gpu : hardware.gpus) {
        const auto found = std::find_if(view.devices.begin(), view.devices.end(), [&](const EngineDevice& device) {
            return !is_cpu(device) && same_device(gpu, device);
        });
        if (found == view.devices.end()) {
            // Beside another one, engines leave a GPU out that shares the processor's memory, and rightly.
            if (stranger || (gpu.integrated && any)) continue;
            warnings.push_back(
                {"engine-gpu-unseen", "engine_view.devices",
                 fmt::format("{} doesn't see {}: it would run on the CPU or another GPU.", view.engine, gpu.name),
                 usable_builds(gpu)});
        } else if (gpu.vram_bytes && gpu.memory_kind == GpuMemoryKind::kDedicated &&
                   !similar(*gpu.vram_bytes, found->total_bytes)) {
            warnings.push_back({"sources-disagree", "engine_view.devices",
                                fmt::format("{} counts {} MiB of memory on {}, and the driver {}.", view.engine,
                                            found->total_bytes / kMib, gpu.name, *gpu.vram_bytes / kMib),
                                ""});
        }
    }
}

void judge_cpu(const Hardware& hardware, const EngineView& view, std::vector<HardwareWarning>& warnings) {
    const UsableThreads& usable = hardware.cpu.usable;
    if (view.threads && *view.threads > usable.count)
        warnings.push_back(
            {"engine-threads", "engine_view.threads",
             fmt::format(
                 "{} takes {} threads by itself where {} can run ({}): threads that wait for each other cost most "
                 "of the speed.",
                 view.engine, *view.threads, usable.count, usable.reason),
             view.engine == "Ollama"
                 ? fmt::format("Send the request option num_thread {}, or start it with LLAMA_ARG_THREADS={}.",
                               usable.count, usable.count)
                 : fmt::format("Start it with -t {}.", usable.count)});
    const auto has = [](const std::vector<std::string>& list, const char* word) {
        return std::find(list.begin(), list.end(), word) != list.end();
    };
    for (const char* feature : {"avx2", "fma"})
        if (!view.features.empty() && has(hardware.cpu.features, feature) && !has(view.features, feature)) {
            warnings.push_back(
                {"engine-simd", "engine_view.features",
                 fmt::format("{} was built without {}, which this CPU has: decode is several times slower.",
                             view.engine, feature),
                 "Install a build for this CPU, or build it with -DGGML_NATIVE=ON."});
            break;
        }
    for (const EngineDevice& device : view.devices)
        if (device.name.starts_with("CPU") && hardware.memory.limit_bytes &&
            device.free_bytes > hardware.memory.available_bytes + hardware.memory.available_bytes / 10)
            warnings.push_back(
                {"engine-memory-limit", "engine_view.devices",
                 fmt::format("{} believes that {} MiB of memory are free; the cgroup leaves {}.", view.engine,
                             device.free_bytes / kMib, hardware.memory.available_bytes / kMib),
                 "Choose model and context by the smaller figure: beyond it the kernel kills the engine."});
}

}  // namespace

std::string parse_llama_version(std::string_view output) {
    constexpr std::string_view kBefore = "version: ";
    for (const std::string_view line : base::split(output, '\n'))
        if (line.starts_with(kBefore)) return base::one_line(base::trim(line.substr(kBefore.size())), 80);
    return {};
}

void read_engine_report(std::string_view output, EngineView& view) {
    constexpr std::string_view kInfo = "system_info: ";
    for (const std::string_view line : base::split(output, '\n')) {
        if (line.find("device_info:") != std::string_view::npos || line.starts_with("Available devices:"))
            view.devices_known = true;
        if (const std::size_t at = line.find(kInfo); at != std::string_view::npos && view.features.empty())
            read_system_info(line.substr(at + kInfo.size()), view);
        const auto device = parse_device(line);
        if (!device || view.devices.size() >= kMostDevices) continue;
        view.devices_known = true;
        const bool listed = std::any_of(view.devices.begin(), view.devices.end(),
                                        [&](const EngineDevice& other) { return other.name == device->name; });
        if (!listed) view.devices.push_back(*device);
    }
}

std::vector<HardwareWarning> judge_engine(const Hardware& hardware, const EngineView& view) {
    std::vector<HardwareWarning> warnings;
    judge_cpu(hardware, view, warnings);
    if (view.devices_known) judge_gpus(hardware, view, warnings);
    for (const EngineModel& model : view.models)
        if (!hardware.gpus.empty() && model.gpu_bytes < model.total_bytes)
            warnings.push_back(
                {"engine-partial-offload", "engine_view.models",
                 fmt::format("{} holds {} of {} MiB of {} outside the GPU: decode runs at the speed of that memory.",
                             view.engine, (model.total_bytes - model.gpu_bytes) / kMib, model.total_bytes / kMib,
                             model.name),
                 "Take a smaller quantisation or context until all of it fits."});
    return warnings;
}

}  // namespace velollm::hardware
