#include "cli/version.h"

#include <fmt/core.h>

#include "backend/embedded.h"
#include "cli/commit.h"

namespace velollm::cli {

std::string tool_version() {
    return VELOLLM_VERSION;
}

std::string tool_commit() {
    return kCommit;
}

std::string version_text() {
    const std::string engine = backend::embedded_engine_version();
    return fmt::format("velollm {}{}\ncompiler: {} {}\nembedded engine: {}\n", tool_version(),
                       tool_commit().empty() ? "" : fmt::format(" ({})", tool_commit()), VELOLLM_COMPILER, __VERSION__,
                       engine.empty() ? "none" : "llama.cpp " + engine);
}

}  // namespace velollm::cli
