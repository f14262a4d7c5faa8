#pragma once

#include <cstdint>

#include "model/shape.h"

namespace velollm::model {

/// What generating one token reads from memory, in bytes. It is the least that any engine must read: a token can't be
/// faster than the memory's bandwidth divided by it.
struct TokenTraffic {
    std::int64_t weights_bytes = 0;
    std::int64_t cache_bytes = 0;

    std::int64_t total_bytes() const { return weights_bytes + cache_bytes; }
};

/// With `depth` tokens in the context, in a cache of these types (numbers of gguf/tensor_types.h). Of the token
/// embedding one row is read, unless it is the output layer as well; of routed experts the share that is used; of
/// blocks that predict several tokens nothing; of keys and values as many as a block can see. `shape` has its tensors.
TokenTraffic decode_traffic(const ModelShape& shape, std::int64_t depth, std::uint32_t key_type,
                            std::uint32_t value_type);

}  // namespace velollm::model
