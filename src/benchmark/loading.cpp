#include "benchmark/loading.h"

#include "system/page_cache.h"

namespace velollm::benchmark {
namespace {

constexpr double kCold = 0.02;
constexpr double kWarm = 0.98;

std::optional<double> share_of(const std::string& file) {
    return file.empty() ? std::nullopt : system::cached_share(file);
}

Result<void> load_once(Backend& backend, const std::string& file, Loading& out) {
    const PageCache cache = page_cache_of(share_of(file));
    auto loaded = backend.load();
    if (!loaded) return loaded.error();
    out.loaded = std::move(*loaded);
    if (out.loaded.was_resident == false) out.loads.push_back({out.loaded.took, cache});
    return {};
}

}  // namespace

PageCache page_cache_of(std::optional<double> cached_share) {
    if (!cached_share) return PageCache::kUnknown;
    if (*cached_share <= kCold) return PageCache::kCold;
    return *cached_share >= kWarm ? PageCache::kWarm : PageCache::kPart;
}

Result<Loading> load_model(Backend& backend, const std::string& file, bool reload) {
    Loading out;
    if (reload) {
        if (const auto done = backend.unload(); !done) return done.error();
        if (!file.empty()) system::drop_from_cache(file);
    }
    if (const auto done = load_once(backend, file, out); !done) return done.error();
    if (reload && !out.loads.empty() && out.loads.back().cache == PageCache::kCold) {
        if (const auto done = backend.unload(); !done) return done.error();
        if (const auto done = load_once(backend, file, out); !done) return done.error();
    }
    // The next answer to the same question is that of a model in memory; it must not hide how the load went.
    const LoadedModel loaded = out.loaded;
    auto again = backend.load();
    if (!again) return again.error();
    if (again->was_resident != false) out.resident = again->took;
    out.loaded = loaded;
    return out;
}

}  // namespace velollm::benchmark
