#include "cli/cache_type.h"

#include <fmt/core.h>

#include "base/text.h"
#include "gguf/tensor_types.h"

namespace velollm::cli {

Result<std::uint32_t> cache_type(const std::string& name) {
    for (std::uint32_t number = 0; number < gguf::kTensorTypeCount; ++number) {
        const gguf::TensorType* type = gguf::tensor_type(number);
        if (type != nullptr && base::lower(type->name) == base::lower(name)) return number;
    }
    return Error{ErrorCode::kUsage, fmt::format("Unknown type of a KV cache: {}", name), "Take f16, q8_0 or q4_0."};
}

}  // namespace velollm::cli
