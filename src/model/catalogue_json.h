#pragma once

#include <string_view>

namespace velollm::model {

/// The text of data/models.json. It is in the program, so that it works without being installed.
std::string_view catalogue_json();

}  // namespace velollm::model
