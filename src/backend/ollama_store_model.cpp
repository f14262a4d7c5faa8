#include "backend/ollama_store_model.h"

#include <fmt/core.h>

#include <optional>

#include "base/text.h"
#include "gguf/ollama_store.h"
#include "wire/json_reader.h"

namespace velollm::backend {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kWeights = "application/vnd.ollama.image.model";
constexpr std::uintmax_t kMaxManifestBytes = 1 << 20;

Error broken(const gguf::Manifest& manifest) {
    return {ErrorCode::kFailed, fmt::format("Broken Ollama manifest: {}", manifest.path.string()),
            fmt::format("Fetch the model again: ollama pull {}", manifest.name.text())};
}

Result<std::string> read_manifest(const gguf::Manifest& manifest) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(manifest.path, error);
    if (!error && size > kMaxManifestBytes) return broken(manifest);
    if (auto text = system::read_file(manifest.path)) return std::move(*text);
    return Error{ErrorCode::kFailed, fmt::format("Cannot read {}", manifest.path.string()),
                 "Give your user the right to read it, or run this with sudo."};
}

}  // namespace

std::vector<fs::path> ollama_stores(const system::System& system) {
    if (const auto folder = system.variable("OLLAMA_MODELS")) return {fs::path(base::trim(*folder))};
    std::vector<fs::path> folders;
    if (const auto home = system.variable("HOME")) folders.push_back(fs::path(*home) / ".ollama/models");
    folders.push_back(system.root / "usr/share/ollama/.ollama/models");
    folders.push_back(system.root / "var/lib/ollama/.ollama/models");
    return folders;
}

Result<StoredModel> find_stored_model(const system::System& system, std::string_view name) {
    const auto manifest = gguf::find_manifest(ollama_stores(system), name);
    if (!manifest) return manifest.error();
    const auto text = read_manifest(*manifest);
    if (!text) return text.error();
    wire::JsonReader json;
    json.parse(*text);  // a text that isn't JSON has no layers either
    const auto layers = json.size("/layers");
    if (!layers) return broken(*manifest);
    for (std::size_t i = 0; i < *layers; ++i) {
        if (json.text(fmt::format("/layers/{}/mediaType", i)) != kWeights) continue;
        const std::string digest(json.text(fmt::format("/layers/{}/digest", i)).value_or(""));
        const auto file = gguf::blob_file(*manifest, digest);
        if (!file) return file.error();
        return StoredModel{manifest->name.text(), *file, digest};
    }
    return Error{ErrorCode::kModelNotFound,
                 fmt::format("{} has no GGUF weights in the Ollama store", manifest->name.text()),
                 "It runs in the cloud, or is kept in another format. Measure it through its server: -b ollama"};
}

}  // namespace velollm::backend
