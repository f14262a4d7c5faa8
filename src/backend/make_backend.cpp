#include "backend/make_backend.h"

#include <fmt/core.h>

#include <algorithm>

#include "backend/embedded.h"
#include "backend/http_backend.h"
#include "backend/ollama_store_model.h"
#include "backend/speculation.h"
#include "backend/started_llama_server.h"
#include "backend/started_ollama.h"
#include "base/text.h"
#include "http/curl_transport.h"

namespace velollm::backend {
namespace {

namespace fs = std::filesystem;

constexpr int kOllamaPort = 11434;
constexpr int kLlamaServerPort = 8080;
constexpr int kOpenAiPort = 8000;  // vLLM's

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

/// A model on this disk, to be loaded by an engine of ours.
struct LocalModel {
    fs::path file;
    std::string digest;
};

/// Nothing when `model` is neither a file nor a name of the local Ollama store.
Result<std::optional<LocalModel>> local_model(const std::string& model, const system::System& system) {
    if (model.empty()) return std::optional<LocalModel>();
    if (!names_a_file(model)) {
        const auto stored = find_stored_model(system, model);
        if (!stored) return std::optional<LocalModel>();
        return std::optional(LocalModel{stored->file, stored->digest.substr(stored->digest.find(':') + 1)});
    }
    // Read for its errors: they say more than the server's log.
    if (const auto file = gguf::read_model_file(model); !file) return file.error();
    return std::optional(LocalModel{fs::absolute(model), ""});
}

/// The file of the model that drafts; empty where none is named.
Result<fs::path> draft_file(const TargetSpec& target, const system::System& system) {
    if (target.draft.empty()) return fs::path();
    const auto draft = local_model(target.draft, system);
    if (!draft) return draft.error();
    if (*draft) return (*draft)->file;
    return Error{ErrorCode::kModelNotFound, fmt::format("Model not found: {} (from --draft)", target.draft),
                 "Name a GGUF file, or a model of the local Ollama store."};
}

Result<std::unique_ptr<Backend>> make_embedded(const TargetSpec& target, const system::System& system,
                                               const Hardware& hardware, Clock& clock,
                                               std::function<bool()> interrupted, ContextBytes context_bytes) {
    auto spec = find_model(target, system);
    if (!spec) return spec.error();
    spec->options = target.options;
    spec->raw = target.raw;
    auto draft = draft_file(target, system);
    if (!draft) return draft.error();
    spec->draft_file = std::move(*draft);
    spec->threads = hardware.cpu.usable.count;
    if (hardware.memory.available_bytes > 0) spec->memory_bytes = hardware.memory.available_bytes;
    spec->context_bytes = std::move(context_bytes);
    spec->interrupted = std::move(interrupted);
    return make_embedded_backend(std::move(*spec), clock);
}

/// Settings that a running server can't take with a request.
Result<void> refuse_start_options(const TargetSpec& target) {
    const bool started_here = target.backend == "ollama" && target.own_server;
    if (const auto fits = refuse_speculation(target); !fits && !started_here) return fits;
    if (target.options.flash_attention.empty() && target.options.kv_type.empty()) return {};
    return Error{
        ErrorCode::kUsage, fmt::format("--flash-attn and --kv-type can't be set through {}", target.backend),
        target.backend == "ollama"
            ? "Ollama takes them when it starts: OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=q8_0 ollama serve"
        : target.backend == "openai" ? "Set them where the server is started."
                                     : "llama-server takes them when it starts: -fa on -ctk q8_0 -ctv q8_0"};
}

/// Settings of a server that is started, where none is: they would be dropped, and what is measured isn't what was
/// said.
Result<void> refuse_unread(const TargetSpec& target) {
    const bool llama_server = target.backend == "llamacpp" && target.url.empty();
    const auto refuse = [&](const std::string& what, const char* hint) {
        return Error{ErrorCode::kUsage,
                     fmt::format("{} can't be set {} {}", what,
                                 target.url.empty() ? "through" : "for a server that runs, through", target.backend),
                     hint};
    };
    if (!target.server_flags.empty() && !llama_server)
        return refuse(target.server_flags.front(),
                      "Flags are for a llama-server that is started: -b llamacpp -m FILE.gguf without a URL.");
    if (!target.server_env.empty() && !llama_server && !target.own_server)
        return refuse(
            target.server_env.begin()->first,
            "Variables are for a server that is started: -b ollama, or -b llamacpp -m FILE.gguf, without a URL.");
    return {};
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

Result<std::unique_ptr<Backend>> start_ollama(TargetSpec target, const system::System& system, Clock& clock,
                                              std::function<bool()> stop) {
    const auto binary = find_ollama(system);
    if (!binary) return binary.error();
    if (target.model.empty()) target.model = kDefaultModel;
    const auto stored = find_stored_model(system, target.model);
    if (!stored) return stored.error();
    // STORE/blobs/sha256-...
    OllamaServerSpec spec{.binary = *binary, .store = stored->file.parent_path().parent_path(), .target = target};
    const auto draft = draft_file(target, system);
    if (!draft) return draft.error();
    auto variables = ollama_speculation_env(target.options, draft->string());
    if (!variables) return variables.error();
    spec.speculation_env = std::move(*variables);
    const auto transport = [system, &clock] { return make_transport(system, clock); };
    return make_started_ollama(std::move(spec), {system, clock, transport, std::move(stop)});
}

Result<std::unique_ptr<Backend>> start_llama_server(const TargetSpec& target, const LocalModel& model,
                                                    const system::System& system, const Hardware& hardware,
                                                    Clock& clock, std::function<bool()> stop) {
    const auto binary = find_llama_server(target.llama_server, system);
    if (!binary) return binary.error();
    LlamaServerSpec spec{.binary = *binary,
                         .model_file = model.file,
                         .model = target.model,
                         .digest = model.digest,
                         .target = target,
                         .threads = hardware.cpu.usable.count};
    const auto draft = draft_file(target, system);
    if (!draft) return draft.error();
    auto words = llama_speculation_words(target.options, draft->string());
    if (!words) return words.error();
    spec.speculation_words = std::move(*words);
    const auto transport = [system, &clock] { return make_transport(system, clock); };
    return make_started_llama_server(std::move(spec), {system, clock, transport, std::move(stop)});
}

Result<std::unique_ptr<Backend>> make_llama_server(Target target, const system::System& system,
                                                   const Hardware& hardware, Clock& clock, std::function<bool()> stop) {
    const TargetSpec& spec = target.spec;
    if (spec.url.empty()) {
        const auto model = local_model(spec.model, system);
        if (!model) return model.error();
        if (*model) return start_llama_server(spec, **model, system, hardware, clock, std::move(stop));
    }
    if (!spec.draft.empty() || !spec.llama_server.empty()) {
        return Error{ErrorCode::kUsage, "--draft and --llama-server are for a llama-server that is started here",
                     "Name a model file with -m and leave out --url."};
    }
    if (const auto fits = refuse_start_options(spec); !fits) return fits.error();
    const EngineOptions& options = spec.options;
    if (options.num_ctx || options.num_batch || options.num_gpu || options.num_thread) {
        return Error{ErrorCode::kUsage, "llama-server takes its context, batch, threads and GPU layers when it starts",
                     "Start it with  -c, -b, -t, -ngl  and leave out --num-* (unset OLLAMA_NUM_* too).\n"
                     "Or have it started:  -m FILE.gguf  without --url"};
    }
    const auto url = wire::parse_url(spec.url.empty() ? "localhost" : spec.url, kLlamaServerPort);
    if (!url) return url.error();
    target.base = *url;
    const Dialect& dialect = llama_server_dialect(target.spec);
    return make_http_backend(dialect, std::move(target), make_transport(system, clock), clock, std::move(stop));
}

/// The key that the user's environment holds; empty without one.
Result<std::string> find_key(const TargetSpec& spec, const system::System& system) {
    const std::string name = spec.api_key_env.empty() ? "OPENAI_API_KEY" : spec.api_key_env;
    const std::string key(base::trim(system.variable(name).value_or("")));
    if (key.empty() && !spec.api_key_env.empty()) {
        return Error{ErrorCode::kUsage, fmt::format("The environment variable {} is not set", name),
                     "--api-key-env takes the name of a variable, not the key itself."};
    }
    const bool printable = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    if (!printable)
        return Error{ErrorCode::kUsage, fmt::format("{} holds no key: it has odd characters", name), "Set it anew."};
    return key;
}

Result<std::unique_ptr<Backend>> make_openai(Target target, const system::System& system, Clock& clock,
                                             std::function<bool()> stop) {
    const TargetSpec& spec = target.spec;
    const EngineOptions& options = spec.options;
    if (spec.url.empty())
        return Error{ErrorCode::kUsage, "-b openai needs an address", "Give it:  --url http://HOST:PORT/v1"};
    if (options.num_ctx || options.num_batch || options.num_gpu || options.num_thread)
        return Error{ErrorCode::kUsage, "--num-* can't be set through an OpenAI-compatible server",
                     "Set them where the server is started."};
    const auto url = wire::parse_url(spec.url, kOpenAiPort);
    if (!url) return url.error();
    auto key = find_key(spec, system);
    if (!key) return key.error();
    target.base = openai_base(*url);
    target.api_key = std::move(*key);
    return make_http_backend(openai_dialect(), std::move(target), make_transport(system, clock), clock,
                             std::move(stop));
}

}  // namespace

Result<fs::path> find_model_file(const std::string& model, const system::System& system) {
    const auto found = local_model(model, system);
    if (!found) return found.error();
    if (*found) return (*found)->file;
    return Error{ErrorCode::kModelNotFound, fmt::format("Model not found: {}", model),
                 "Name a GGUF file, or a model of the local Ollama store."};
}

std::vector<std::string> backend_names() {
    return {"ollama", "llamacpp", "openai", "embedded"};
}

Result<std::unique_ptr<Backend>> make_backend(const TargetSpec& target, const system::System& system,
                                              const Hardware& hardware, Clock& clock, std::function<bool()> interrupted,
                                              ContextBytes context_bytes) {
    if (const auto read = refuse_unread(target); !read) return read.error();
    if (target.backend == "llamacpp")
        return make_llama_server({.spec = target}, system, hardware, clock, std::move(interrupted));
    if (!target.llama_server.empty())
        return Error{ErrorCode::kUsage, "--llama-server goes with -b llamacpp", "Leave it out."};
    if (target.backend == "embedded")
        return make_embedded(target, system, hardware, clock, std::move(interrupted), std::move(context_bytes));
    if (!target.draft.empty() && !(target.backend == "ollama" && target.own_server))
        return Error{ErrorCode::kUsage,
                     "--draft goes with -b embedded, -b llamacpp, and an Ollama that is started here",
                     "Leave it out, or add  --speculation draft-simple  for an Ollama of our own."};
    if (const auto fits = refuse_start_options(target); !fits) return fits.error();
    if (target.backend == "openai") return make_openai({.spec = target}, system, clock, std::move(interrupted));
    if (target.backend == "ollama" && target.own_server)
        return start_ollama(target, system, clock, std::move(interrupted));
    if (target.backend == "ollama") return make_ollama({.spec = target}, system, clock, std::move(interrupted));
    return Error{ErrorCode::kUsage, fmt::format("Unknown backend: {}", target.backend),
                 "Known are ollama, llamacpp, openai and embedded."};
}

}  // namespace velollm::backend
