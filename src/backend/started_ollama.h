#pragma once

#include <velollm/backend.h>
#include <velollm/spec.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "backend/started_server.h"
#include "system/system.h"

namespace velollm::backend {

/// An Ollama that this program starts on a free port of 127.0.0.1, and stops again: beside one that runs already, with
/// an environment of its own.
struct OllamaServerSpec {
    std::filesystem::path binary;
    std::filesystem::path store;  ///< folder of the models
    /// Variables for speculative decoding (ollama_speculation_env): refused of an Ollama that is too old for them.
    std::map<std::string, std::string> speculation_env;
    TargetSpec target;
};

/// Looks for the program: $VELOLLM_OLLAMA, then $PATH.
Result<std::filesystem::path> find_ollama(const system::System& system);

/// Ollama runs llama-server from 0.30 on; what came before is another engine, which nothing of llama-server's reaches.
bool runs_llama_server(std::string_view version);

/// The environment of such a server: ours, with what the target adds; its address and its models are never others'.
system::Environment ollama_environment(const OllamaServerSpec& spec, int port, const system::System& system);

/// See make_started_server().
std::unique_ptr<Backend> make_started_ollama(OllamaServerSpec spec, ServerTools tools);

}  // namespace velollm::backend
