#pragma once

#include <cstdint>

#include "backend/dry_run.h"
#include "model/shape.h"

namespace velollm::model {

/// What llama.cpp makes of the settings before it reserves memory (llama_context's constructor,
/// llama-kv-cache-iswa.cpp).
struct Cells {
    std::int64_t streams = 1;  ///< caches side by side
    std::int64_t full = 0;     ///< cells of one, for blocks that see the whole context
    std::int64_t sliding = 0;  ///< cells of one, for sliding blocks
    std::int64_t ubatch = 0;   ///< tokens computed at once
    std::int64_t outputs = 0;  ///< rows of logits among them
};

/// A row of a cache: whole blocks of its type. A type that isn't known is taken for F32.
std::int64_t row_bytes(std::int64_t elements, std::uint32_t type);

Cells cells_of(const ModelShape& shape, const backend::MemorySettings& settings);

}  // namespace velollm::model
