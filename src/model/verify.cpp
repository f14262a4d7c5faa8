#include "model/verify.h"

#include <algorithm>
#include <set>

#include "gguf/tensor_types.h"

namespace velollm::model {
namespace {

VerifiedMemory verify(const std::filesystem::path& file, const ModelShape& shape,
                      const backend::MemorySettings& settings) {
    VerifiedMemory verified{.settings = settings};
    const MemoryQuestion question{.settings = settings};
    const auto engine = file.empty() ? memory_by_engine(shape, question) : memory_by_engine(file, shape, question);
    if (!engine) {
        verified.refused = engine.error();
        return verified;
    }
    const MemoryUse mine = memory_by_formula(shape, question).host;
    verified.weights = {mine.weights_bytes, engine->host.weights_bytes};
    verified.cache = {mine.cache_bytes + mine.state_bytes, engine->host.cache_bytes + engine->host.state_bytes};
    verified.compute = {mine.compute_bytes, engine->host.compute_bytes};
    return verified;
}

}  // namespace

std::vector<VerifiedMemory> verify_memory(const std::filesystem::path& file, const ModelShape& shape) {
    std::set<std::int64_t> contexts;
    for (const std::int64_t context : {std::int64_t{4096}, std::int64_t{32768}, shape.context})
        contexts.insert(shape.context > 0 ? std::min(context, shape.context) : context);
    contexts.erase(0);
    std::vector<VerifiedMemory> all;
    for (const std::uint32_t type : {gguf::types::kF16, gguf::types::kQ8_0})
        for (const std::int64_t context : contexts)
            all.push_back(
                verify(file, shape, {.context_tokens = context, .outputs = 1, .key_type = type, .value_type = type}));
    return all;
}

}  // namespace velollm::model
