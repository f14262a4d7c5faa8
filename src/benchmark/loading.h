#pragma once

#include <velollm/backend.h>

#include <optional>
#include <string>
#include <vector>

namespace velollm::benchmark {

/// How much of the weights' file lay in the page cache when a load began. kCold: next to nothing; kWarm: next to all.
enum class PageCache { kUnknown, kCold, kPart, kWarm };

PageCache page_cache_of(std::optional<double> cached_share);

struct LoadTime {
    Ns took{};
    PageCache cache = PageCache::kUnknown;
};

/// Loading is three metrics (method 2.1): from the disk, from the page cache, and finding the model in memory.
struct Loading {
    LoadedModel loaded;
    std::vector<LoadTime> loads;  ///< real ones, in their order; empty when the model was in memory already
    std::optional<Ns> resident;   ///< asking for it once it is in memory
};

/// Brings the model into memory. `reload`: takes it out first, so that the load is a real one; and where `file` can be
/// dropped from the page cache, loads it twice: from the disk, and from the page cache. What a disk or a host of this
/// machine caches by itself is beyond our sight.
Result<Loading> load_model(Backend& backend, const std::string& file, bool reload);

}  // namespace velollm::benchmark
