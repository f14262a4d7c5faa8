#include "backend/dry_run.h"

#include <fmt/core.h>
#include <llama-ext.h>
#include <llama.h>

#include <limits>
#include <utility>

#include "backend/llama_library.h"

namespace velollm::backend {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 30U;

struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};

Error refused(std::string_view what) {
    return {ErrorCode::kFailed, fmt::format("The engine can't account for {}: {}", what, llama_errors()),
            "The estimate by formula stands; it needs no engine."};
}

bool on_host(ggml_backend_buffer_type_t type) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    return ggml_backend_buft_is_host(type) || device == nullptr ||
           ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

llama_context_params params_of(const DryRunSettings& settings) {
    const auto number = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
    llama_context_params params = llama_context_default_params();
    params.n_ctx = number(settings.context_tokens);
    params.n_seq_max = number(settings.sequences);
    params.n_batch = number(settings.batch_tokens);
    params.n_ubatch = number(settings.ubatch_tokens);
    params.n_outputs_max = number(settings.outputs.value_or(0));
    params.kv_unified = settings.unified;
    params.type_k = static_cast<ggml_type>(settings.key_type);
    params.type_v = static_cast<ggml_type>(settings.value_type);
    params.flash_attn_type = settings.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.swa_full = settings.full_sliding_cache;
    params.n_threads = params.n_threads_batch = 1;
    return params;
}

bool in_range(const DryRunSettings& settings) {
    const auto fits = [](std::int64_t value) { return value > 0 && value <= kMostTokens; };
    return fits(settings.context_tokens) && fits(settings.sequences) && fits(settings.batch_tokens) &&
           fits(settings.ubatch_tokens) && settings.key_type < GGML_TYPE_COUNT && settings.value_type < GGML_TYPE_COUNT;
}

}  // namespace

struct DryRunModel {
    std::unique_ptr<llama_model, FreeModel> model;
};

void FreeDryRun::operator()(DryRunModel* model) const {
    delete model;
}

Result<DryRun> open_dry_run(const std::filesystem::path& file, std::int64_t gpu_layers) {
    start_llama_once();
    llama_errors().clear();
    llama_model_params params = llama_model_default_params();
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE;
    params.n_gpu_layers = static_cast<std::int32_t>(
        gpu_layers < 0 || gpu_layers > std::numeric_limits<std::int32_t>::max() ? -1 : gpu_layers);
    std::unique_ptr<llama_model, FreeModel> model(llama_model_load_from_file(file.c_str(), params));
    if (!model) return refused(file.string());
    return DryRun(new DryRunModel{std::move(model)});
}

Result<std::vector<DryRunBuffer>> dry_run(const DryRun& model, const DryRunSettings& settings) {
    llama_errors().clear();
    if (!in_range(settings)) return refused("settings without meaning");
    const std::unique_ptr<llama_context, FreeContext> context(
        llama_init_from_model(model->model.get(), params_of(settings)));
    if (!context) return refused("these settings");
    std::vector<DryRunBuffer> buffers;
    for (const auto& [type, data] : llama_get_memory_breakdown(context.get()))
        buffers.push_back({.name = ggml_backend_buft_name(type),
                           .host = on_host(type),
                           .weights_bytes = static_cast<std::int64_t>(data.model),
                           .context_bytes = static_cast<std::int64_t>(data.context),
                           .compute_bytes = static_cast<std::int64_t>(data.compute)});
    return buffers;
}

bool can_dry_run() {
    return true;
}

}  // namespace velollm::backend
