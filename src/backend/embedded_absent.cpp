#include "backend/embedded.h"

namespace velollm::backend {

Result<std::unique_ptr<Backend>> make_embedded_backend(EmbeddedSpec, Clock&) {
    return Error{ErrorCode::kUsage, "This build has no embedded engine",
                 "Build it with scripts/setup and without -DVELOLLM_LLAMA=OFF, or measure a server: -b ollama"};
}

std::string embedded_engine_version() {
    return {};
}

}  // namespace velollm::backend
