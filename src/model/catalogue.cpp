#include "model/catalogue.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "base/text.h"
#include "model/catalogue_json.h"
#include "model/families.h"
#include "model/header.h"

namespace velollm::model {
namespace {

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Block block_of(const serde::CatalogueModel& model, const ModelShape& shape, std::size_t index) {
    const auto number = static_cast<std::int64_t>(index);
    Block block;
    block.heads = model.heads;
    block.key_length = model.key_length;
    block.value_length = model.value_length;
    block.recurrent = model.full_attention_interval > 0 && (number + 1) % model.full_attention_interval != 0;
    block.kv_heads = block.recurrent ? 0 : model.kv_heads;
    block.experts = has_experts(shape, index);
    block.feed_forward = block.experts ? 0 : model.feed_forward;
    const std::int64_t period = sliding_period(shape.architecture);
    block.sliding = shape.sliding_window > 0 && period > 0 && number % period < period - 1;
    return block;
}

}  // namespace

const std::vector<serde::CatalogueModel>& catalogue() {
    static const std::vector<serde::CatalogueModel> models = [] {
        auto read = serde::read_model_catalogue(catalogue_json(), "data/models.json");
        // A test reads what is built in: a broken catalogue never gets here.
        return read ? std::move(*read) : std::vector<serde::CatalogueModel>();
    }();
    return models;
}

const serde::CatalogueModel* find_model(std::string_view name) {
    for (const serde::CatalogueModel& model : catalogue()) {
        if (same(model.name, name)) return &model;
        if (std::any_of(model.aliases.begin(), model.aliases.end(),
                        [&](const std::string& alias) { return same(alias, name); }))
            return &model;
    }
    return nullptr;
}

ModelShape shape_of(const serde::CatalogueModel& model) {
    ModelShape shape;
    shape.name = model.name;
    shape.architecture = model.architecture;
    shape.embedding = model.embedding;
    shape.vocabulary = model.vocabulary;
    shape.context = model.context;
    shape.tied = model.tied;
    shape.experts = model.experts;
    shape.experts_used = model.experts_used;
    shape.experts_shared = model.experts_shared;
    shape.expert_feed_forward = model.expert_feed_forward;
    shape.shared_feed_forward = model.shared_feed_forward;
    if (shape.shared_feed_forward == 0) {
        const bool one_shared = model.architecture == "llama4";
        shape.shared_feed_forward = (one_shared ? 1 : model.experts_shared) * model.expert_feed_forward;
    }
    shape.leading_dense_blocks = model.leading_dense_blocks;
    shape.moe_step = model.moe_step;
    shape.sliding_window = model.architecture == "llama4" ? 8192 : model.sliding_window;
    shape.q_lora_rank = model.q_lora_rank;
    shape.kv_lora_rank = model.kv_lora_rank;
    shape.key_length_mla = model.key_length_mla;
    shape.value_length_mla = model.value_length_mla;
    shape.rope_dimensions = model.rope_dimensions;
    shape.conv_kernel = model.conv_kernel;
    shape.inner_size = model.inner_size;
    shape.state_size = model.state_size;
    shape.time_step_rank = model.time_step_rank;
    shape.group_count = model.group_count;
    shape.qkv_bias = model.qkv_bias;
    shape.rope_factors = model.rope_factors;
    shape.long_factors = model.long_factors;
    shape.expert_biases = model.expert_biases;
    for (std::size_t i = 0; i < static_cast<std::size_t>(model.blocks); ++i)
        shape.blocks.push_back(block_of(model, shape, i));
    return shape;
}

Result<ModelShape> named_shape(std::string_view name, std::string_view mix) {
    const serde::CatalogueModel* model = find_model(name);
    if (model == nullptr) {
        std::vector<std::string> names;
        for (const serde::CatalogueModel& known : catalogue()) names.push_back(known.name);
        const std::string near = base::nearest_names(std::string(name), names, true);
        return Error{
            ErrorCode::kModelNotFound, fmt::format("No known model has the name {}", base::one_line(name, 80)),
            near.empty() ? "Give a GGUF file, or a name of data/models.json." : fmt::format("Did you mean {}?", near)};
    }
    return in_mix(shape_of(*model), mix.empty() ? std::string_view(model->quantization) : mix);
}

}  // namespace velollm::model
