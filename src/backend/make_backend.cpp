#include "backend/make_backend.h"

#include <fmt/core.h>

#include "backend/embedded.h"
#include "backend/http_backend.h"
#include "backend/ollama_store_model.h"
#include "http/curl_transport.h"

namespace velollm::backend {
namespace {

namespace fs = std::filesystem;

constexpr int kOllamaPort = 11434;
constexpr int kLlamaServerPort = 8080;

/// A file that stands there, or a name that can only mean a file.
bool names_a_file(const std::string& model) {
    std::error_code error;
    return model.ends_with(".gguf") || model.starts_with("/") || model.starts_with("./") || model.starts_with("../") ||
           fs::is_regular_file(model, error);
}

Result<EmbeddedSpec> find_model(const TargetSpec& target, const system::System& system) {
    EmbeddedSpec spec;
    fs::path path;
    if (target.model.empty()) {
        path = system::cache_folder(system) / "models" / kBundledModelFile;
        spec.model = kBundledModelName;
        if (!fs::exists(path)) {
            return Error{ErrorCode::kModelNotFound,
                         fmt::format("Model not found: {} (the default model of -b embedded)", path.string()),
                         "Fetch it:  scripts/setup\nOr name a file:  -m FILE.gguf"};
        }
    } else if (names_a_file(target.model)) {
        path = target.model;
        spec.model = target.model;
    } else {
        const auto stored = find_stored_model(system, target.model);
        if (!stored) return stored.error();
        path = stored->file;
        spec.model = target.model;
        spec.digest = stored->digest.substr(stored->digest.find(':') + 1);  // "sha256:..."
    }
    auto file = gguf::read_model_file(path);
    if (!file) return file.error();
    spec.file = *file;
    return spec;
}

Result<std::unique_ptr<Backend>> make_embedded(const TargetSpec& target, const system::System& system,
                                               const Hardware& hardware, Clock& clock,
                                               std::function<bool()> interrupted) {
    auto spec = find_model(target, system);
    if (!spec) return spec.error();
    spec->options = target.options;
    spec->threads = hardware.cpu.usable.count;
    if (hardware.memory.available_bytes > 0) spec->memory_bytes = hardware.memory.available_bytes;
    spec->interrupted = std::move(interrupted);
    return make_embedded_backend(std::move(*spec), clock);
}

/// Settings that only the embedded engine can take from a request's side.
Result<void> refuse_embedded_options(const TargetSpec& target) {
    if (target.options.flash_attention.empty() && target.options.kv_type.empty()) return {};
    return Error{
        ErrorCode::kUsage, fmt::format("--flash-attn and --kv-type can't be set through {}", target.backend),
        target.backend == "ollama"
            ? "Ollama takes them when it starts: OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=q8_0 ollama serve"
            : "llama-server takes them when it starts: -fa on -ctk q8_0 -ctv q8_0"};
}

/// The transport with the certificates that the user's environment names, as the curl command has it.
std::unique_ptr<http::HttpTransport> make_transport(const system::System& system, Clock& clock) {
    const auto file = system.variable("CURL_CA_BUNDLE");
    return http::make_curl_transport(clock, file ? *file : system.variable("SSL_CERT_FILE").value_or(""));
}

Result<std::unique_ptr<Backend>> make_ollama(Target target, const system::System& system, Clock& clock,
                                             std::function<bool()> stop) {
    if (target.spec.model.empty()) target.spec.model = kDefaultModel;
    if (target.spec.url.empty()) {
        target.base = wire::resolve_ollama_host(system.variable("OLLAMA_HOST").value_or(""));
    } else {
        const auto url = wire::parse_url(target.spec.url, kOllamaPort);
        if (!url) return url.error();
        target.base = *url;
    }
    return make_http_backend(ollama_dialect(), std::move(target), make_transport(system, clock), clock,
                             std::move(stop));
}

Result<std::unique_ptr<Backend>> make_llama_server(Target target, const system::System& system, Clock& clock,
                                                   std::function<bool()> stop) {
    const EngineOptions& options = target.spec.options;
    if (options.num_ctx || options.num_batch || options.num_gpu || options.num_thread) {
        return Error{ErrorCode::kUsage, "llama-server takes its context, batch, threads and GPU layers when it starts",
                     "Start it with  -c, -b, -t, -ngl  and leave out --num-* (unset OLLAMA_NUM_* too)."};
    }
    const auto url = wire::parse_url(target.spec.url.empty() ? "localhost" : target.spec.url, kLlamaServerPort);
    if (!url) return url.error();
    target.base = *url;
    return make_http_backend(llama_server_dialect(), std::move(target), make_transport(system, clock), clock,
                             std::move(stop));
}

}  // namespace

std::vector<std::string> backend_names() {
    return {"ollama", "llamacpp", "embedded"};
}

Result<std::unique_ptr<Backend>> make_backend(const TargetSpec& target, const system::System& system,
                                              const Hardware& hardware, Clock& clock,
                                              std::function<bool()> interrupted) {
    if (target.backend == "embedded") return make_embedded(target, system, hardware, clock, std::move(interrupted));
    if (const auto fits = refuse_embedded_options(target); !fits) return fits.error();
    if (target.backend == "ollama") return make_ollama({.spec = target}, system, clock, std::move(interrupted));
    if (target.backend == "llamacpp") return make_llama_server({.spec = target}, system, clock, std::move(interrupted));
    return Error{ErrorCode::kUsage, fmt::format("Unknown backend: {}", target.backend),
                 "Known are ollama, llamacpp and embedded."};
}

}  // namespace velollm::backend
