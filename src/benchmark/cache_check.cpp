#include "benchmark/cache_check.h"

#include "metrics/validity.h"

namespace velollm::benchmark {

namespace {
bool sooner(Ns ttft, Ns first) {
    return to_seconds(ttft) < metrics::kThresholds.repeated_prompt_share * to_seconds(first);
}
}  // namespace

bool CacheCheck::caches() const {
    return sooner(again, first);
}

bool CacheCheck::defeated() const {
    return !sooner(other, first);
}

std::optional<CacheCheck> cache_check_of(const std::vector<RequestRecord>& requests) {
    std::vector<Ns> ttfts;
    for (const RequestRecord& record : requests)
        if (record.outcome == Outcome::kOk && !record.events.empty()) ttfts.push_back(record.events.front().at);
    if (ttfts.size() != 3 || requests.size() != 3) return std::nullopt;
    return CacheCheck{ttfts[0], ttfts[1], ttfts[2]};
}

}  // namespace velollm::benchmark
