#include "backend/started_ollama.h"

#include <fmt/core.h>

#include <cstdint>
#include <optional>
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
constexpr Ns kHealthPause = std::chrono::milliseconds(10);
constexpr Ns kStopGrace = std::chrono::seconds(5);
constexpr std::size_t kLogBytes = std::size_t{64} << 10U;

class StartedOllama final : public Backend {
public:
    StartedOllama(OllamaServerSpec spec, system::System system, Clock& clock,
                  std::function<std::unique_ptr<http::HttpTransport>()> transport, std::function<bool()> stop)
        : spec_(std::move(spec)),
          system_(std::move(system)),
          clock_(clock),
          make_transport_(std::move(transport)),
          stop_(std::move(stop)) {}

    Result<TargetInfo> describe() override {
        if (!server_) {
            if (const auto started = start_server(); !started) return started.error();
        }
        return *info_;
    }

    Result<LoadedModel> load() override {
        if (!server_) {
            if (const auto started = start_server(); !started) return started.error();
        }
        auto loaded = inner_->load();
        if (loaded) loaded->process_id = server_->pid();
        return loaded;
    }

    Result<void> unload() override {
        inner_.reset();
        if (server_) server_->stop(kStopGrace);
        server_.reset();
        return {};
    }

    void start(RequestId id, const Prompt& prompt, TokenSink& sink) override {
        server_->output(kLogBytes);  // drops what is older: its log must not grow for as long as we measure
        inner_->start(id, prompt, sink);
    }
    void cancel(RequestId id) override { inner_->cancel(id); }
    void poll(TimePoint until) override { inner_->poll(until); }
    PathTimes path_times(const Prompt& prompt) override { return inner_->path_times(prompt); }
    std::optional<ReadHealth> take_read_health() override { return inner_->take_read_health(); }

private:
    Result<void> start_server() {
        const auto port = system::free_loopback_port();
        if (!port) return port.error();
        auto process = system::Process::start(
            {.words = {spec_.binary.string(), "serve"}, .env = ollama_environment(spec_, *port, system_)}, system_);
        if (!process) return process.error();
        Target target{.spec = spec_.target};
        target.base = {.host = "127.0.0.1", .port = *port};
        auto transport = make_transport_();
        if (const auto ready = wait_until_ready(target, *process, *transport); !ready) return ready;
        auto inner = make_http_backend(ollama_dialect(), std::move(target), std::move(transport), clock_, stop_);
        auto info = inner->describe();
        if (!info) return info.error();
        if (!spec_.speculation_env.empty() && !runs_llama_server(info->version))
            return Error{ErrorCode::kUsage,
                         fmt::format("Ollama {} has no speculative decoding: 0.30 is the first with it", info->version),
                         "Take a newer one, or llama-server: -b llamacpp"};
        for (const auto* added : {&spec_.target.server_env, &spec_.speculation_env})
            for (const auto& [name, value] : *added) info->settings[name] = value;
        if (runs_llama_server(info->version))
            info->speculation = speculation_of({}, ollama_environment(spec_, *port, system_));
        info_ = std::move(*info);
        server_ = std::move(*process);
        inner_ = std::move(inner);
        return {};
    }

    Result<void> wait_until_ready(const Target& target, system::Process& process, http::HttpTransport& transport) {
        const http::Caller ask(transport, clock_, stop_);
        const TimePoint deadline = clock_.now() + kStartPatience;
        while (clock_.now() < deadline) {
            if (stop_ && stop_()) return Error{ErrorCode::kInterrupted, "Stopped while Ollama was starting", ""};
            if (const auto end = process.ended())
                return Error{ErrorCode::kFailed, fmt::format("ollama serve ended at once ({})", end->text()),
                             "It last wrote:\n" + base::one_line(process.output(kLogBytes), 400)};
            if (ask(get(target, "/api/version"), kShortAnswer).status == 200) return {};
            ask.wait(kHealthPause);
        }
        return Error{ErrorCode::kFailed,
                     fmt::format("ollama serve did not answer within {:.0f} s", to_seconds(kStartPatience)),
                     "Does it start by hand?  ollama serve"};
    }

    OllamaServerSpec spec_;
    system::System system_;
    Clock& clock_;
    std::function<std::unique_ptr<http::HttpTransport>()> make_transport_;
    std::function<bool()> stop_;
    std::optional<system::Process> server_;
    std::unique_ptr<Backend> inner_;  // after the server: its connections close first
    std::optional<TargetInfo> info_;
};

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

std::unique_ptr<Backend> make_started_ollama(OllamaServerSpec spec, system::System system, Clock& clock,
                                             std::function<std::unique_ptr<http::HttpTransport>()> transport,
                                             std::function<bool()> stop) {
    return std::make_unique<StartedOllama>(std::move(spec), std::move(system), clock, std::move(transport),
                                           std::move(stop));
}

}  // namespace velollm::backend
