#pragma once

#include <velollm/backend.h>
#include <velollm/hardware.h>
#include <velollm/spec.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "backend/embedded.h"
#include "system/system.h"

namespace velollm::backend {

/// The default model of the embedded engine, as scripts/setup leaves it in the cache folder.
inline constexpr const char* kBundledModelFile = "SmolLM2-135M-Instruct.Q4_1.gguf";
inline constexpr const char* kBundledModelName = "SmolLM2-135M-Instruct";

/// Builds the backend that `target` names. Touches no server: a wrong address or a dead one shows in describe().
///
/// Embedded: the model is a GGUF file, a name in the local Ollama store, or, when the caller named none, the default
/// model. `interrupted` is asked during everything that takes long: true ends it. `context_bytes` is for the embedded
/// engine, which refuses what doesn't fit memory.
Result<std::unique_ptr<Backend>> make_backend(const TargetSpec& target, const system::System& system,
                                              const Hardware& hardware, Clock& clock, std::function<bool()> interrupted,
                                              ContextBytes context_bytes = {});

/// The GGUF file that `model` means: a file, or a name in the local Ollama store.
Result<std::filesystem::path> find_model_file(const std::string& model, const system::System& system);

/// Names of the backends that this build has, for messages and --help.
std::vector<std::string> backend_names();

}  // namespace velollm::backend
