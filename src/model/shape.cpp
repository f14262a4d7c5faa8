#include "model/shape.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>

#include "base/text.h"
#include "model/families.h"

namespace velollm::model {
namespace {

Error unusable(const gguf::Header& header, std::string_view what) {
    return {ErrorCode::kFailed,
            fmt::format("The header of this {} model {}", base::one_line(header.architecture, 40), what),
            "Use another file of this model; only language models can be predicted."};
}

/// One block's entry of a list that may stand for all blocks; `otherwise` where there is none.
std::int64_t at(const gguf::PerBlock& list, std::size_t block, std::int64_t otherwise) {
    if (list.empty()) return otherwise;
    if (list.size() == 1) return list.front();
    return block < list.size() ? list[block] : 0;
}

bool is_sliding(const gguf::Header& header, std::size_t block) {
    if (header.sliding_window.value_or(0) == 0 && header.architecture != "llama4") return false;
    std::int64_t period = sliding_period(header.architecture);
    if (period == 0) return false;
    const gguf::PerBlock& pattern = header.hyperparameters.sliding_pattern;
    if (pattern.size() > 1) return at(pattern, block, 0) != 0;
    if (pattern.size() == 1) period = std::max<std::int64_t>(pattern.front(), 1);
    return static_cast<std::int64_t>(block) % period < period - 1;
}

bool is_recurrent(const gguf::Header& header, std::size_t block) {
    const gguf::Hyperparameters& h = header.hyperparameters;
    if (h.recurrent_layers.size() > 1) return at(h.recurrent_layers, block, 0) != 0;
    // llama.cpp's rule for hybrids that state heads block by block: no keys, so a state.
    if (h.kv_heads.size() > 1) return at(h.kv_heads, block, 0) == 0;
    if (!h.inner_size) return false;
    const std::int64_t interval = h.full_attention_interval.value_or(header.architecture == "qwen3next" ? 4 : 0);
    return interval == 0 || (static_cast<std::int64_t>(block) + 1) % interval != 0;
}

Block read_block(const gguf::Header& header, const ModelShape& shape, std::size_t index) {
    const gguf::Hyperparameters& h = header.hyperparameters;
    Block block;
    block.recurrent = is_recurrent(header, index);
    block.sliding = is_sliding(header, index);
    block.heads = at(h.heads, index, 0);
    block.kv_heads = block.recurrent ? 0 : at(h.kv_heads, index, block.heads);
    block.key_length = header.key_length.value_or(0);
    block.value_length = header.value_length.value_or(0);
    if (block.sliding) {
        block.key_length = h.key_length_swa.value_or(block.key_length);
        block.value_length = h.value_length_swa.value_or(block.value_length);
    }
    block.experts = has_experts(shape, index);
    block.feed_forward = block.experts ? 0 : at(h.feed_forward, index, 0);
    // gemma4: the last blocks use the caches of others.
    if (h.shared_kv_layers)
        block.has_cache = static_cast<std::int64_t>(index) < header.blocks.value_or(0) - *h.shared_kv_layers;
    // gemma3n: 20 is written in llama.cpp, whatever the file says.
    if (header.architecture == "gemma3n") block.has_cache = index < 20;
    return block;
}

/// The figures that a file states for the whole model.
ModelShape whole(const gguf::Header& header) {
    const gguf::Hyperparameters& h = header.hyperparameters;
    ModelShape shape;
    shape.name = header.name;
    shape.architecture = header.architecture;
    shape.embedding = header.embedding_length.value_or(0);
    shape.context = header.context_length.value_or(0);
    shape.tied = header.tied_embeddings.value_or(false);
    shape.experts = header.experts.value_or(0);
    shape.experts_used = header.experts_used.value_or(0);
    shape.experts_shared = h.experts_shared.value_or(0);
    shape.leading_dense_blocks = h.leading_dense_blocks.value_or(0);
    shape.moe_step = h.moe_step.value_or(0);
    shape.q_lora_rank = h.q_lora_rank.value_or(0);
    shape.kv_lora_rank = h.key_length_mla ? h.kv_lora_rank.value_or(0) : 0;
    shape.key_length_mla = h.key_length_mla.value_or(0);
    shape.value_length_mla = h.value_length_mla.value_or(0);
    shape.rope_dimensions = h.rope_dimensions.value_or(header.key_length.value_or(0));
    shape.conv_kernel = h.conv_kernel.value_or(0);
    shape.inner_size = h.inner_size.value_or(0);
    shape.state_size = h.state_size.value_or(0);
    shape.time_step_rank = h.time_step_rank.value_or(0);
    shape.group_count = h.group_count.value_or(0);
    shape.shortconv_cache = h.shortconv_cache.value_or(0);
    if (shape.experts > 0) {
        // Files of models whose experts are as wide as a dense part would be state one width.
        shape.expert_feed_forward = at(h.expert_feed_forward, 0, at(h.feed_forward, 0, 0));
        std::int64_t shared = shape.expert_feed_forward;
        if (shape.architecture != "llama4" &&
            __builtin_mul_overflow(shape.experts_shared, shape.expert_feed_forward, &shared))
            shared = std::numeric_limits<std::int64_t>::max();
        shape.shared_feed_forward = h.expert_shared_feed_forward.value_or(shared);
    }
    shape.quantization = header.quantization;
    return shape;
}

/// What only the list of tensors tells.
void look_at_tensors(const gguf::Header& header, ModelShape& shape) {
    shape.tensors = header.tensor_list;
    shape.vocabulary = header.vocab_size.value_or(0);
    for (const gguf::Tensor& tensor : shape.tensors) {
        if (tensor.name == "token_embd.weight") shape.vocabulary = tensor.shape[1];
        shape.qkv_bias |= tensor.name.ends_with(".attn_q.bias") || tensor.name.ends_with(".attn_qkv.bias");
        shape.rope_factors |= tensor.name == "rope_freqs.weight";
        shape.long_factors |= tensor.name == "rope_factors_long.weight";
        shape.expert_biases |= tensor.name.ends_with(".exp_probs_b.bias");
    }
}

/// The largest figures that are taken for a model's, far above every real one's. They bound the work of the formulas,
/// and keep their products within 64 bits.
struct Limit {
    std::int64_t figure;
    std::int64_t most;
};

bool is_absurd(std::initializer_list<Limit> limits) {
    return std::any_of(limits.begin(), limits.end(),
                       [](const Limit& limit) { return limit.figure < 0 || limit.figure > limit.most; });
}

std::string_view absurd(const ModelShape& shape) {
    constexpr std::int64_t kWidth = 1 << 20U;
    if (shape.embedding <= 0) return "states no embedding length";
    if (shape.vocabulary <= 0) return "states no size of the vocabulary";
    constexpr std::string_view kTooLarge = "states an impossibly large figure";
    if (is_absurd({{shape.embedding, kWidth},
                   {shape.vocabulary, 1 << 24U},
                   {shape.context, 1 << 28U},
                   {shape.experts, 1 << 14U},
                   {shape.experts_used, 64},
                   {shape.expert_feed_forward, kWidth},
                   {shape.shared_feed_forward, kWidth},
                   {shape.sliding_window, 1 << 28U},
                   {shape.q_lora_rank, kWidth},
                   {shape.kv_lora_rank, kWidth},
                   {shape.key_length_mla, kWidth},
                   {shape.value_length_mla, kWidth},
                   {shape.rope_dimensions, kWidth},
                   {shape.conv_kernel, 1 << 10U},
                   {shape.inner_size, kWidth},
                   {shape.state_size, kWidth},
                   {shape.time_step_rank, kWidth},
                   {shape.group_count, 1 << 10U},
                   {shape.shortconv_cache, 1 << 10U}}))
        return kTooLarge;
    for (const Block& block : shape.blocks) {
        constexpr std::int64_t kHeads = 1 << 12U;
        constexpr std::int64_t kLength = 1 << 12U;
        if (is_absurd({{block.heads, kHeads},
                       {block.kv_heads, kHeads},
                       {block.key_length, kLength},
                       {block.value_length, kLength},
                       {block.feed_forward, kWidth}}))
            return kTooLarge;
        if (block.kv_heads > block.heads) return "has more heads of keys than of queries";
    }
    return {};
}

}  // namespace

Result<ModelShape> shape_of(const gguf::Header& header) {
    if (header.parts > 1)
        return Error{ErrorCode::kFailed, fmt::format("This model is split into {} files", header.parts),
                     "Join them with llama-gguf-split --merge first."};
    const std::int64_t blocks = header.blocks.value_or(0) - header.hyperparameters.nextn_layers.value_or(0);
    if (blocks <= 0 || blocks > static_cast<std::int64_t>(gguf::kMaxBlocks))
        return unusable(header, "states no usable number of blocks");
    ModelShape shape = whole(header);
    look_at_tensors(header, shape);
    for (std::size_t i = 0; i < static_cast<std::size_t>(blocks); ++i)
        shape.blocks.push_back(read_block(header, shape, i));
    if (std::any_of(shape.blocks.begin(), shape.blocks.end(), [](const Block& block) { return block.sliding; }))
        shape.sliding_window = shape.architecture == "llama4" ? 8192 : header.sliding_window.value_or(0);
    if (const auto wrong = absurd(shape); !wrong.empty()) return unusable(header, wrong);
    return shape;
}

std::optional<std::size_t> block_of(const gguf::Tensor& tensor) {
    constexpr std::string_view kPrefix = "blk.";
    const std::string& name = tensor.name;
    if (!name.starts_with(kPrefix)) return std::nullopt;
    std::size_t number = 0;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (read.ec != std::errc() || read.ptr == end || *read.ptr != '.') return std::nullopt;
    return number;
}

std::int64_t tensor_bytes(const std::vector<gguf::Tensor>& tensors) {
    std::int64_t bytes = 0;
    for (const gguf::Tensor& tensor : tensors) bytes += tensor.bytes;
    return bytes;
}

}  // namespace velollm::model
