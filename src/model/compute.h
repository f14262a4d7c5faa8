#pragma once

#include <cstdint>

#include "backend/dry_run.h"
#include "model/shape.h"

namespace velollm::model {

/// Bytes of the buffer for intermediate results when everything is computed on one device: the size that llama.cpp
/// 0.5.0 reserves for a full batch. It lays the graph of a batch out as the engine does (graph.h); what that graph is
/// made of follows src/llama-graph.cpp and src/models. An architecture that isn't known is taken for Llama's.
std::int64_t compute_bytes(const ModelShape& shape, const backend::MemorySettings& settings);

}  // namespace velollm::model
