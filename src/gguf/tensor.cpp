#include "gguf/tensor.h"

#include "gguf/tensor_types.h"

namespace velollm::gguf {

std::optional<std::int64_t> element_count(const Tensor& tensor) {
    std::int64_t count = 1;
    for (const std::int64_t size : tensor.shape)
        if (size < 0 || __builtin_mul_overflow(count, size, &count)) return std::nullopt;
    return count;
}

std::optional<std::int64_t> data_bytes(const Tensor& tensor) {
    const TensorType* type = tensor_type(tensor.type);
    const auto elements = element_count(tensor);
    std::int64_t bytes = 0;
    if (type == nullptr || !elements || tensor.shape.front() % type->block != 0 ||
        __builtin_mul_overflow(*elements / type->block, type->block_bytes, &bytes))
        return std::nullopt;
    return bytes;
}

std::size_t dimension_count(const Tensor& tensor) {
    std::size_t count = kMaxDimensions;
    while (count > 1 && tensor.shape.at(count - 1) == 1) --count;
    return count;
}

}  // namespace velollm::gguf
