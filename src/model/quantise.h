#pragma once

#include <velollm/result.h>

#include <string_view>
#include <vector>

#include "model/shape.h"

namespace velollm::model {

/// The mixes of types that are known, by llama-quantize's names.
const std::vector<std::string_view>& known_mixes();

/// Gives each tensor the type that llama-quantize 0.5.0 gives it in a file of this mix, without an importance matrix,
/// and sets its bytes. `tensors` are as converted_tensors made them: their order decides, since the choice depends on
/// how many tensors of a kind came before. Fails for a mix that isn't known, with those that are in the hint.
///
/// Source: llama_tensor_get_type_impl, tensor_type_fallback and tensor_allows_quantization in src/llama-quant.cpp.
Result<std::vector<gguf::Tensor>> quantise(const ModelShape& shape, std::vector<gguf::Tensor> tensors,
                                           std::string_view mix);

}  // namespace velollm::model
