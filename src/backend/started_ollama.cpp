#include "backend/started_ollama.h"

#include <fmt/core.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "backend/http_backend.h"
#include "backend/speculation.h"
#include "base/text.h"
#include "system/process.h"

namespace velollm::backend {
namespace fs = std::filesystem;
namespace {

constexpr Ns kStartPatience = std::chrono::seconds(30);
constexpr std::size_t kLogBytes = std::size_t{64} << 10U;

Result<StartedServer> start_server(const OllamaServerSpec& spec, const ServerTools& tools) {
    const auto port = system::free_loopback_port();
    if (!port) return port.error();
    const TimePoint begin = tools.clock.now();
    const system::Environment environment = ollama_environment(spec, *port, tools.system);
    auto process = system::Process::start({.words = {spec.binary.string(), "serve"}, .env = environment}, tools.system);
    if (!process) return process.error();
    Target target{.spec = spec.target};
    target.base = {.host = "127.0.0.1", .port = *port};
    auto transport = tools.transport();
    const Waiting waiting{
        .path = "/api/version",
        .patience = kStartPatience,
        .while_stopped = "Stopped while Ollama was starting",
        .ended =
            [](const system::ProcessEnd& end, const std::string& output) {
                return Error{ErrorCode::kFailed, fmt::format("ollama serve ended at once ({})", end.text()),
                             "It last wrote:\n" + base::one_line(output, 400)};
            },
        .late =
            [](const std::string&) {
                return Error{ErrorCode::kFailed,
                             fmt::format("ollama serve did not answer within {:.0f} s", to_seconds(kStartPatience)),
                             "Does it start by hand?  ollama serve"};
            }};
    if (const auto ready = wait_until_ready(waiting, target, *process, *transport, tools, kLogBytes); !ready)
        return ready.error();
    const Ns took = tools.clock.now() - begin;
    auto inner = make_http_backend(ollama_dialect(), std::move(target), std::move(transport), tools.clock, tools.stop);
    auto info = inner->describe();
    if (!info) return info.error();
    if (!spec.speculation_env.empty() && !runs_llama_server(info->version))
        return Error{ErrorCode::kUsage,
                     fmt::format("Ollama {} has no speculative decoding: 0.30 is the first with it", info->version),
                     "Take a newer one, or llama-server: -b llamacpp"};
    for (const auto* added : {&spec.target.server_env, &spec.speculation_env})
        for (const auto& [name, value] : *added) info->settings[name] = value;
    if (runs_llama_server(info->version)) info->speculation = speculation_of({}, environment);
    return StartedServer{std::move(*process), std::move(inner), std::move(*info), took};
}

}  // namespace

Result<fs::path> find_ollama(const system::System& system) {
    if (const auto named = system.variable("VELOLLM_OLLAMA"); named && !named->empty()) {
        if (system::is_executable(*named)) return fs::absolute(*named);
        return Error{ErrorCode::kUsage, fmt::format("Not a program: {} (from VELOLLM_OLLAMA)", *named),
                     "Name the file of ollama, or unset it to have it looked for."};
    }
    if (const auto found = system::find_program(system, "ollama")) return *found;
    return Error{ErrorCode::kFailed, "ollama not found in PATH: no server of our own can be started",
                 "Name it:  VELOLLM_OLLAMA=/path/to/ollama"};
}

bool runs_llama_server(std::string_view version) {
    constexpr std::int64_t kFirstMinor = 30;
    const std::vector<std::string_view> parts = base::split(version, '.');
    if (parts.size() < 2) return false;
    const auto major = base::parse_int(parts[0]);
    const auto minor = base::parse_int(parts[1]);
    return major && minor && (*major > 0 || *minor >= kFirstMinor);
}

system::Environment ollama_environment(const OllamaServerSpec& spec, int port, const system::System& system) {
    system::Environment environment = system.env;
    for (const auto& [name, value] : spec.target.server_env) environment[name] = value;
    for (const auto& [name, value] : spec.speculation_env) environment[name] = value;
    environment["OLLAMA_HOST"] = fmt::format("127.0.0.1:{}", port);
    environment["OLLAMA_MODELS"] = spec.store.string();
    return environment;
}

std::unique_ptr<Backend> make_started_ollama(OllamaServerSpec spec, ServerTools tools) {
    return make_started_server(
        {.start = [spec = std::move(spec), tools = std::move(tools)] { return start_server(spec, tools); },
         .complete = [](const StartedServer&, bool, LoadedModel&) {},
         .kept_log_bytes = kLogBytes});
}

}  // namespace velollm::backend
