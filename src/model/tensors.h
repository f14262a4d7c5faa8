#pragma once

#include <velollm/result.h>

#include <vector>

#include "model/shape.h"

namespace velollm::model {

/// The tensors of a model of this shape as llama.cpp's converter writes them from 16-bit weights: matrices in F16,
/// vectors and routers in F32, in the order in which its quantiser takes them (by block, then by name). Fails for an
/// architecture that isn't known.
Result<std::vector<gguf::Tensor>> converted_tensors(const ModelShape& shape);

}  // namespace velollm::model
