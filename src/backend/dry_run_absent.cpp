#include "backend/dry_run.h"

namespace velollm::backend {
namespace {

Error absent() {
    return {ErrorCode::kUsage, "This build can't ask the engine what memory it would take",
            "Run scripts/setup and build again; the estimate by formula needs neither."};
}

}  // namespace

struct DryRunModel {};

void FreeDryRun::operator()(DryRunModel* model) const {
    delete model;
}

Result<DryRun> open_dry_run(const std::filesystem::path&, std::int64_t) {
    return absent();
}

Result<std::vector<DryRunBuffer>> dry_run(const DryRun&, const DryRunSettings&) {
    return absent();
}

bool can_dry_run() {
    return false;
}

}  // namespace velollm::backend
