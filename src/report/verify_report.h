#pragma once

#include <string>
#include <vector>

#include "model/verify.h"

namespace velollm::report {

/// Formula against the engine's account, as a table for people.
std::string verification_text(const model::ModelShape& shape, const std::vector<model::VerifiedMemory>& verified);

/// The same as schema/velollm-verification-1.schema.json.
std::string verification_json(const model::ModelShape& shape, const std::vector<model::VerifiedMemory>& verified,
                              int indent);

}  // namespace velollm::report
