#include "backend/ask_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "backend/started_llama_server.h"
#include "hardware/engine_view.h"
#include "http/curl_transport.h"
#include "system/process.h"
#include "wire/json_reader.h"
#include "wire/url.h"

namespace velollm::backend {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kOutputBytes = std::size_t{256} << 10U;
constexpr Ns kShortAnswer = std::chrono::seconds(2);

/// What the program writes until it ends by itself.
Result<std::string> written_by(std::vector<std::string> words, const system::Environment& env,
                               const system::System& system, Clock& clock) {
    const std::string program = words.front();
    auto process = system::Process::start({.words = std::move(words), .env = env}, system);
    if (!process) return process.error();
    if (!process->wait(clock.now() + kAskLimit)) {
        return Error{ErrorCode::kFailed,
                     fmt::format("{} didn't answer within {:.0f} s and was ended", program, to_seconds(kAskLimit)),
                     "A GPU driver may hang: look at 'dmesg', and try nvidia-smi, rocm-smi or vulkaninfo."};
    }
    return process->output(kOutputBytes);
}

/// It describes itself in its log before it finds that /dev/null is no model. Older ones don't list devices there.
Result<void> ask_llama_server(const fs::path& program, const system::Environment& env, const system::System& system,
                              Clock& clock, EngineView& view) {
    const auto report = written_by(
        {program.string(), "-m", "/dev/null", "--host", "127.0.0.1", "--port", "0", "-lv", "5"}, env, system, clock);
    if (!report) return report.error();
    hardware::read_engine_report(*report, view);
    if (view.devices_known) return {};
    const auto list = written_by({program.string(), "--list-devices"}, env, system, clock);
    if (!list) return list.error();
    hardware::read_engine_report(*list, view);
    return {};
}

Result<EngineView> ask_llamacpp(const system::System& system, Clock& clock) {
    const auto program = find_llama_server("", system);
    if (!program) return program.error();
    EngineView view{.engine = "llama-server", .program = program->string()};
    const system::Environment env = child_environment(system.env);
    const auto version = written_by({program->string(), "--version"}, env, system, clock);
    if (!version) return version.error();
    view.version = hardware::parse_llama_version(*version);
    if (const auto asked = ask_llama_server(*program, env, system, clock, view); !asked) return asked.error();
    return view;
}

/// Beside the program, or where packages put it (ollama: ml/path.go).
std::optional<fs::path> ollama_libraries(const fs::path& program) {
    std::error_code error;
    const fs::path folder = fs::canonical(program, error).parent_path();
    for (const fs::path& place : {folder / "lib/ollama", folder.parent_path() / "lib/ollama", folder})
        if (system::is_executable(place / "llama-server")) return place;
    return std::nullopt;
}

/// The GPU backends that it may load ("cuda_v13/libggml-cuda.so"), each from a folder of its own: the first file of
/// each folder that is no part of the CPU's, as Ollama chooses (llm/llama_server.go, findLlamaServerGPUBackend).
std::vector<fs::path> gpu_backends(const fs::path& libraries) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::recursive_directory_iterator it(libraries, error), end; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename().string();
        const bool backend = name.starts_with("libggml-") && name.find(".so") != std::string::npos;
        if (backend && !name.starts_with("libggml-base") && !name.starts_with("libggml-cpu"))
            files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    const auto same_folder = [](const fs::path& x, const fs::path& y) { return x.parent_path() == y.parent_path(); };
    files.erase(std::unique(files.begin(), files.end(), same_folder), files.end());
    return files;
}

Result<void> ask_ollama_program(const fs::path& program, const system::System& system, Clock& clock, EngineView& view) {
    view.program = program.string();
    system::Environment env = child_environment(system.env);
    if (const auto version = written_by({program.string(), "--version"}, env, system, clock)) {
        // "ollama version is 0.32.15", behind a warning where no server runs.
        constexpr std::string_view kBefore = "version is ";
        const std::size_t at = version->find(kBefore);
        if (at != std::string::npos && view.version.empty()) {
            const std::string rest = version->substr(at + kBefore.size());
            view.version = rest.substr(0, rest.find_first_of(" \n"));
        }
    }
    const auto libraries = ollama_libraries(program);
    if (!libraries) return {};
    std::vector<fs::path> backends = gpu_backends(*libraries);
    backends.insert(backends.begin(), fs::path());
    const std::string inherited = system.variable("LD_LIBRARY_PATH").value_or("");
    for (const fs::path& backend : backends) {
        env["LD_LIBRARY_PATH"] = libraries->string();
        if (!backend.empty()) {
            env["LD_LIBRARY_PATH"] += ":" + backend.parent_path().string();
            env["GGML_BACKEND_PATH"] = backend.string();
        }
        if (!inherited.empty()) env["LD_LIBRARY_PATH"] += ":" + inherited;
        EngineView one;
        if (const auto asked = ask_llama_server(*libraries / "llama-server", env, system, clock, one); !asked)
            return asked.error();
        if (view.features.empty()) view.features = one.features;
        if (!view.threads) view.threads = one.threads;
        view.devices_known = view.devices_known || one.devices_known;
        for (const EngineDevice& device : one.devices)
            if (std::none_of(view.devices.begin(), view.devices.end(), [&](const EngineDevice& other) {
                    return other.name == device.name && other.description == device.description;
                }))
                view.devices.push_back(device);
    }
    return {};
}

void ask_ollama_server(const system::System& system, Clock& clock, EngineView& view) {
    const auto transport = http::make_curl_transport(clock, "");
    const std::function<bool()> never;
    const http::Caller ask(*transport, clock, never);
    const wire::Url base = wire::resolve_ollama_host(system.variable("OLLAMA_HOST").value_or(""));
    wire::JsonReader json;
    const auto get = [&](const char* path) {
        http::HttpRequest request;
        request.url = base.text() + path;
        const http::HttpResponse response = ask(request, kShortAnswer);
        return response.arrived() && response.status == 200 && json.parse(response.body);
    };
    if (!get("/api/version") || !json.text("/version")) return;
    view.server_running = true;
    view.version = *json.text("/version");
    if (!get("/api/ps")) return;
    for (std::size_t i = 0; i < json.size("/models").value_or(0); ++i)
        view.models.push_back(
            {.name = std::string(json.text(fmt::format("/models/{}/name", i)).value_or("")),
             .total_bytes = std::max<std::int64_t>(json.integer(fmt::format("/models/{}/size", i)).value_or(0), 0),
             .gpu_bytes = std::max<std::int64_t>(json.integer(fmt::format("/models/{}/size_vram", i)).value_or(0), 0)});
}

Result<EngineView> ask_ollama(const system::System& system, Clock& clock) {
    EngineView view{.engine = "Ollama"};
    ask_ollama_server(system, clock, view);
    const auto program = system::find_program(system, "ollama");
    if (program) {
        if (const auto asked = ask_ollama_program(*program, system, clock, view); !asked) return asked.error();
    } else if (!view.server_running) {
        return Error{ErrorCode::kFailed, "Ollama not found: no program 'ollama' in PATH, and no server answers",
                     "Put the folder of ollama into PATH, or start it:  ollama serve"};
    }
    return view;
}

}  // namespace

Result<EngineView> ask_engine(const std::string& backend, const system::System& system, Clock& clock) {
    return backend == "ollama" ? ask_ollama(system, clock) : ask_llamacpp(system, clock);
}

}  // namespace velollm::backend
