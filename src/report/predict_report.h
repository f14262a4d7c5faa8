#pragma once

#include <string>

#include "model/fit.h"

namespace velollm::report {

/// The document of schema/velollm-prediction-1.schema.json, without a newline at its end.
std::string prediction_json(const model::Prediction& prediction, int indent);

/// The same for people, each line ending in a newline: what it takes, whether it fits, how large a context may be, and
/// how fast it can be at most.
std::string prediction_text(const model::Prediction& prediction);

}  // namespace velollm::report
