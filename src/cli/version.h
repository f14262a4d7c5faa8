#pragma once

#include <string>

namespace velollm::cli {

std::string tool_version();  ///< "0.1.0"
std::string tool_commit();   ///< short hash of the source, with "-dirty" when it was changed; empty when unknown

/// What `velollm --version` prints: version, commit, compiler, engine.
std::string version_text();

}  // namespace velollm::cli
