#pragma once

#include <velollm/result.h>
#include <velollm/spec.h>

#include "system/system.h"

namespace velollm::backend {

/// Fills in what the caller left open from OLLAMA_NUM_CTX, OLLAMA_NUM_BATCH, OLLAMA_NUM_GPU, OLLAMA_NUM_THREAD and
/// OLLAMA_KEEP_ALIVE, and notes where it came from. No Ollama server reads the first four: sending them as request
/// options makes them true. A value that is no number is an error, not a silent default.
/// llama-server takes such options when it starts, and other servers don't know them: for these they are left alone.
Result<void> take_environment(TargetSpec& target, const system::System& system);

/// Whether these settings take an Ollama of our own: it reads them from its environment when it starts. Not where an
/// address names one that runs.
bool takes_own_ollama(const TargetSpec& target);

}  // namespace velollm::backend
