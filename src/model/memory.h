#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "backend/dry_run.h"
#include "model/shape.h"

namespace velollm::model {

/// What a model takes of one memory, by what for. All in bytes.
struct MemoryUse {
    std::int64_t weights_bytes = 0;
    std::int64_t cache_bytes = 0;    ///< keys and values
    std::int64_t state_bytes = 0;    ///< recurrent states; they don't grow with the context
    std::int64_t compute_bytes = 0;  ///< intermediate results of a batch
    std::int64_t output_bytes = 0;   ///< logits that are handed over

    std::int64_t total_bytes() const {
        return weights_bytes + cache_bytes + state_bytes + compute_bytes + output_bytes;
    }
};

enum class MemoryBasis {
    kEngine,   ///< the engine's own account of this model with these settings
    kFormula,  ///< formulas checked against the engine
};

struct MemoryEstimate {
    MemoryUse host;
    MemoryUse gpu;  ///< of all GPUs together
    MemoryBasis basis = MemoryBasis::kFormula;

    /// Part of the host's weights that the processor keeps in an order of its own (CPU_REPACK), in memory that can't be
    /// given back. It is counted once in `host.weights_bytes`; with a mapped file, the file's pages that it was read
    /// from stay in memory beside it as long as there is room.
    std::int64_t repacked_bytes = 0;
    /// Pages of the mapped file: all weights of the host, the repacked ones too. The kernel drops them when memory is
    /// short, and reads them again from the disk; those of weights that aren't repacked at a great loss of speed.
    std::int64_t mapped_bytes = 0;

    std::vector<std::string> notes;  ///< what is left out or not sure, as sentences

    /// What the host must have: all but pages that nobody needs.
    std::int64_t host_needed_bytes() const { return host.total_bytes(); }
    /// Of this, memory that belongs to the process and is never given back.
    std::int64_t host_anonymous_bytes() const {
        return mapped_bytes == 0 ? host.total_bytes() : host.total_bytes() - host.weights_bytes + repacked_bytes;
    }
};

/// What is asked.
struct MemoryQuestion {
    backend::MemorySettings settings;
    std::int64_t gpu_layers = 0;  ///< blocks on GPUs, the last ones first; the output layer counts as one
    bool mapped = true;           ///< the engine maps the file (its default) instead of reading it
    /// Types that the processor repacks: see repacked_types. Only formulas need them.
    std::vector<std::uint32_t> repacked;
};

/// The types that llama.cpp 0.5.0 repacks on an x86 processor (repack.cpp).
std::vector<std::uint32_t> repacked_types(bool has_avx2, bool has_avx512);

/// By formula. `shape` has its tensors. Where layers go to a GPU, the parts of the compute buffer are rough: the note
/// says so.
MemoryEstimate memory_by_formula(const ModelShape& shape, const MemoryQuestion& question);

/// By the engine's account of a file, whose weights are not read. Fails where the engine refuses the model or the
/// settings, and in a build that can't ask it.
Result<MemoryEstimate> memory_by_engine(const std::filesystem::path& file, const ModelShape& shape,
                                        const MemoryQuestion& question);

/// By the engine's account of a file made for the purpose, with the header of this shape and holes for its weights.
Result<MemoryEstimate> memory_by_engine(const ModelShape& shape, const MemoryQuestion& question);

/// By the engine where that works, else by formula with a note. `file`: of the model; empty when there is none.
MemoryEstimate memory_of(const std::filesystem::path& file, const ModelShape& shape, const MemoryQuestion& question);

// ---- Terms of the formulas ----

/// Keys and values of all sequences: for each block that has a cache, its cells times the bytes of a row. A sliding
/// block has as many cells as the window and a batch need (llama-kv-cache-iswa.cpp); multi-head latent attention keeps
/// keys alone (llama-kv-cache.cpp).
std::int64_t cache_bytes(const ModelShape& shape, const backend::MemorySettings& settings);

/// Keys, values and recurrent states of a model with this header; 0 where the header tells no shape.
std::int64_t context_bytes(const gguf::Header& header, const backend::MemorySettings& settings);

/// Recurrent states of all sequences, in F32 (llama_hparams::n_embd_r, n_embd_s).
std::int64_t state_bytes(const ModelShape& shape, const backend::MemorySettings& settings);

}  // namespace velollm::model
