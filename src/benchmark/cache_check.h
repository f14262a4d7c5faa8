#pragma once

#include <velollm/run.h>

#include <optional>
#include <string>
#include <vector>

namespace velollm::benchmark {

/// Whether a server that says nothing of its prompt cache has one, and whether new words in front of a prompt get past
/// it: the time to the first token of a long prompt, of the same again, and of it behind other words (method 2.2).
struct CacheCheck {
    Ns first{};
    Ns again{};
    Ns other{};

    /// The same prompt came much sooner (metrics::kThresholds).
    bool caches() const;
    /// Other words in front made it as slow as at first again.
    bool defeated() const;
};

/// From the three requests in their order; nothing unless each brought a token.
std::optional<CacheCheck> cache_check_of(const std::vector<RequestRecord>& requests);

}  // namespace velollm::benchmark
