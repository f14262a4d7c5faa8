#include "model/traffic.h"

#include <algorithm>
#include <string_view>

#include "model/cells.h"

namespace velollm::model {
namespace {

std::int64_t read_of(const gguf::Tensor& tensor, const ModelShape& shape) {
    if (const auto block = block_of(tensor); block && *block >= shape.blocks.size()) return 0;
    const bool looked_up =
        (tensor.name == "token_embd.weight" && !shape.tied) || tensor.name == "per_layer_token_embd.weight";
    if (looked_up) return row_bytes(tensor.shape[0], tensor.type);
    const bool routed = tensor.name.find("_exps.") != std::string::npos;
    if (!routed || shape.experts <= 0) return tensor.bytes;
    // In this order, since experts times bytes may be beyond 2^63 in a hostile file.
    return tensor.bytes / shape.experts * std::min(shape.experts_used, shape.experts);
}

}  // namespace

SplitTraffic split_traffic(const ModelShape& shape, std::int64_t depth, std::uint32_t key_type,
                           std::uint32_t value_type, std::int64_t gpu_layers) {
    SplitTraffic traffic;
    const auto blocks = static_cast<std::int64_t>(shape.blocks.size());
    const std::int64_t first_on_gpu = blocks + 1 - std::clamp<std::int64_t>(gpu_layers, 0, blocks + 1);
    const auto side = [&](std::int64_t layer) -> TokenTraffic& {
        return layer >= first_on_gpu && layer >= 0 ? traffic.gpu : traffic.host;
    };
    for (const gguf::Tensor& tensor : shape.tensors) {
        // A tied embedding is multiplied where the output layer is.
        const bool output = shape.tied && tensor.name == "token_embd.weight";
        side(output ? blocks : layer_of(tensor, blocks)).weights_bytes += read_of(tensor, shape);
    }
    for (std::int64_t i = 0; i < blocks; ++i) {
        const Block& block = shape.blocks[static_cast<std::size_t>(i)];
        if (block.recurrent) continue;  // one without a cache of its own reads that of another
        const std::int64_t seen = block.sliding ? std::min(depth, shape.sliding_window) : depth;
        std::int64_t row = row_bytes(block.kv_heads * block.key_length, key_type);
        if (shape.kv_lora_rank == 0) row += row_bytes(block.kv_heads * block.value_length, value_type);
        side(i).cache_bytes += seen * row;
    }
    return traffic;
}

TokenTraffic decode_traffic(const ModelShape& shape, std::int64_t depth, std::uint32_t key_type,
                            std::uint32_t value_type) {
    return split_traffic(shape, depth, key_type, value_type, 0).host;
}

}  // namespace velollm::model
