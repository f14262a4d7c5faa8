#pragma once

#include <velollm/result.h>

#include <cstdint>
#include <vector>

#include "model/shape.h"

namespace velollm::model {

/// Blocks of one turn of the pattern that the blocks of this model follow: 1 where all are alike, 6 where every sixth
/// sees the whole context, and all of them where the engine takes no fewer.
std::int64_t block_period(const ModelShape& shape);

/// `count` of the model's blocks, in whole turns of its pattern, spread evenly over it: the numbers of those that are
/// taken. `count` is rounded up to whole turns, and is at most all blocks.
std::vector<std::size_t> spread_blocks(const ModelShape& shape, std::int64_t count);

/// The model with these blocks alone, ascending. Tensors keep the types that they have in the whole model, since the
/// mix gives some blocks more bits than others; embedding and output layer stay.
ModelShape with_blocks(const ModelShape& shape, const std::vector<std::size_t>& blocks);

}  // namespace velollm::model
