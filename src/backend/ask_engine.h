#pragma once

#include <velollm/hardware.h>
#include <velollm/result.h>
#include <velollm/time.h>

#include <string>

#include "system/system.h"

namespace velollm::backend {

/// What an engine says of this machine: its devices, the threads that it takes by itself, what it was built for.
///
/// llamacpp: the program of find_llama_server(). It is started with a model that is none, so that it describes itself
///           and ends.
/// ollama:   the llama-server that comes with the program `ollama` of $PATH, once with each of its GPU libraries, and
///           the running server at $OLLAMA_HOST, if any, for its version and the models that it holds. Ollama up to
///           0.24 has no such program: its devices stay unknown.
///
/// Each start may take kAskLimit, since GPU runtimes take their time; an engine that takes longer is ended, and that is
/// an error. No program and no server: an error that says where was looked.
Result<EngineView> ask_engine(const std::string& backend, const system::System& system, Clock& clock);

inline constexpr Ns kAskLimit = std::chrono::seconds(15);

}  // namespace velollm::backend
