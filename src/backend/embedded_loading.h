#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <string>

#include "backend/embedded.h"

namespace velollm::backend {

/// The type of a KV cache by its name, e.g. "q8_0": a ggml_type.
Result<int> cache_type(const std::string& name);

/// What the engine's own failure text means for its user.
Error load_error(const EmbeddedSpec& spec);

/// `needed` is in bytes, as is spec.memory_bytes.
Error no_memory(const EmbeddedSpec& spec, std::int64_t needed);

}  // namespace velollm::backend
