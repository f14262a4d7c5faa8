#pragma once

#include <velollm/result.h>

#include <string_view>
#include <vector>

#include "model/shape.h"
#include "serde/model_catalogue.h"

namespace velollm::model {

/// The models of data/models.json, as they were when the program was built.
const std::vector<serde::CatalogueModel>& catalogue();

/// The model with this name or alias, upper or lower case; nullptr when there is none.
const serde::CatalogueModel* find_model(std::string_view name);

/// The shape of a model, without tensors: in_mix makes them.
ModelShape shape_of(const serde::CatalogueModel& model);

/// The shape of the model with this name, with tensors in `mix`, or in its usual one when that is empty. A name that
/// isn't known fails with the nearest ones in the hint.
Result<ModelShape> named_shape(std::string_view name, std::string_view mix = {});

}  // namespace velollm::model
