#include "model/tensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "gguf/tensor_types.h"
#include "model/families.h"

namespace velollm::model {
namespace {

/// Collects tensors, those of one block at a time.
class List {
public:
    void enter(std::size_t block) { prefix_ = fmt::format("blk.{}.", block); }

    void matrix(std::string_view name, std::int64_t row, std::int64_t rows, std::int64_t matrices = 1) {
        add(name, ".weight", gguf::types::kF16, row, rows, matrices);
    }
    /// A matrix that stays in F32: the converter's rule for routers, convolutions and norms of any dimension.
    void full(std::string_view name, std::int64_t row, std::int64_t rows = 1) {
        add(name, ".weight", gguf::types::kF32, row, rows);
    }
    void bias(std::string_view name, std::int64_t length, std::int64_t rows = 1) {
        add(name, ".bias", gguf::types::kF32, length, rows);
    }
    void bare(std::string_view name, std::int64_t length) { add(name, "", gguf::types::kF32, length, 1); }

    std::vector<gguf::Tensor> take() { return std::move(tensors_); }

private:
    void add(std::string_view name, std::string_view ending, std::uint32_t type, std::int64_t row, std::int64_t rows,
             std::int64_t matrices = 1) {
        gguf::Tensor tensor{
            .name = fmt::format("{}{}{}", prefix_, name, ending), .shape = {row, rows, matrices, 1}, .type = type};
        tensor.bytes = gguf::data_bytes(tensor).value_or(0);
        tensors_.push_back(std::move(tensor));
    }

    std::string prefix_;
    std::vector<gguf::Tensor> tensors_;
};

void norm(List& list, const Family& family, std::string_view name, std::int64_t length) {
    list.full(name, length);
    if (family.norm_biases) list.bias(name, length);
}

void add_model(List& list, const ModelShape& shape, const Family& family) {
    list.matrix("token_embd", shape.embedding, shape.vocabulary);
    norm(list, family, "output_norm", shape.embedding);
    if (!shape.tied) list.matrix("output", shape.embedding, shape.vocabulary);
    if (shape.rope_factors) list.full("rope_freqs", shape.rope_dimensions / 2);
    if (shape.long_factors) {
        list.full("rope_factors_long", shape.rope_dimensions / 2);
        list.full("rope_factors_short", shape.rope_dimensions / 2);
    }
}

void add_qk_norm(List& list, const ModelShape& shape, const Family& family, const Block& block) {
    if (family.qk_norm == QkNorm::kHead) {
        list.full("attn_q_norm", block.key_length);
        list.full("attn_k_norm", block.key_length);
    } else if (family.qk_norm == QkNorm::kFull) {
        list.full("attn_q_norm", block.heads * block.key_length);
        list.full("attn_k_norm", block.kv_heads * block.key_length);
    } else if (family.qk_norm == QkNorm::kEveryHead && shape.blocks.size() >= 64) {
        list.full("attn_q_norm", block.key_length, block.heads);
        list.full("attn_k_norm", block.key_length, block.kv_heads);
    }
}

void add_attention(List& list, const ModelShape& shape, const Family& family, const Block& block) {
    // Half of qwen3next's query projection is a gate.
    const std::int64_t q = block.heads * block.key_length * (shape.architecture == "qwen3next" ? 2 : 1);
    const std::int64_t k = block.kv_heads * block.key_length;
    const std::int64_t v = block.kv_heads * block.value_length;
    if (family.fused_qkv) {
        list.matrix("attn_qkv", shape.embedding, q + k + v);
        if (shape.qkv_bias) list.bias("attn_qkv", q + k + v);
    } else {
        list.matrix("attn_q", shape.embedding, q);
        list.matrix("attn_k", shape.embedding, k);
        list.matrix("attn_v", shape.embedding, v);
        if (shape.qkv_bias) {
            list.bias("attn_q", q);
            list.bias("attn_k", k);
            list.bias("attn_v", v);
        }
    }
    list.matrix("attn_output", block.heads * block.value_length, shape.embedding);
    add_qk_norm(list, shape, family, block);
    if (shape.architecture == "gpt-oss") {
        list.bias("attn_output", shape.embedding);
        list.full("attn_sinks", block.heads);
    }
}

void add_latent_attention(List& list, const ModelShape& shape, const Block& block) {
    const std::int64_t q = block.heads * shape.key_length_mla;
    if (shape.q_lora_rank > 0) {
        list.matrix("attn_q_a", shape.embedding, shape.q_lora_rank);
        list.full("attn_q_a_norm", shape.q_lora_rank);
        list.matrix("attn_q_b", shape.q_lora_rank, q);
    } else {
        list.matrix("attn_q", shape.embedding, q);
    }
    list.matrix("attn_kv_a_mqa", shape.embedding, shape.kv_lora_rank + shape.rope_dimensions);
    list.full("attn_kv_a_norm", shape.kv_lora_rank);
    list.matrix("attn_k_b", shape.key_length_mla - shape.rope_dimensions, shape.kv_lora_rank, block.heads);
    list.matrix("attn_v_b", shape.kv_lora_rank, shape.value_length_mla, block.heads);
    list.matrix("attn_output", block.heads * shape.value_length_mla, shape.embedding);
}

/// qwen3next's gated delta net.
void add_recurrent(List& list, const ModelShape& shape) {
    const std::int64_t keys = shape.state_size * shape.group_count;
    const std::int64_t values = shape.state_size * shape.time_step_rank;
    list.matrix("attn_qkv", shape.embedding, keys * 2 + values);
    list.matrix("attn_gate", shape.embedding, values);
    list.full("ssm_conv1d", shape.conv_kernel, keys * 2 + values);
    list.bias("ssm_dt", shape.time_step_rank);
    list.bare("ssm_a", shape.time_step_rank);
    list.matrix("ssm_ba", shape.embedding, shape.time_step_rank * 2);
    list.full("ssm_norm", shape.state_size);
    list.matrix("ssm_out", values, shape.embedding);
}

void add_experts(List& list, const ModelShape& shape) {
    list.full("ffn_gate_inp", shape.embedding, shape.experts);
    list.matrix("ffn_gate_exps", shape.embedding, shape.expert_feed_forward, shape.experts);
    list.matrix("ffn_up_exps", shape.embedding, shape.expert_feed_forward, shape.experts);
    list.matrix("ffn_down_exps", shape.expert_feed_forward, shape.embedding, shape.experts);
    if (shape.expert_biases) list.bias("exp_probs_b", shape.experts);
    if (shape.architecture == "gpt-oss") {
        list.bias("ffn_gate_inp", shape.experts);
        list.bias("ffn_gate_exps", shape.expert_feed_forward, shape.experts);
        list.bias("ffn_up_exps", shape.expert_feed_forward, shape.experts);
        list.bias("ffn_down_exps", shape.embedding, shape.experts);
    }
    if (shape.shared_feed_forward == 0) return;
    if (shape.architecture == "qwen3next") list.full("ffn_gate_inp_shexp", shape.embedding);
    list.matrix("ffn_gate_shexp", shape.embedding, shape.shared_feed_forward);
    list.matrix("ffn_up_shexp", shape.embedding, shape.shared_feed_forward);
    list.matrix("ffn_down_shexp", shape.shared_feed_forward, shape.embedding);
}

void add_dense(List& list, const ModelShape& shape, const Family& family, const Block& block) {
    if (family.gate && !family.fused_gate_up) list.matrix("ffn_gate", shape.embedding, block.feed_forward);
    list.matrix("ffn_up", shape.embedding, block.feed_forward * (family.fused_gate_up ? 2 : 1));
    list.matrix("ffn_down", block.feed_forward, shape.embedding);
}

void add_block(List& list, const ModelShape& shape, const Family& family, const Block& block) {
    if (family.attention_norm) norm(list, family, "attn_norm", shape.embedding);
    if (block.recurrent) {
        add_recurrent(list, shape);
    } else if (shape.kv_lora_rank > 0) {
        add_latent_attention(list, shape, block);
    } else {
        add_attention(list, shape, family, block);
    }
    if (family.post_attention_norm) list.full("post_attention_norm", shape.embedding);
    if (family.feed_forward_norm) list.full("ffn_norm", shape.embedding);
    if (block.experts) {
        add_experts(list, shape);
    } else {
        add_dense(list, shape, family, block);
    }
    if (family.post_feed_forward_norm) list.full("post_ffw_norm", shape.embedding);
}

/// The block that a tensor belongs to; -1 for those of the whole model.
int block_of(const std::string& name) {
    constexpr std::string_view kPrefix = "blk.";
    int block = -1;
    if (name.starts_with(kPrefix)) std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), block);
    return block;
}

}  // namespace

Result<std::vector<gguf::Tensor>> converted_tensors(const ModelShape& shape) {
    const Family* family = family_of(shape.architecture);
    if (family == nullptr)
        return Error{ErrorCode::kFailed, fmt::format("The tensors of {} models aren't known", shape.architecture),
                     "Give a GGUF file of the model instead of its name."};
    List list;
    add_model(list, shape, *family);
    for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
        list.enter(i);
        add_block(list, shape, *family, shape.blocks[i]);
    }
    auto tensors = list.take();
    std::sort(tensors.begin(), tensors.end(), [](const gguf::Tensor& a, const gguf::Tensor& b) {
        return std::pair(block_of(a.name), std::string_view(a.name)) <
               std::pair(block_of(b.name), std::string_view(b.name));
    });
    return tensors;
}

}  // namespace velollm::model
