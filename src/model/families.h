#pragma once

#include <cstddef>
#include <string_view>

#include "model/shape.h"

namespace velollm::model {

enum class QkNorm {
    kNone,
    kHead,       ///< one weight an element of a head
    kFull,       ///< one weight an element of all heads
    kEveryHead,  ///< as kFull, written as a matrix, in models of 64 blocks and more
};

/// How the blocks of an architecture are built, where they differ from Llama's (src/models/*.cpp of llama.cpp 0.5.0).
struct Family {
    std::string_view architecture;
    QkNorm qk_norm = QkNorm::kNone;
    bool attention_norm = true;
    bool feed_forward_norm = true;
    bool post_attention_norm = false;
    bool post_feed_forward_norm = false;
    bool norm_biases = false;
    bool layer_norm = false;     ///< norms subtract the mean: another key for their epsilon
    bool fused_qkv = false;      ///< one tensor for queries, keys and values
    bool fused_gate_up = false;  ///< one tensor for gate and up
    bool gate = true;
    bool scaled = false;  ///< has scales of logits and the like, which the engine requires
    std::int64_t sliding_period = 0;
};

/// nullptr for an architecture that isn't known.
const Family* family_of(std::string_view architecture);

/// Whether a block's feed-forward part is made of experts, by the figures of the whole model.
bool has_experts(const ModelShape& shape, std::size_t block);

}  // namespace velollm::model
