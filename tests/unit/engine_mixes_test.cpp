#include <ggml.h>
#include <gtest/gtest.h>
#include <llama-ext.h>
#include <llama.h>

#include <memory>
#include <string>
#include <vector>

#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/quantise.h"
#include "model/tensors.h"

namespace velollm::model::engine_mixes_test {
namespace {

struct FreeModel {
    void operator()(llama_model* model) const { llama_model_free(model); }
};
struct FreeState {
    void operator()(quantize_state_impl* state) const { llama_quant_free(state); }
};
struct FreeTensors {
    void operator()(ggml_context* context) const { ggml_free(context); }
};

/// The engine's own choice for a list of tensors.
std::vector<std::uint32_t> engine_types(const ModelShape& shape, const std::vector<gguf::Tensor>& tensors,
                                        llama_ftype mix) {
    const auto number = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
    const Block& first = shape.blocks.front();
    const llama_quant_model_desc desc{.architecture = shape.architecture.c_str(),
                                      .n_embd = number(shape.embedding),
                                      .n_ff = number(first.feed_forward),
                                      .n_layer = number(static_cast<std::int64_t>(shape.blocks.size())),
                                      .n_head = number(first.heads),
                                      .n_head_kv = number(first.kv_heads),
                                      .n_expert = number(shape.experts),
                                      .n_embd_head_k = number(first.key_length),
                                      .n_embd_head_v = number(first.value_length)};
    const std::unique_ptr<llama_model, FreeModel> model(llama_quant_model_from_metadata(&desc));
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = mix;
    const std::unique_ptr<quantize_state_impl, FreeState> state(llama_quant_init(model.get(), &params));
    const std::unique_ptr<ggml_context, FreeTensors> context(
        ggml_init({ggml_tensor_overhead() * (tensors.size() + 1), nullptr, true}));

    std::vector<std::uint32_t> types;
    std::vector<ggml_tensor*> allowed;
    std::vector<std::size_t> places;
    for (const gguf::Tensor& tensor : tensors) {
        ggml_tensor* made = ggml_new_tensor(context.get(), static_cast<ggml_type>(tensor.type), 4, tensor.shape.data());
        ggml_set_name(made, tensor.name.c_str());
        if (llama_quant_tensor_allows_quantization(state.get(), made)) {
            allowed.push_back(made);
            places.push_back(types.size());
        }
        types.push_back(tensor.type);
    }
    std::vector<ggml_type> chosen(allowed.size());
    llama_quant_compute_types(state.get(), mix, allowed.data(), chosen.data(), chosen.size());
    for (std::size_t i = 0; i < places.size(); ++i) types[places[i]] = chosen[i];
    return types;
}

/// The engine's stand-in for a model knows the 70B rule for Llama alone; its quantiser applies it to qwen2 as well.
bool is_stand_in_blind(const ModelShape& shape, const gguf::Tensor& tensor) {
    return shape.architecture == "qwen2" && shape.blocks.size() == 80 &&
           tensor.name.find("attn_v.weight") != std::string::npos;
}

class EveryMix : public testing::TestWithParam<std::string_view> {};

TEST_P(EveryMix, OfEveryModelHasTheTypesThatTheEngineChooses) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    const auto mix = static_cast<llama_ftype>(gguf::file_type_number(GetParam()).value());
    std::size_t compared = 0;
    for (const serde::CatalogueModel& entry : catalogue()) {
        const ModelShape shape = shape_of(entry);
        const auto converted = converted_tensors(shape);
        ASSERT_TRUE(converted) << entry.name;
        const auto ours = quantise(shape, *converted, GetParam());
        ASSERT_TRUE(ours) << ours.error().message;
        const auto theirs = engine_types(shape, *converted, mix);
        for (std::size_t i = 0; i < theirs.size(); ++i) {
            if (is_stand_in_blind(shape, (*ours)[i])) continue;
            ASSERT_EQ((*ours)[i].type, theirs[i]) << entry.name << " " << (*ours)[i].name;
            ++compared;
        }
    }
    EXPECT_GT(compared, 20000u);
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryMix, testing::ValuesIn(known_mixes()),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace velollm::model::engine_mixes_test
