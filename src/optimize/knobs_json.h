#pragma once

#include <string_view>

namespace velollm::optimize {

/// The text of data/knobs.json, built in.
std::string_view knobs_json();

}  // namespace velollm::optimize
