#include "model/families.h"

#include <array>

namespace velollm::model {
namespace {

constexpr std::array kFamilies{
    Family{.architecture = "llama"},
    Family{.architecture = "llama4", .sliding_period = 4},
    Family{.architecture = "mistral3"},
    Family{.architecture = "qwen2"},
    Family{.architecture = "qwen3", .qk_norm = QkNorm::kHead},
    Family{.architecture = "qwen3moe", .qk_norm = QkNorm::kHead},
    Family{
        .architecture = "qwen3next", .qk_norm = QkNorm::kHead, .feed_forward_norm = false, .post_attention_norm = true},
    Family{.architecture = "gemma2", .post_attention_norm = true, .post_feed_forward_norm = true, .sliding_period = 2},
    Family{.architecture = "gemma3",
           .qk_norm = QkNorm::kHead,
           .post_attention_norm = true,
           .post_feed_forward_norm = true,
           .sliding_period = 6},
    Family{.architecture = "phi3", .fused_qkv = true, .fused_gate_up = true},
    Family{.architecture = "deepseek2"},
    Family{.architecture = "gpt-oss", .feed_forward_norm = false, .post_attention_norm = true, .sliding_period = 2},
    Family{.architecture = "olmoe", .qk_norm = QkNorm::kFull},
    Family{.architecture = "olmo2",
           .qk_norm = QkNorm::kFull,
           .attention_norm = false,
           .feed_forward_norm = false,
           .post_attention_norm = true,
           .post_feed_forward_norm = true,
           .sliding_period = 4},
    Family{.architecture = "smollm3"},
    Family{.architecture = "granite", .scaled = true},
    Family{.architecture = "granitemoe", .scaled = true},
    Family{.architecture = "falcon",
           .feed_forward_norm = false,
           .norm_biases = true,
           .layer_norm = true,
           .fused_qkv = true,
           .gate = false},
    Family{.architecture = "command-r",
           .qk_norm = QkNorm::kEveryHead,
           .feed_forward_norm = false,
           .layer_norm = true,
           .scaled = true},
    Family{
        .architecture = "cohere2", .feed_forward_norm = false, .layer_norm = true, .scaled = true, .sliding_period = 4},
    Family{.architecture = "glm4", .post_attention_norm = true, .post_feed_forward_norm = true, .fused_gate_up = true},
};

}  // namespace

const Family* family_of(std::string_view architecture) {
    for (const Family& family : kFamilies)
        if (family.architecture == architecture) return &family;
    return nullptr;
}

bool has_experts(const ModelShape& shape, std::size_t block) {
    if (shape.experts == 0) return false;
    const auto index = static_cast<std::int64_t>(block);
    if (shape.moe_step > 1) return (index + 1) % shape.moe_step == 0;
    return index >= shape.leading_dense_blocks;
}

std::int64_t sliding_period(std::string_view architecture) {
    // Their blocks are only known as far as caches go.
    if (architecture == "gemma3n" || architecture == "gemma4") return 5;
    const Family* family = family_of(architecture);
    return family == nullptr ? 0 : family->sliding_period;
}

bool is_known(std::string_view architecture) {
    return family_of(architecture) != nullptr;
}

}  // namespace velollm::model
