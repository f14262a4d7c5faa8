#pragma once

#include <velollm/result.h>

#include <string_view>

#include "gguf/writer.h"
#include "model/shape.h"

namespace velollm::model {

/// The header of a file of this shape, with the keys that the engine asks for and without a vocabulary: tokens are
/// counted, not named. `shape.tensors` are the tensors, `shape.quantization` is the mix that the header states.
Result<gguf::HeaderBytes> synthetic_header(const ModelShape& shape);

/// The shape with tensors in this mix: what converted_tensors and quantise make of it together.
Result<ModelShape> in_mix(ModelShape shape, std::string_view mix);

}  // namespace velollm::model
