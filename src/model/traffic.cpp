#include "model/traffic.h"

#include <algorithm>
#include <string_view>

#include "model/cells.h"

namespace velollm::model {
namespace {

std::int64_t read_of(const gguf::Tensor& tensor, const ModelShape& shape) {
    if (const auto block = block_of(tensor); block && *block >= shape.blocks.size()) return 0;
    if (tensor.name == "token_embd.weight" && !shape.tied) return row_bytes(tensor.shape[0], tensor.type);
    const bool routed = tensor.name.find("_exps.") != std::string::npos;
    if (!routed || shape.experts <= 0) return tensor.bytes;
    // In this order, since experts times bytes may be beyond 2^63 in a hostile file.
    return tensor.bytes / shape.experts * std::min(shape.experts_used, shape.experts);
}

}  // namespace

TokenTraffic decode_traffic(const ModelShape& shape, std::int64_t depth, std::uint32_t key_type,
                            std::uint32_t value_type) {
    TokenTraffic traffic;
    for (const gguf::Tensor& tensor : shape.tensors) traffic.weights_bytes += read_of(tensor, shape);
    for (const Block& block : shape.blocks) {
        if (block.recurrent || !block.has_cache) continue;
        const std::int64_t seen = block.sliding ? std::min(depth, shape.sliding_window) : depth;
        std::int64_t row = row_bytes(block.kv_heads * block.key_length, key_type);
        if (shape.kv_lora_rank == 0) row += row_bytes(block.kv_heads * block.value_length, value_type);
        traffic.cache_bytes += seen * row;
    }
    return traffic;
}

}  // namespace velollm::model
