#pragma once

#include <velollm/result.h>
#include <velollm/summary.h>

#include <string>

#include "system/system.h"

namespace velollm::cli {

/// What a handful of short requests say.
struct BriefResult {
    Distribution decode;
};

/// Six short requests, one behind the other, to a server that runs.
Result<BriefResult> measure_briefly(const std::string& engine, const std::string& model, const std::string& url,
                                    const system::System& system);

/// Medians with their intervals, and the factor between them.
std::string comparison_text(const BriefResult& before, const BriefResult& after);

/// The intervals of the medians lie apart, and by more than what the machine's own drift between two blocks makes.
bool clearly_slower(const BriefResult& before, const BriefResult& after);

}  // namespace velollm::cli
