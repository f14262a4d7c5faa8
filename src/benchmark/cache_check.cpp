#include "benchmark/cache_check.h"

namespace velollm::benchmark {

std::optional<CacheCheck> cache_check_of(const std::vector<RequestRecord>& requests) {
    std::vector<Ns> ttfts;
    for (const RequestRecord& record : requests)
        if (record.outcome == Outcome::kOk && !record.events.empty()) ttfts.push_back(record.events.front().at);
    if (ttfts.size() != 3 || requests.size() != 3) return std::nullopt;
    return CacheCheck{ttfts[0], ttfts[1], ttfts[2]};
}

}  // namespace velollm::benchmark
