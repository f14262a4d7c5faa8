#pragma once

#include <velollm/result.h>
#include <velollm/time.h>

#include <optional>
#include <string>
#include <string_view>

#include "gguf/gguf.h"
#include "system/system.h"

namespace velollm::backend {

/// The header of a model that a running Ollama has, as its answer to /api/show ("verbose": true) tells it. Equal to
/// that of the file in what decides memory and speed; the name is `model`, and where its parts lie in the file isn't
/// known. Fails for what no file could hold, as gguf::parse_header does.
Result<gguf::Header> shown_header(std::string_view answer, const std::string& model);

/// Asks the server at $OLLAMA_HOST. Nothing where none answers, or where it doesn't have the model; an error where its
/// answer can't be used.
Result<std::optional<gguf::Header>> ask_for_header(const std::string& model, const system::System& system,
                                                   Clock& clock);

}  // namespace velollm::backend
