#include <fmt/core.h>

#include <algorithm>

#include "gguf/tensor_types.h"
#include "model/fit.h"
#include "optimize/registry.h"
#include "optimize/rules.h"

namespace velollm::optimize {
namespace {

constexpr std::int64_t kStep = 1024;
constexpr std::int64_t kMiB = std::int64_t{1} << 20U;
constexpr std::int64_t kUsualMarginMib = 1024;  // llama.cpp leaves so much free on each GPU
constexpr std::int64_t kGiB = std::int64_t{1} << 30U;

std::uint32_t type_number(const std::string& name) {
    for (std::uint32_t number = 0; number < gguf::kTensorTypeCount; ++number) {
        const gguf::TensorType* type = gguf::tensor_type(number);
        if (type != nullptr && type->name == name) return number;
    }
    return 1;  // f16
}

bool has_feature(const Cpu& cpu, std::string_view name) {
    return std::find(cpu.features.begin(), cpu.features.end(), name) != cpu.features.end();
}

bool gpu_in_use(const Facts& facts, const Settings& settings) {
    if (number_of(settings, "gpu_layers") == 0) return false;
    return std::any_of(facts.hardware.gpus.begin(), facts.hardware.gpus.end(),
                       [](const Gpu& gpu) { return gpu.usable_bytes && !gpu.integrated; });
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c); });
    return text;
}

}  // namespace

std::string size_words(std::int64_t bytes) {
    return bytes >= kGiB ? fmt::format("{:.2f} GiB", static_cast<double>(bytes) / static_cast<double>(kGiB))
                         : fmt::format("{} MiB", (bytes + kMiB - 1) / kMiB);
}

Place place_of(const Facts& facts, const Settings& settings) {
    const ObservedModel* loaded = facts.observed.find_model(facts.model);
    if (!gpu_in_use(facts, settings)) return {false, facts.memory_bytes, "memory"};
    Place place{true, loaded != nullptr ? loaded->gpu_bytes : 0, "GPU memory"};
    const std::int64_t margin = number_of(settings, "fit_target").value_or(kUsualMarginMib) * kMiB;
    for (const Gpu& gpu : facts.hardware.gpus)
        if (gpu.usable_bytes && !gpu.integrated)
            place.limit_bytes += std::max<std::int64_t>(*gpu.usable_bytes - margin, 0);
    if (facts.limits.max_gpu_bytes) place.limit_bytes = std::min(place.limit_bytes, *facts.limits.max_gpu_bytes);
    return place;
}

bool processor_computes(const Facts& facts, const Settings& settings) {
    const Place place = place_of(facts, settings);
    if (!place.gpu) return true;
    if (const ObservedModel* loaded = facts.observed.find_model(facts.model))
        return loaded->gpu_bytes < loaded->total_bytes;
    const auto question = question_of(facts, settings, place);
    return question && needed_bytes(facts, *question, place) > place.limit_bytes;
}

std::optional<model::MemoryQuestion> question_of(const Facts& facts, const Settings& settings, const Place& place) {
    const auto context = number_of(settings, "num_ctx");
    if (!facts.shape || !context || *context <= 0 || place.limit_bytes <= 0) return std::nullopt;
    model::MemoryQuestion question;
    backend::MemorySettings& memory = question.settings;
    memory.sequences = std::max<std::int64_t>(number_of(settings, "parallel").value_or(1), 1);
    // Ollama gives each sequence a cache of its own; llama-server's slots share one by default.
    // Its context is that of all slots together, Ollama's that of one.
    const bool of_one = facts.engine == "ollama";
    memory.unified = facts.observed.shares_cache();
    memory.context_tokens = of_one ? *context * memory.sequences : *context;
    memory.ubatch_tokens = std::max<std::int64_t>(number_of(settings, "num_batch").value_or(512), 1);
    memory.batch_tokens = std::max(memory.ubatch_tokens, memory.batch_tokens);
    memory.outputs = memory.sequences;
    const std::string both = text_of(settings, "kv_type");
    const auto type_of = [&](const char* name) {
        const std::string own = text_of(settings, name);
        return type_number(upper(!own.empty() ? own : !both.empty() ? both : "f16"));
    };
    memory.key_type = type_of("kv_type_k");
    memory.value_type = type_of("kv_type_v");
    memory.flash_attention =
        text_of(settings, "flash_attention") != "off" && text_of(settings, "flash_attention") != "0";
    const Cpu& cpu = facts.hardware.cpu;
    question.repacked = model::repacked_types(has_feature(cpu, "avx2"), has_feature(cpu, "avx512f"));
    if (place.gpu) question.gpu_layers = static_cast<std::int64_t>(facts.shape->blocks.size()) + 1;
    return question;
}

std::int64_t needed_bytes(const Facts& facts, const model::MemoryQuestion& question, const Place& place) {
    const model::MemoryEstimate estimate = model::memory_by_formula(*facts.shape, question);
    return place.gpu ? estimate.gpu.total_bytes() : estimate.host_needed_bytes();
}

std::int64_t divided_by(const Facts& facts) {
    if (facts.engine != "llama-server" || facts.observed.shares_cache()) return 1;
    return std::max<std::int64_t>(facts.observed.slots.value_or(1), 1);
}

std::int64_t most_context(const Facts& facts, const model::MemoryQuestion& question, const Place& place) {
    const auto most = [&](const model::ModelShape& shape) {
        return model::largest_context(shape, question, place.limit_bytes);
    };
    const std::int64_t sequences = facts.engine == "ollama" ? question.settings.sequences : 1;
    model::ModelShape shape = *facts.shape;
    shape.context *= facts.engine == "ollama" ? sequences : divided_by(facts);  // trained for holds for each sequence
    const std::optional<std::int64_t> found = most(shape);
    return found ? *found / sequences / kStep * kStep : 0;
}

}  // namespace velollm::optimize
