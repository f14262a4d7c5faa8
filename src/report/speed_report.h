#pragma once

#include <string>
#include <string_view>

#include "base/json_writer.h"
#include "model/fit.h"

namespace velollm::report {

/// The speed of a model that was predicted, as lines for people: ranges before the likely figure, and what they stand
/// on.
std::string speed_text(const model::Prediction& prediction);

/// The same as the keys `decode` and `speed` of schema/velollm-prediction-1.schema.json.
void write_speed(base::JsonWriter& json, const model::Prediction& prediction);

/// What a benchmark made of a forecast: a line for people. `model`: its name.
std::string truth_text(const serde::PastPrediction& past, std::string_view model);

}  // namespace velollm::report
