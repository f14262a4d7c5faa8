#pragma once

#include <velollm/result.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "system/system.h"

namespace velollm::backend {

/// A model of the local Ollama store as a file that another engine can load.
struct StoredModel {
    std::string name;            ///< as 'ollama list' shows it
    std::filesystem::path file;  ///< its weights, in GGUF format
    std::string digest;          ///< of the file, as the manifest states it: "sha256:..."
};

/// Folders that Ollama may keep models in, in the order of looking: $OLLAMA_MODELS alone when it is set, else
/// ~/.ollama/models, then /usr/share/ollama/.ollama/models and /var/lib/ollama/.ollama/models, where services have
/// theirs.
std::vector<std::filesystem::path> ollama_stores(const system::System& system);

/// Finds a model by its Ollama name (gguf/ollama_store.h) without a running server. Reads only. A failure says whether
/// the model, its weights or the right to read them is missing.
Result<StoredModel> find_stored_model(const system::System& system, std::string_view name);

}  // namespace velollm::backend
