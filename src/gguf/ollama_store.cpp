#include "gguf/ollama_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <system_error>

#include "base/text.h"

namespace velollm::gguf {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxPartBytes = 255;  // a part is a file's name

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Whether a part of a name is one that Ollama makes files of. A host may carry a port.
bool is_part(std::string_view part, bool is_host = false) {
    if (part.empty() || part.size() > kMaxPartBytes) return false;
    if (!is_letter_or_digit(part.front()) && part.front() != '_') return false;
    return std::all_of(part.begin(), part.end(), [&](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.' || (is_host && c == ':');
    });
}

bool is_valid(const StoreName& name) {
    return is_part(name.host, true) && is_part(name.space) && is_part(name.model) && is_part(name.tag);
}

/// Names in a folder; none when it can't be listed.
std::vector<std::string> entries(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error))
        names.push_back(entry->path().filename().string());
    return names;
}

std::vector<StoreName> names_in(const fs::path& store) {
    std::vector<StoreName> names;
    const fs::path root = store / "manifests";
    for (const std::string& host : entries(root))
        for (const std::string& space : entries(root / host))
            for (const std::string& model : entries(root / host / space))
                for (const std::string& tag : entries(root / host / space / model))
                    if (const StoreName name{host, space, model, tag}; is_valid(name)) names.push_back(name);
    return names;
}

fs::path manifest_path(const fs::path& store, const StoreName& name) {
    return store / "manifests" / name.host / name.space / name.model / name.tag;
}

/// The manifest of a model in one store. `denied` is set when the store may have it behind a closed door.
std::optional<Manifest> find_in(const fs::path& store, const StoreName& name, bool& denied) {
    std::error_code error;
    if (fs::is_regular_file(manifest_path(store, name), error))
        return Manifest{store, manifest_path(store, name), name};
    if (error == std::errc::permission_denied) denied = true;
    fs::directory_iterator(store / "manifests", error);
    if (error == std::errc::permission_denied) denied = true;
    const std::string wanted = base::lower(name.text());
    for (const StoreName& found : names_in(store))
        if (base::lower(found.text()) == wanted && fs::is_regular_file(manifest_path(store, found), error))
            return Manifest{store, manifest_path(store, found), found};
    return std::nullopt;
}

Error denied_error(const fs::path& store) {
    return {ErrorCode::kFailed, fmt::format("Cannot read the Ollama models in {}: Permission denied", store.string()),
            "They belong to the user that the Ollama service runs as. Run this with sudo, or join its group and log in "
            "again: sudo usermod -a -G ollama $USER"};
}

Error not_found(const std::vector<fs::path>& stores, const StoreName& name) {
    std::string existing;
    std::string all;
    for (const fs::path& store : stores) {
        std::error_code error;
        if (fs::is_directory(store, error)) existing += (existing.empty() ? "" : ", ") + store.string();
        all += (all.empty() ? "" : ", ") + store.string();
    }
    if (existing.empty())
        return {ErrorCode::kModelNotFound, fmt::format("Model not found: {}; no Ollama store in {}", name.text(), all),
                "Give the path of a GGUF file, or set OLLAMA_MODELS to the folder of Ollama's models."};
    std::string hint = fmt::format("ollama pull {}", name.text());
    if (const std::string near = base::nearest_names(name.text(), list_models(stores), true); !near.empty())
        hint += fmt::format("\nModels with a similar name: {}", near);
    return {ErrorCode::kModelNotFound, fmt::format("Model not found: {} (in {})", name.text(), existing), hint};
}

}  // namespace

std::string StoreName::text() const {
    const StoreName standard;
    std::string out = model + ":" + tag;
    if (host != standard.host) return host + "/" + space + "/" + out;
    return space == standard.space ? out : space + "/" + out;
}

Result<StoreName> parse_store_name(std::string_view text) {
    StoreName name;
    std::vector<std::string_view> parts = base::split(text, '/');
    std::string_view model = parts.back();
    if (const std::size_t colon = model.find(':'); colon != std::string_view::npos) {
        name.tag = model.substr(colon + 1);
        model = model.substr(0, colon);
    }
    name.model = model;
    if (parts.size() >= 2) name.space = parts[parts.size() - 2];
    if (parts.size() >= 3) name.host = parts.front();
    if (parts.size() <= 3 && is_valid(name)) return name;
    return Error{ErrorCode::kUsage, fmt::format("Not the name of an Ollama model: \"{}\"", base::one_line(text, 80)),
                 "Names read like llama3.2:3b, user/model:tag or hf.co/user/model:tag."};
}

Result<Manifest> find_manifest(const std::vector<fs::path>& stores, std::string_view text) {
    const auto name = parse_store_name(text);
    if (!name) return name.error();
    std::optional<fs::path> closed;
    for (const fs::path& store : stores) {
        bool denied = false;
        if (const auto manifest = find_in(store, *name, denied)) return *manifest;
        if (denied && !closed) closed = store;
    }
    if (closed) return denied_error(*closed);
    return not_found(stores, *name);
}

Result<fs::path> blob_file(const Manifest& manifest, std::string_view digest) {
    constexpr std::string_view kPrefix = "sha256:";
    constexpr std::size_t kHexDigits = 64;
    const std::string_view hex = digest.substr(std::min(kPrefix.size(), digest.size()));
    const bool valid = digest.starts_with(kPrefix) && hex.size() == kHexDigits &&
                       hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    const std::string repair = fmt::format("Fetch the model again: ollama pull {}", manifest.name.text());
    if (!valid)
        return Error{ErrorCode::kFailed,
                     fmt::format("Broken Ollama manifest: {} names the blob \"{}\"", manifest.path.string(),
                                 base::one_line(digest, 80)),
                     repair};
    fs::path path = manifest.store / "blobs" / fmt::format("sha256-{}", hex);
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path;
    if (error == std::errc::permission_denied) return denied_error(manifest.store);
    return Error{
        ErrorCode::kModelNotFound,
        fmt::format("The weights of {} are missing from the Ollama store: {}", manifest.name.text(), path.string()),
        repair};
}

std::vector<std::string> list_models(const std::vector<fs::path>& stores) {
    std::vector<std::string> names;
    for (const fs::path& store : stores)
        for (const StoreName& name : names_in(store)) names.push_back(name.text());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

}  // namespace velollm::gguf
