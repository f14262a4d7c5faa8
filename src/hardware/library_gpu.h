#pragma once

#include <string>
#include <string_view>

#include "hardware/library_answer.h"
#include "wire/json_reader.h"

namespace velollm::hardware {

/// The GPU that stands at `pointer` of the document; what lies outside of any sense is left out and named in `refused`.
LibraryGpu read_library_gpu(const wire::JsonReader& json, const std::string& pointer, const LibraryWords& words);

}  // namespace velollm::hardware
