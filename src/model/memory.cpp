#include "model/memory.h"

#include <algorithm>
#include <string_view>

#include "gguf/tensor_types.h"
#include "model/cells.h"
#include "model/compute.h"
#include "model/families.h"

namespace velollm::model {
namespace {

constexpr std::int64_t kAlignment = 32;  // of a tensor in ggml's host buffers
constexpr std::int64_t kFloatBytes = 4;

std::int64_t placed_bytes(const gguf::Tensor& tensor) {
    return (tensor.bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// What one block keeps for each sequence or stream.
std::int64_t block_cache_bytes(const ModelShape& shape, const Block& block, const backend::MemorySettings& settings,
                               const Cells& cells, std::int64_t widest_values) {
    if (block.recurrent || !block.has_cache) return 0;
    const std::int64_t count = (block.sliding ? cells.sliding : cells.full) * cells.streams;
    const std::int64_t keys = row_bytes(block.kv_heads * block.key_length, settings.key_type);
    if (shape.kv_lora_rank > 0) return count * keys;
    // Without flash attention values lie transposed, and all blocks have the width of the widest.
    const std::int64_t values = settings.flash_attention ? block.kv_heads * block.value_length : widest_values;
    return count * (keys + row_bytes(values, settings.value_type));
}

std::int64_t block_state_bytes(const ModelShape& shape, const Block& block, std::int64_t sequences) {
    if (!block.recurrent) return 0;
    std::int64_t elements = 0;
    if (shape.shortconv_cache > 0) {
        elements = shape.embedding * (shape.shortconv_cache - 1);
    } else {
        const std::int64_t history = std::max<std::int64_t>(shape.conv_kernel - 1, 0);
        elements = history * (shape.inner_size + 2 * shape.group_count * shape.state_size) +
                   shape.state_size * shape.inner_size;
    }
    return elements * kFloatBytes * sequences;
}

std::int64_t widest_values(const ModelShape& shape) {
    std::int64_t widest = 0;
    for (const Block& block : shape.blocks) widest = std::max(widest, block.kv_heads * block.value_length);
    return widest;
}

/// The block that a tensor belongs to: -1 for the embedding and what goes with it, the number of blocks for the output.
std::int64_t layer_of(const gguf::Tensor& tensor, std::int64_t blocks) {
    if (const auto block = block_of(tensor)) return static_cast<std::int64_t>(*block);
    return tensor.name.starts_with("output") ? blocks : -1;
}

bool is_repacked(const gguf::Tensor& tensor, const std::vector<std::uint32_t>& types) {
    constexpr std::int64_t kRowsAtOnce = 8;
    if (tensor.name == "token_embd.weight" || tensor.name.find("attn_k_b") != std::string::npos ||
        tensor.name.find("attn_v_b") != std::string::npos)
        return false;
    return gguf::dimension_count(tensor) >= 2 && tensor.shape[1] % kRowsAtOnce == 0 &&
           std::find(types.begin(), types.end(), tensor.type) != types.end();
}

void add_weights(const ModelShape& shape, const MemoryQuestion& question, std::int64_t first_on_gpu,
                 MemoryEstimate& estimate) {
    const auto blocks = static_cast<std::int64_t>(shape.blocks.size());
    for (const gguf::Tensor& tensor : shape.tensors) {
        const std::int64_t bytes = placed_bytes(tensor);
        const std::int64_t layer = layer_of(tensor, blocks);
        if (layer >= first_on_gpu && layer >= 0) {
            estimate.gpu.weights_bytes += bytes;
            continue;
        }
        estimate.host.weights_bytes += bytes;
        if (is_repacked(tensor, question.repacked)) estimate.repacked_bytes += bytes;
        // A tied embedding is looked up on the host and multiplied where the output layer is.
        if (shape.tied && first_on_gpu <= blocks && tensor.name == "token_embd.weight")
            estimate.gpu.weights_bytes += bytes;
    }
}

void add_caches(const ModelShape& shape, const MemoryQuestion& question, std::int64_t first_on_gpu,
                MemoryEstimate& estimate) {
    const Cells cells = cells_of(shape, question.settings);
    const std::int64_t widest = widest_values(shape);
    for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
        MemoryUse& use = static_cast<std::int64_t>(i) >= first_on_gpu ? estimate.gpu : estimate.host;
        use.cache_bytes += block_cache_bytes(shape, shape.blocks[i], question.settings, cells, widest);
        use.state_bytes += block_state_bytes(shape, shape.blocks[i], question.settings.sequences);
    }
}

void add_compute(const ModelShape& shape, const MemoryQuestion& question, std::int64_t first_on_gpu,
                 MemoryEstimate& estimate) {
    const auto blocks = static_cast<std::int64_t>(shape.blocks.size());
    const std::int64_t whole = compute_bytes(shape, question.settings);
    estimate.host.output_bytes =
        shape.vocabulary * kFloatBytes * std::max<std::int64_t>(question.settings.sequences, 1);
    if (first_on_gpu > blocks) {
        estimate.host.compute_bytes = whole;
        return;
    }
    const Cells cells = cells_of(shape, question.settings);
    const std::int64_t inputs =
        cells.ubatch * (shape.embedding * kFloatBytes + cells.full * (question.settings.flash_attention ? 2 : 4));
    estimate.gpu.compute_bytes = whole;
    estimate.host.compute_bytes = first_on_gpu == 0 ? inputs : whole;
    estimate.notes.emplace_back(
        "How a compute buffer divides between processor and GPU is estimated; a GPU's driver takes some hundred MiB "
        "more");
}

}  // namespace

std::vector<std::uint32_t> repacked_types(bool has_avx2, bool has_avx512) {
    std::vector<std::uint32_t> types;
    if (has_avx2) types = {gguf::types::kQ4_0, gguf::types::kQ4_K, gguf::types::kIQ4_NL, gguf::types::kMXFP4};
    if (has_avx512) types.push_back(gguf::types::kQ2_K);
    return types;
}

std::int64_t cache_bytes(const ModelShape& shape, const backend::MemorySettings& settings) {
    const Cells cells = cells_of(shape, settings);
    const std::int64_t widest = widest_values(shape);
    std::int64_t bytes = 0;
    for (const Block& block : shape.blocks) bytes += block_cache_bytes(shape, block, settings, cells, widest);
    return bytes;
}

std::int64_t context_bytes(const gguf::Header& header, const backend::MemorySettings& settings) {
    const auto shape = shape_of(header);
    return shape ? cache_bytes(*shape, settings) + state_bytes(*shape, settings) : 0;
}

std::int64_t state_bytes(const ModelShape& shape, const backend::MemorySettings& settings) {
    std::int64_t bytes = 0;
    for (const Block& block : shape.blocks) bytes += block_state_bytes(shape, block, settings.sequences);
    return bytes;
}

MemoryEstimate memory_by_formula(const ModelShape& shape, const MemoryQuestion& question) {
    MemoryEstimate estimate;
    const auto layers = static_cast<std::int64_t>(shape.blocks.size()) + 1;
    const std::int64_t first_on_gpu = layers - std::clamp<std::int64_t>(question.gpu_layers, 0, layers);
    add_weights(shape, question, first_on_gpu, estimate);
    add_caches(shape, question, first_on_gpu, estimate);
    add_compute(shape, question, first_on_gpu, estimate);
    if (question.mapped) estimate.mapped_bytes = estimate.host.weights_bytes;
    if (!is_known(shape.architecture))
        estimate.notes.push_back("The formulas aren't made for the architecture " + shape.architecture +
                                 ": its compute buffer is taken for a Llama's");
    return estimate;
}

}  // namespace velollm::model
