#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace velollm::backend {

/// The settings that decide how much memory the engine takes, by llama.cpp's meaning of them.
struct MemorySettings {
    std::int64_t context_tokens = 4096;  ///< of all sequences together, unless `unified`
    std::int64_t sequences = 1;
    bool unified = false;  ///< the sequences share one cache
    std::int64_t batch_tokens = 2048;
    std::int64_t ubatch_tokens = 512;
    std::optional<std::int64_t> outputs;  ///< rows of logits at once; a server: its sequences. Absent: the whole batch
    std::uint32_t key_type = 1;           ///< of the cache: a number of gguf/tensor_types.h
    std::uint32_t value_type = 1;
    bool flash_attention = true;
    bool full_sliding_cache = false;  ///< sliding blocks keep the whole context
};

/// What one kind of buffer would take.
struct DryRunBuffer {
    std::string name;   ///< "CPU", "CPU_REPACK", "CUDA0"
    bool host = false;  ///< in the memory of the machine
    std::int64_t weights_bytes = 0;
    std::int64_t context_bytes = 0;  ///< keys, values and recurrent states
    std::int64_t compute_bytes = 0;
};

/// What the engine would take with each of the settings, by its own account: some 10 ms each, and 20 for the file,
/// whose weights are never read. It may be a header with holes behind it. `gpu_layers`: blocks that go to a GPU, the
/// last ones first; the output layer counts as one.
///
/// Runs in a copy of this process (see system/child_answer.h), since the engine ends the process on some files and
/// settings; only the setting that did it then has no answer. Fails altogether in a build without the engine or without
/// its extension header.
std::vector<Result<std::vector<DryRunBuffer>>> dry_run(const std::filesystem::path& file, std::int64_t gpu_layers,
                                                       const std::vector<MemorySettings>& settings);

/// This build can do it.
bool can_dry_run();

}  // namespace velollm::backend
