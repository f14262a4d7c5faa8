#pragma once

#include <velollm/result.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace velollm::gguf {

/// A model's name in full, as Ollama keeps it: host/space/model:tag.
struct StoreName {
    std::string host = "registry.ollama.ai";
    std::string space = "library";
    std::string model;
    std::string tag = "latest";

    /// As 'ollama list' shows it: "llama3.2:3b", "user/model:tag", "hf.co/user/model:tag".
    std::string text() const;
    bool operator==(const StoreName&) const = default;
};

/// Reads "llama3.2:3b", "llama3.2", "user/model:tag", "host[:port]/user/model:tag". Parts may hold letters, digits,
/// '_',
/// '-' and '.', and don't begin with the last two: no name leads out of the store.
Result<StoreName> parse_store_name(std::string_view text);

/// Where the description of a model lies: a JSON text that names the file of its weights by digest.
struct Manifest {
    std::filesystem::path store;
    std::filesystem::path path;
    StoreName name;
};

/// Looks a model up in the stores, in their order; they need not exist. Capital letters don't matter, as for Ollama.
/// Reads nothing but folders.
Result<Manifest> find_manifest(const std::vector<std::filesystem::path>& stores, std::string_view name);

/// The file of the store with this digest ("sha256:" and 64 hexadecimal digits), when it is there.
Result<std::filesystem::path> blob_file(const Manifest& manifest, std::string_view digest);

/// Names of all models in the stores that can be read, sorted.
std::vector<std::string> list_models(const std::vector<std::filesystem::path>& stores);

}  // namespace velollm::gguf
