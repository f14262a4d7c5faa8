#include "model/cells.h"

#include <algorithm>

#include "gguf/tensor_types.h"

namespace velollm::model {
namespace {

std::int64_t padded(std::int64_t tokens) {
    constexpr std::int64_t kPadding = 256;
    return (tokens + kPadding - 1) / kPadding * kPadding;
}

}  // namespace

std::int64_t row_bytes(std::int64_t elements, std::uint32_t type) {
    constexpr std::int64_t kFloatBytes = 4;
    const gguf::TensorType* known = gguf::tensor_type(type);
    if (known == nullptr) return elements * kFloatBytes;
    return (elements + known->block - 1) / known->block * known->block_bytes;
}

Cells cells_of(const ModelShape& shape, const backend::MemorySettings& settings) {
    Cells cells;
    const std::int64_t sequences = std::max<std::int64_t>(settings.sequences, 1);
    const std::int64_t asked = settings.context_tokens > 0 ? settings.context_tokens : shape.context;
    const std::int64_t batch = std::min(asked, settings.batch_tokens);
    cells.ubatch = std::min(batch, settings.ubatch_tokens);
    cells.outputs = std::min(cells.ubatch, settings.outputs.value_or(batch));
    cells.streams = settings.unified ? 1 : sequences;
    cells.full = padded(padded(asked) / cells.streams);
    const std::int64_t window = shape.sliding_window * (settings.unified ? sequences : 1) + cells.ubatch;
    cells.sliding = settings.full_sliding_cache ? cells.full : padded(std::min(cells.full, window));
    return cells;
}

}  // namespace velollm::model
