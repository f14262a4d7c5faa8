#include "backend/dry_run.h"

namespace velollm::backend {

std::vector<Result<std::vector<DryRunBuffer>>> dry_run(const std::filesystem::path&, std::int64_t,
                                                       const std::vector<MemorySettings>& settings) {
    return {settings.size(), Error{ErrorCode::kUsage, "This build can't ask the engine what memory it would take",
                                   "Run scripts/setup and build again; the estimate by formula needs neither."}};
}

bool can_dry_run() {
    return false;
}

}  // namespace velollm::backend
