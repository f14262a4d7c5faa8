// Compares the memory model's formulas with the engine's own account, for every model of data/models.json: contexts of
// 4k, 32k and 128k, caches of f16, q8_0 and q4_0, a server's rows of logits and the API's default, with and without
// flash attention. Nothing is downloaded and no weights are made: the engine reads headers with holes behind them.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "backend/dry_run.h"
#include "backend/embedded.h"
#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/memory.h"

namespace {

using namespace velollm;

constexpr double kMiB = 1024.0 * 1024.0;

/// Relative errors of one term, in %.
class Errors {
public:
    void add(std::int64_t formula, std::int64_t engine) {
        if (engine == 0) return;
        errors_.push_back(100.0 * (static_cast<double>(formula) / static_cast<double>(engine) - 1.0));
        exact_ += formula == engine ? 1U : 0U;
    }
    void add(const Errors& other) {
        errors_.insert(errors_.end(), other.errors_.begin(), other.errors_.end());
        exact_ += other.exact_;
    }
    double worst() const {
        const auto farthest = std::max_element(errors_.begin(), errors_.end(),
                                               [](double a, double b) { return std::abs(a) < std::abs(b); });
        return farthest == errors_.end() ? 0.0 : *farthest;
    }
    double quantile(double share) const {
        std::vector<double> sizes;
        for (const double error : errors_) sizes.push_back(std::abs(error));
        std::sort(sizes.begin(), sizes.end());
        if (sizes.empty()) return 0.0;
        return sizes[static_cast<std::size_t>(std::ceil(share * static_cast<double>(sizes.size()))) - 1];
    }
    std::size_t count() const { return errors_.size(); }
    std::size_t exact() const { return exact_; }

private:
    std::vector<double> errors_;
    std::size_t exact_ = 0;
};

struct Table {
    Errors weights, cache, server, api, without_flash;

    void add(const Table& other) {
        weights.add(other.weights);
        cache.add(other.cache);
        server.add(other.server);
        api.add(other.api);
        without_flash.add(other.without_flash);
    }
};

std::vector<backend::MemorySettings> grid() {
    std::vector<backend::MemorySettings> list;
    for (const std::int64_t tokens : {4096, 32768, 131072})
        for (const std::uint32_t type : {gguf::types::kF16, gguf::types::kQ8_0, gguf::types::kQ4_0})
            for (const bool flash : {true, false})
                for (const bool server : {true, false}) {
                    // Without flash attention the engine takes no quantised values.
                    if (!flash && type != gguf::types::kF16) continue;
                    backend::MemorySettings settings{
                        .context_tokens = tokens, .key_type = type, .value_type = type, .flash_attention = flash};
                    if (server) settings.outputs = 1;
                    list.push_back(settings);
                }
    return list;
}

/// Compares one model; counts the settings that the engine refuses.
Table compare(const model::ModelShape& shape, std::size_t& refused, std::int64_t& weights, std::int64_t& cache_32k) {
    Table table;
    for (const backend::MemorySettings& settings : grid()) {
        const model::MemoryQuestion question{.settings = settings};
        const auto engine = model::memory_by_engine(shape, question);
        if (!engine) {
            ++refused;
            continue;
        }
        const model::MemoryEstimate formula = model::memory_by_formula(shape, question);
        table.weights.add(formula.host.weights_bytes, engine->host.weights_bytes);
        table.cache.add(formula.host.cache_bytes, engine->host.cache_bytes);
        Errors& compute = !settings.flash_attention ? table.without_flash : settings.outputs ? table.server : table.api;
        compute.add(formula.host.compute_bytes, engine->host.compute_bytes);
        weights = engine->host.weights_bytes;
        if (settings.context_tokens == 32768 && settings.key_type == gguf::types::kF16)
            cache_32k = engine->host.cache_bytes;
    }
    return table;
}

void print_summary(const char* what, const Errors& errors) {
    fmt::print("| {} | {} | {} | {:.3f} | {:.3f} | {:+.2f} |\n", what, errors.count(), errors.exact(),
               errors.quantile(0.5), errors.quantile(0.9), errors.worst());
}

}  // namespace

int main() {
    if (!backend::can_dry_run()) {
        fmt::print(stderr, "This build can't ask the engine: run scripts/setup and build again.\n");
        return EXIT_FAILURE;
    }
    const auto begin = std::chrono::steady_clock::now();
    fmt::print("Engine: libllama {}, processor alone, batches of 512, one sequence.\n\n",
               backend::embedded_engine_version());
    fmt::print("Worst error of the formulas in %, by model; MiB are the engine's.\n\n");
    fmt::print("| model | mix | weights MiB | KV 32k MiB | weights | KV | compute, server | API | without FA |\n");
    fmt::print("|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
    Table all;
    std::size_t refused = 0;
    for (const serde::CatalogueModel& entry : model::catalogue()) {
        const auto shape = model::named_shape(entry.name);
        if (!shape) return EXIT_FAILURE;
        std::int64_t weights = 0;
        std::int64_t cache = 0;
        const Table table = compare(*shape, refused, weights, cache);
        fmt::print("| {} | {} | {:.0f} | {:.0f} | {:+.3f} | {:+.3f} | {:+.2f} | {:+.2f} | {:+.2f} |\n", entry.name,
                   shape->quantization, static_cast<double>(weights) / kMiB, static_cast<double>(cache) / kMiB,
                   table.weights.worst(), table.cache.worst(), table.server.worst(), table.api.worst(),
                   table.without_flash.worst());
        all.add(table);
    }
    fmt::print("\n| term | settings | exact to the byte | median % | 90th percentile % | worst % |\n");
    fmt::print("|---|--:|--:|--:|--:|--:|\n");
    print_summary("weights", all.weights);
    print_summary("keys and values", all.cache);
    print_summary("compute buffer, server", all.server);
    print_summary("compute buffer, API default", all.api);
    print_summary("compute buffer, without flash attention", all.without_flash);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fmt::print("\n{} settings were refused by the engine. {:.0f} s in all.\n", refused, took.count());
    return EXIT_SUCCESS;
}
