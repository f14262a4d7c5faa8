#include "backend/embedded.h"
#include "backend/engine_pace.h"
#include "backend/noise.h"
#include "backend/tokenizer.h"

namespace velollm::backend {

Result<std::unique_ptr<Backend>> make_embedded_backend(EmbeddedSpec, Clock&) {
    return Error{ErrorCode::kUsage, "This build has no embedded engine",
                 "Build it with scripts/setup and without -DVELOLLM_LLAMA=OFF, or measure a server: -b ollama"};
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::filesystem::path&) {
    return Error{ErrorCode::kUsage, "--tokenizer needs the embedded engine, which this build has not",
                 "Build it with scripts/setup and without -DVELOLLM_LLAMA=OFF, or leave it out."};
}

Result<PaceSample> time_engine(const PaceSpec&, const std::function<bool()>&) {
    return Error{
        ErrorCode::kUsage, "This build has no embedded engine to measure with",
        "Build it with scripts/setup and without -DVELOLLM_LLAMA=OFF; the forecast without --measure needs none."};
}

Result<std::string> noise_rows(std::uint32_t, std::int64_t, std::int64_t, std::uint64_t) {
    return Error{ErrorCode::kUsage, "This build has no embedded engine to make weights with",
                 "Build it with scripts/setup and without -DVELOLLM_LLAMA=OFF."};
}

std::string embedded_engine_version() {
    return {};
}

}  // namespace velollm::backend
