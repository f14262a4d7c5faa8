#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"

namespace velollm::model {

/// One block (layer) of a model.
struct Block {
    std::int64_t heads = 0;       ///< of the queries; 0 in a block that doesn't attend
    std::int64_t kv_heads = 0;    ///< of keys and values
    std::int64_t key_length = 0;  ///< elements of one head; with MLA those of the cache, kv_lora_rank + rope_dimensions
    std::int64_t value_length = 0;
    std::int64_t feed_forward = 0;  ///< width of the dense feed-forward part; 0 where there are experts alone
    bool experts = false;           ///< its feed-forward part is made of experts
    bool sliding = false;           ///< sees the sliding window only
    bool recurrent = false;         ///< keeps a state of constant size instead of keys and values
    bool has_cache = true;          ///< false where it uses the keys and values of another block
};

/// What decides how much memory a model takes and how much work a token is. A number that the model doesn't have is 0.
struct ModelShape {
    std::string name;          ///< "llama3.1:8b", or the name in the file
    std::string architecture;  ///< llama.cpp's name: "llama", "qwen3moe"
    std::vector<Block> blocks;
    std::int64_t embedding = 0;   ///< width of the stream between the blocks
    std::int64_t vocabulary = 0;  ///< rows of the token embedding
    std::int64_t context = 0;     ///< tokens it was trained for
    bool tied = false;            ///< the output layer reuses the token embedding

    std::int64_t experts = 0;
    std::int64_t experts_used = 0;          ///< per token, without shared ones
    std::int64_t experts_shared = 0;        ///< their number, as deepseek2 states it
    std::int64_t expert_feed_forward = 0;   ///< width of one routed expert
    std::int64_t shared_feed_forward = 0;   ///< width of all shared experts together
    std::int64_t leading_dense_blocks = 0;  ///< blocks without experts in front
    std::int64_t moe_step = 0;              ///< llama4: every so many blocks have experts

    std::int64_t sliding_window = 0;  ///< tokens; 0 when no block is sliding
    std::int64_t q_lora_rank = 0;     ///< multi-head latent attention (MLA)
    std::int64_t kv_lora_rank = 0;
    std::int64_t key_length_mla = 0;  ///< of one head, as it is computed with
    std::int64_t value_length_mla = 0;
    std::int64_t rope_dimensions = 0;

    std::int64_t conv_kernel = 0;  ///< recurrent blocks: the ssm.* figures of the file
    std::int64_t inner_size = 0;
    std::int64_t state_size = 0;
    std::int64_t time_step_rank = 0;
    std::int64_t group_count = 0;
    std::int64_t shortconv_cache = 0;

    bool qkv_bias = false;       ///< the projections of queries, keys and values have biases
    bool rope_factors = false;   ///< a tensor with one factor a rotated pair (Llama 3.1)
    bool long_factors = false;   ///< two such tensors, for long and short contexts (Phi-3)
    bool expert_biases = false;  ///< a bias a routed expert, for the choice alone (DeepSeek V3)

    std::vector<gguf::Tensor> tensors;  ///< with the types of the file or of the quantisation that was asked for
    std::string quantization;           ///< "Q4_K_M"
};

/// Blocks of a repeating pattern that see the sliding window only: of every `period` all but the last. 0 for an
/// architecture whose window llama.cpp leaves out of account, or that has none.
std::int64_t sliding_period(std::string_view architecture);

/// The formulas of this folder are made for the architecture and checked against the engine.
bool is_known(std::string_view architecture);

/// The shape of a file, with llama.cpp's defaults for what its header leaves out. Fails when figures that every model
/// has are missing, absurd, or contradict each other.
Result<ModelShape> shape_of(const gguf::Header& header);

/// The block that a tensor belongs to, by its name: "blk.12.attn_q.weight" is of block 12. Nothing for one of the whole
/// model. Blocks behind the model's own predict several tokens at once (MTP); an ordinary token has no use for them.
std::optional<std::size_t> block_of(const gguf::Tensor& tensor);

/// Bytes of all tensors.
std::int64_t tensor_bytes(const std::vector<gguf::Tensor>& tensors);

}  // namespace velollm::model
