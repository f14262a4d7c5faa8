#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "backend/embedded.h"
#include "backend/make_backend.h"
#include "base/text.h"
#include "hardware/cpu.h"
#include "hardware/detect.h"
#include "hardware/files.h"
#include "hardware/limits.h"
#include "model/catalogue.h"
#include "optimize/observe.h"
#include "system/process.h"
#include "wire/url.h"

namespace velollm::optimize {
namespace {

namespace fs = std::filesystem;

std::optional<model::ModelShape> shape_in(const fs::path& path) {
    std::error_code error;
    if (path.empty() || !fs::is_regular_file(path, error)) return std::nullopt;
    const auto file = gguf::read_model_file(path);
    if (!file) return std::nullopt;
    auto shape = model::shape_of(file->header);
    if (!shape) return std::nullopt;
    return std::move(*shape);
}

/// A file that the server names before what is here under this name, before the catalogue.
std::optional<model::ModelShape> find_shape(const Observed& observed, const std::string& name,
                                            const system::System& system) {
    if (auto shape = shape_in(observed.model_file)) return shape;
    if (observed.worker)
        if (auto shape = shape_in(flag_value(observed.worker->words, {"--model"}).value_or(""))) return shape;
    if (const auto file = backend::find_model_file(name, system))
        if (auto shape = shape_in(*file)) return shape;
    if (auto shape = model::named_shape(name)) return std::move(*shape);
    return std::nullopt;
}

/// CPUs that a process may run on, by its status file.
hardware::CpuList allowed_cpus(const system::System& system, int pid) {
    const std::string status = hardware::read_text(system, fmt::format("/proc/{}/status", pid));
    for (const std::string_view line : base::split(status, '\n')) {
        const auto [name, value] = hardware::name_and_value(line, ':');
        if (name == "Cpus_allowed_list") return hardware::parse_cpu_list(value);
    }
    return {};
}

/// The limits of the process that computes are its own, not ours. Returns its memory's limit, where one binds.
std::optional<std::int64_t> take_limits_of(const system::System& system, int pid, const hardware::KernelAnswers& kernel,
                                           Facts& facts) {
    const std::string groups = hardware::read_text(system, fmt::format("/proc/{}/cgroup", pid));
    const std::string mounts = hardware::read_text(system, "/proc/self/mountinfo");
    const auto chain = [&](const char* controller) { return hardware::cgroup_chain(groups, mounts, controller); };
    std::vector<FactSource> sources;
    const Cpu cpu = hardware::read_cpu(system, kernel.arch,
                                       {.allowed = allowed_cpus(system, pid),
                                        .quota_cpus = hardware::read_cpu_quota(system, chain("cpu")),
                                        .cpuset = hardware::read_cpuset(system, chain("cpuset"))},
                                       sources);
    facts.threads = cpu.usable;
    const Memory& memory = facts.hardware.memory;
    if (memory.total_bytes == 0) return std::nullopt;
    facts.memory_bytes = memory.total_bytes - memory.used_bytes;
    const auto limit = hardware::read_memory_limit(system, chain("memory"), memory.total_bytes);
    if (!limit) return std::nullopt;
    facts.memory_bytes = std::min(facts.memory_bytes, limit->room_bytes);
    return limit->limit_bytes;
}

/// What the model takes already is free for it.
void add_held_memory(const system::System& system, Facts& facts) {
    if (const ObservedModel* loaded = facts.observed.find_model(facts.model)) {
        facts.memory_bytes += std::max<std::int64_t>(loaded->total_bytes - loaded->gpu_bytes, 0);
    } else if (facts.engine == "llama-server" && facts.observed.server) {
        facts.memory_bytes += system::resident_bytes(system, facts.observed.server->pid).value_or(0);
    }
}

}  // namespace

Facts gather(const Target& target, Profile profile, const Limits& limits, const system::System& system, Clock& clock) {
    Facts facts;
    facts.engine = target.engine;
    facts.profile = profile;
    facts.limits = limits;
    facts.shell = engine_environment(system.env);
    const hardware::KernelAnswers kernel = hardware::ask_kernel();
    // While this process has one thread: libraries are asked in copies of it.
    facts.hardware = hardware::detect_with_libraries(system, kernel, clock);
    facts.observed = observe(target, system, clock);
    facts.model = facts.observed.model;
    facts.version = target.engine == "embedded" ? backend::embedded_engine_version() : facts.observed.version;
    facts.threads = facts.hardware.cpu.usable;
    facts.memory_bytes = facts.hardware.memory.available_bytes;
    if (facts.observed.server) {
        const auto& computing = facts.observed.worker ? facts.observed.worker : facts.observed.server;
        const auto limit = take_limits_of(system, computing->pid, kernel, facts);
        add_held_memory(system, facts);
        // What is held may be pages of the file that count as room already.
        if (limit) facts.memory_bytes = std::min(facts.memory_bytes, *limit);
    }
    const auto url = wire::parse_url(facts.observed.url, 0);
    if (url && !wire::is_loopback(*url)) {  // another machine: this one's figures say nothing
        facts.hardware = {};
        facts.threads.count = 0;
        facts.memory_bytes = 0;
    }
    facts.shape = find_shape(facts.observed, facts.model, system);
    std::int64_t gpu_bytes = 0;
    for (const Gpu& gpu : facts.hardware.gpus)
        if (!gpu.integrated) gpu_bytes += gpu.vram_bytes.value_or(0);
    facts.settings = settings_of(facts.observed, facts.model, gpu_bytes, facts.shell);
    // A llama-server without a context takes what the model was trained for, as far as it fits.
    if (facts.engine == "llama-server" && !facts.observed.answering && facts.shape && facts.shape->context > 0)
        facts.settings.try_emplace(
            "num_ctx", Setting{std::to_string(facts.shape->context), "what the model was trained for", false});
    return facts;
}

Result<void> check_model_name(const Facts& facts, const system::System& system) {
    const std::string& name = facts.model;
    if (facts.observed.model_absent)
        return Error{ErrorCode::kModelNotFound,
                     fmt::format("The server at {} has no model {}", facts.observed.url, base::one_line(name)),
                     "velollm doctor  says which it has."};
    const bool of_file = facts.engine == "embedded" || (facts.engine == "llama-server" && !facts.observed.answering);
    if (!of_file || facts.shape || name.empty()) return {};
    const auto file = backend::find_model_file(name, system);
    if (file) {
        const auto header = gguf::read_model_file(*file);
        return header ? Result<void>() : header.error();
    }
    std::error_code error;
    const bool of_path = name.find('/') != std::string::npos || name.ends_with(".gguf") || fs::exists(name, error);
    return of_path ? file.error() : Result<void>();
}

}  // namespace velollm::optimize
