#pragma once

#include <velollm/hardware.h>

#include <string>

#include "base/json_writer.h"

namespace velollm::report {

/// The object `engine_view` of the hardware document.
void write_engine_view(base::JsonWriter& json, const EngineView& view);

/// The same for people: lines of label and value, each ending in a newline.
std::string engine_lines(const EngineView& view);

}  // namespace velollm::report
