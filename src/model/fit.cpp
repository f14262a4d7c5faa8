#include "model/fit.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace velollm::model {
namespace {

constexpr std::int64_t kStep = 256;  // llama.cpp rounds a context up to it

std::int64_t needed_by_formula(const ModelShape& shape, const MemoryQuestion& question) {
    const MemoryEstimate estimate = memory_by_formula(shape, question);
    return question.gpu_layers > 0 ? estimate.gpu.total_bytes() : estimate.host_needed_bytes();
}

bool has_feature(const Cpu& cpu, std::string_view name) {
    return std::find(cpu.features.begin(), cpu.features.end(), name) != cpu.features.end();
}

/// The largest context of which `fits` is true.
template <typename Fits>
std::optional<std::int64_t> largest_where(const ModelShape& shape, MemoryQuestion question, const Fits& fits_question) {
    const auto fits = [&](std::int64_t steps) {
        question.settings.context_tokens = steps * kStep;
        return fits_question(question);
    };
    std::int64_t most = std::max<std::int64_t>(shape.context / kStep, 1);
    if (!fits(1)) return std::nullopt;
    if (fits(most)) return most * kStep;
    std::int64_t least = 1;  // fits; `most` doesn't
    while (most - least > 1) {
        const std::int64_t middle = least + (most - least) / 2;
        (fits(middle) ? least : most) = middle;
    }
    return least * kStep;
}

/// One whose memory is the machine's can't take a part off it.
bool has_own_memory(const Gpu& gpu) {
    return !gpu.integrated && gpu.memory_kind != GpuMemoryKind::kUnified && gpu.memory_kind != GpuMemoryKind::kCarveout;
}

/// Divides a model that doesn't fit the GPU: sets the question's layers and the prediction's part, where any fit.
void divide(const ModelShape& shape, const Gpu& gpu, std::int64_t depth, MemoryQuestion& question,
            Prediction& prediction) {
    const std::int64_t limit = std::max<std::int64_t>(*gpu.usable_bytes - kGpuMarginBytes, 0);
    question.gpu_layers = most_gpu_layers(shape, question, limit);
    if (question.gpu_layers == 0) return;
    prediction.gpu_part = GpuPart{.limit_bytes = limit,
                                  .needed_bytes = needed_by_formula(shape, question),
                                  .traffic = split_traffic(shape, depth, question.settings.key_type,
                                                           question.settings.value_type, question.gpu_layers),
                                  .bandwidth_gbps = gpu.theoretical_gbps};
}

std::optional<std::int64_t> largest_divided(const ModelShape& shape, const MemoryQuestion& question,
                                            std::int64_t gpu_limit, std::int64_t host_limit) {
    return largest_where(shape, question, [&](MemoryQuestion asked) {
        asked.gpu_layers = most_gpu_layers(shape, asked, gpu_limit);
        return memory_by_formula(shape, asked).host_needed_bytes() <= host_limit;
    });
}

}  // namespace

std::optional<std::int64_t> largest_context(const ModelShape& shape, MemoryQuestion question,
                                            std::int64_t limit_bytes) {
    return largest_where(shape, std::move(question),
                         [&](const MemoryQuestion& asked) { return needed_by_formula(shape, asked) <= limit_bytes; });
}

std::int64_t most_gpu_layers(const ModelShape& shape, MemoryQuestion question, std::int64_t limit_bytes) {
    const auto fits = [&](std::int64_t layers) {
        question.gpu_layers = layers;
        return memory_by_formula(shape, question).gpu.total_bytes() <= limit_bytes;
    };
    std::int64_t most = static_cast<std::int64_t>(shape.blocks.size()) + 1;
    if (fits(most)) return most;
    std::int64_t least = 0;  // fits; `most` doesn't
    while (most - least > 1) {
        const std::int64_t middle = least + (most - least) / 2;
        (fits(middle) ? least : most) = middle;
    }
    return least;
}

std::optional<double> Prediction::most_tps() const {
    if (!bandwidth_gbps || !fits() || traffic.total_bytes() <= 0) return std::nullopt;
    if (gpu_part) {
        if (!gpu_part->bandwidth_gbps) return std::nullopt;
        return 1e9 / (static_cast<double>(gpu_part->traffic.host.total_bytes()) / *bandwidth_gbps +
                      static_cast<double>(gpu_part->traffic.gpu.total_bytes()) / *gpu_part->bandwidth_gbps);
    }
    return *bandwidth_gbps * 1e9 / static_cast<double>(traffic.total_bytes());
}

Prediction predict(const std::filesystem::path& file, ModelShape shape, MemoryQuestion question, std::int64_t depth,
                   const Hardware& hardware) {
    Prediction prediction;
    question.repacked = repacked_types(has_feature(hardware.cpu, "avx2"), has_feature(hardware.cpu, "avx512f"));
    const Gpu* gpu = hardware.gpus.empty() || !hardware.gpus.front().usable_bytes ? nullptr : &hardware.gpus.front();
    if (gpu != nullptr) {
        question.gpu_layers = static_cast<std::int64_t>(shape.blocks.size()) + 1;
        prediction.on_gpu = needed_by_formula(shape, question) <= *gpu->usable_bytes;
        if (!prediction.on_gpu) question.gpu_layers = 0;
        if (!prediction.on_gpu && has_own_memory(*gpu)) divide(shape, *gpu, depth, question, prediction);
    }
    // The embedded engine that could be asked sees no GPU unless it was built for one: there formulas tell.
    prediction.memory = question.gpu_layers > 0 ? memory_by_formula(shape, question) : memory_of(file, shape, question);
    prediction.needed_bytes =
        prediction.on_gpu ? prediction.memory.gpu.total_bytes() : prediction.memory.host_needed_bytes();
    prediction.limit_bytes = prediction.on_gpu ? *gpu->usable_bytes : hardware.memory.available_bytes;
    prediction.largest_context =
        prediction.gpu_part ? largest_divided(shape, question, prediction.gpu_part->limit_bytes, prediction.limit_bytes)
                            : largest_context(shape, question, prediction.limit_bytes);
    prediction.depth = depth;
    prediction.traffic = decode_traffic(shape, depth, question.settings.key_type, question.settings.value_type);
    std::int64_t cache_bytes = 0;
    for (const Cache& cache : hardware.cpu.caches)
        if (cache.level == 3) cache_bytes += cache.size_bytes * cache.instances;
    // Where less than four times the cache is read in turn, a good part of it stays there.
    const TokenTraffic& by_processor = prediction.gpu_part ? prediction.gpu_part->traffic.host : prediction.traffic;
    prediction.partly_cached = !prediction.on_gpu && by_processor.total_bytes() < 4 * cache_bytes;
    take_bandwidth(hardware, prediction);
    prediction.shape = std::move(shape);
    prediction.question = std::move(question);
    return prediction;
}

void take_bandwidth(const Hardware& hardware, Prediction& prediction) {
    if (prediction.on_gpu) {
        prediction.bandwidth_gbps = hardware.gpus.front().theoretical_gbps;
    } else if (hardware.memory.bandwidth) {
        prediction.bandwidth_measured = hardware.memory.bandwidth->valid;
        if (prediction.bandwidth_measured) prediction.bandwidth_gbps = hardware.memory.bandwidth->read_gbps;
        prediction.bandwidth_missing = hardware.memory.bandwidth->reason;
    }
}

}  // namespace velollm::model
