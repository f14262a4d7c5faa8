#include "gguf/hyperparameters.h"

namespace velollm::gguf {

Hyperparameters read_hyperparameters(const Metadata& metadata, const std::string& architecture) {
    const auto list = [&](const char* key) { return metadata.list(architecture + key, kMaxBlocks); };
    const auto one = [&](const char* key) -> std::optional<std::int64_t> {
        const auto values = metadata.list(architecture + key, 1);
        return values.empty() ? std::nullopt : std::optional(values.front());
    };
    Hyperparameters h;
    h.heads = list(".attention.head_count");
    h.kv_heads = list(".attention.head_count_kv");
    h.feed_forward = list(".feed_forward_length");
    h.expert_feed_forward = list(".expert_feed_forward_length");
    h.sliding_pattern = list(".attention.sliding_window_pattern");
    h.recurrent_layers = list(".attention.recurrent_layers");
    h.expert_shared_feed_forward = one(".expert_shared_feed_forward_length");
    h.experts_shared = one(".expert_shared_count");
    h.leading_dense_blocks = one(".leading_dense_block_count");
    h.moe_step = one(".interleave_moe_layer_step");
    h.nextn_layers = one(".nextn_predict_layers");
    h.q_lora_rank = one(".attention.q_lora_rank");
    h.kv_lora_rank = one(".attention.kv_lora_rank");
    h.key_length_mla = one(".attention.key_length_mla");
    h.value_length_mla = one(".attention.value_length_mla");
    h.key_length_swa = one(".attention.key_length_swa");
    h.value_length_swa = one(".attention.value_length_swa");
    h.rope_dimensions = one(".rope.dimension_count");
    h.shared_kv_layers = one(".attention.shared_kv_layers");
    h.full_attention_interval = one(".full_attention_interval");
    h.conv_kernel = one(".ssm.conv_kernel");
    h.inner_size = one(".ssm.inner_size");
    h.state_size = one(".ssm.state_size");
    h.time_step_rank = one(".ssm.time_step_rank");
    h.group_count = one(".ssm.group_count");
    h.shortconv_cache = one(".shortconv.l_cache");
    return h;
}

}  // namespace velollm::gguf
