#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/metadata.h"

namespace velollm::gguf {

/// More blocks than any model has (llama.cpp 0.5.0 takes 512).
inline constexpr std::size_t kMaxBlocks = 1024;

/// A figure that may differ from block to block: nothing, one number for all blocks, or one a block.
using PerBlock = std::vector<std::int64_t>;

/// Figures of a model's shape that a header states beside those in Header, by the metadata keys that they come from.
/// What the file doesn't state, or states in another kind than llama.cpp reads, is absent.
struct Hyperparameters {
    PerBlock heads;                ///< attention.head_count
    PerBlock kv_heads;             ///< attention.head_count_kv
    PerBlock feed_forward;         ///< feed_forward_length
    PerBlock expert_feed_forward;  ///< expert_feed_forward_length
    PerBlock sliding_pattern;      ///< attention.sliding_window_pattern: 0 or 1 a block, or one number: the period
    PerBlock recurrent_layers;     ///< attention.recurrent_layers: 0 or 1 a block

    std::optional<std::int64_t> expert_shared_feed_forward;
    std::optional<std::int64_t> experts_shared;
    std::optional<std::int64_t> leading_dense_blocks;
    std::optional<std::int64_t> moe_step;  ///< interleave_moe_layer_step: every so many blocks have experts
    std::optional<std::int64_t> nextn_layers;
    std::optional<std::int64_t> q_lora_rank;
    std::optional<std::int64_t> kv_lora_rank;
    std::optional<std::int64_t> key_length_mla;
    std::optional<std::int64_t> value_length_mla;
    std::optional<std::int64_t> key_length_swa;
    std::optional<std::int64_t> value_length_swa;
    std::optional<std::int64_t> rope_dimensions;
    std::optional<std::int64_t> shared_kv_layers;         ///< attention.shared_kv_layers: the last blocks have no cache
    std::optional<std::int64_t> full_attention_interval;  ///< every so many blocks attend, the others are recurrent
    std::optional<std::int64_t> conv_kernel;              ///< ssm.*
    std::optional<std::int64_t> inner_size;
    std::optional<std::int64_t> state_size;
    std::optional<std::int64_t> time_step_rank;
    std::optional<std::int64_t> group_count;
    std::optional<std::int64_t> shortconv_cache;  ///< shortconv.l_cache
};

/// Reads the keys of `architecture`.
Hyperparameters read_hyperparameters(const Metadata& metadata, const std::string& architecture);

}  // namespace velollm::gguf
