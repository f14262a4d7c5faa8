#pragma once

#include <velollm/backend.h>
#include <velollm/spec.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backend/dry_run.h"
#include "gguf/gguf.h"

namespace velollm::backend {

/// Bytes of keys, values and recurrent states of a model with these settings: model::context_bytes, which this folder
/// is too low to know.
using ContextBytes = std::function<std::int64_t(const gguf::Header&, const MemorySettings&)>;

/// What the embedded engine is to run.
struct EmbeddedSpec {
    gguf::ModelFile file;
    std::string model;                 ///< name to show
    std::string digest;                ///< sha256 of the file where it is known without reading it
    std::filesystem::path draft_file;  ///< model for speculative decoding; empty: none
    bool raw = false;                  ///< no chat template around the prompt
    EngineOptions options;
    int threads = 1;                           ///< unless options.num_thread says otherwise
    std::optional<std::int64_t> memory_bytes;  ///< free for the model; absent: unknown
    ContextBytes context_bytes;                ///< empty: a context is taken for nothing
    std::function<bool()> interrupted;         ///< asked while a long computation goes on; may be empty
};

/// llama.cpp inside this process: greedy sampling, the end token ruled out so that every request has the length asked
/// for, the KV cache emptied before every request. With speculative decoding several tokens may come at one time. Times
/// include sampling and turning tokens into text; there is no network and no server in them.
///
/// A build without the engine (VELOLLM_LLAMA=OFF) gives an error instead.
Result<std::unique_ptr<Backend>> make_embedded_backend(EmbeddedSpec spec, Clock& clock);

/// Version of the engine built in, e.g. "0.5.0-dev"; empty without one.
std::string embedded_engine_version();

}  // namespace velollm::backend
