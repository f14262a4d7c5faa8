#include "model/header.h"

#include <algorithm>
#include <string>
#include <utility>

#include "gguf/tensor_types.h"
#include "model/families.h"
#include "model/quantise.h"
#include "model/tensors.h"

namespace velollm::model {
namespace {

using gguf::Item;

/// Collects the keys of one architecture.
class Keys {
public:
    explicit Keys(std::string architecture) : architecture_(std::move(architecture)) {}

    template <typename Value>
    void put(std::string_view key, Value value) {
        items_.push_back({architecture_ + "." + std::string(key), value});
    }
    void count(std::string_view key, std::int64_t value) {
        if (value > 0) put(key, static_cast<std::uint32_t>(value));
    }
    /// One number when all blocks have the same.
    template <typename Figure>
    void per_block(std::string_view key, const ModelShape& shape, Figure figure) {
        Item::Numbers numbers;
        for (const Block& block : shape.blocks) numbers.push_back(static_cast<std::uint32_t>(figure(block)));
        if (std::adjacent_find(numbers.begin(), numbers.end(), std::not_equal_to<>()) == numbers.end()) {
            put(key, numbers.front());
        } else {
            put(key, std::move(numbers));
        }
    }

    std::vector<Item> items_;

private:
    std::string architecture_;
};

void put_attention(Keys& keys, const ModelShape& shape) {
    keys.per_block("attention.head_count", shape, [](const Block& block) { return block.heads; });
    // A recurrent block is told by the interval, and its heads don't count.
    const auto attends =
        std::find_if(shape.blocks.begin(), shape.blocks.end(), [](const Block& block) { return !block.recurrent; });
    if (attends == shape.blocks.end()) return;
    keys.per_block("attention.head_count_kv", shape,
                   [&](const Block& block) { return block.recurrent ? attends->kv_heads : block.kv_heads; });
    keys.count("attention.key_length", attends->key_length);
    keys.count("attention.value_length", attends->value_length);
    keys.count("attention.q_lora_rank", shape.q_lora_rank);
    keys.count("attention.kv_lora_rank", shape.kv_lora_rank);
    keys.count("attention.key_length_mla", shape.key_length_mla);
    keys.count("attention.value_length_mla", shape.value_length_mla);
    keys.count("rope.dimension_count", shape.rope_dimensions);
    keys.count("attention.sliding_window", shape.sliding_window);
    if (shape.sliding_window > 0) {
        Item::Flags pattern;
        for (const Block& block : shape.blocks) pattern.push_back(block.sliding);
        keys.put("attention.sliding_window_pattern", pattern);
    }
}

void put_experts(Keys& keys, const ModelShape& shape) {
    if (shape.experts == 0) return;
    keys.count("expert_count", shape.experts);
    keys.count("expert_used_count", shape.experts_used);
    keys.count("expert_feed_forward_length", shape.expert_feed_forward);
    keys.count("expert_shared_count", shape.experts_shared);
    keys.count("expert_shared_feed_forward_length", shape.shared_feed_forward);
    keys.count("leading_dense_block_count", shape.leading_dense_blocks);
    keys.count("interleave_moe_layer_step", shape.moe_step);
    keys.put("expert_weights_scale", 1.0F);
}

void put_recurrent(Keys& keys, const ModelShape& shape) {
    keys.count("ssm.conv_kernel", shape.conv_kernel);
    keys.count("ssm.inner_size", shape.inner_size);
    keys.count("ssm.state_size", shape.state_size);
    keys.count("ssm.time_step_rank", shape.time_step_rank);
    keys.count("ssm.group_count", shape.group_count);
}

std::int64_t widest_feed_forward(const ModelShape& shape) {
    std::int64_t widest = 0;
    for (const Block& block : shape.blocks) widest = std::max(widest, block.feed_forward);
    return widest > 0 ? widest : shape.expert_feed_forward;
}

std::vector<Item> metadata(const ModelShape& shape, const Family& family) {
    Keys keys(shape.architecture);
    keys.items_ = {{"general.architecture", shape.architecture},
                   {"general.type", std::string("model")},
                   {"general.name", shape.name},
                   {"general.quantization_version", 2U},
                   {"tokenizer.ggml.model", std::string("none")}};
    if (const auto type = gguf::file_type_number(shape.quantization))
        keys.items_.push_back({"general.file_type", static_cast<std::uint32_t>(*type)});
    keys.count("block_count", static_cast<std::int64_t>(shape.blocks.size()));
    keys.count("context_length", shape.context);
    keys.count("embedding_length", shape.embedding);
    keys.count("vocab_size", shape.vocabulary);
    keys.count("feed_forward_length", widest_feed_forward(shape));
    keys.put(family.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5F);
    if (family.scaled) {
        keys.put("logit_scale", 1.0F);
        keys.put("residual_scale", 1.0F);
        keys.put("embedding_scale", 1.0F);
        keys.put("attention.scale", 1.0F);
    }
    // The factors for long contexts are looked for only with this scaling.
    if (shape.long_factors) {
        keys.put("rope.scaling.type", std::string("longrope"));
        keys.count("rope.scaling.original_context_length", 4096);
    }
    put_attention(keys, shape);
    put_experts(keys, shape);
    put_recurrent(keys, shape);
    return std::move(keys.items_);
}

}  // namespace

Result<gguf::HeaderBytes> synthetic_header(const ModelShape& shape) {
    const Family* family = family_of(shape.architecture);
    if (family == nullptr || shape.tensors.empty() || shape.blocks.empty())
        return Error{ErrorCode::kFailed, "No file can be made of a model of the architecture " + shape.architecture,
                     "Give a GGUF file of the model."};
    return gguf::write_header(metadata(shape, *family), shape.tensors);
}

Result<ModelShape> in_mix(ModelShape shape, std::string_view mix) {
    auto tensors = converted_tensors(shape);
    if (!tensors) return tensors.error();
    auto quantised = quantise(shape, std::move(*tensors), mix);
    if (!quantised) return quantised.error();
    shape.tensors = std::move(*quantised);
    const auto type = gguf::file_type_number(mix);
    shape.quantization = std::string(gguf::file_type_name(type.value_or(-1)));
    return shape;
}

}  // namespace velollm::model
