#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/gguf.h"
#include "gguf/tensor_types.h"
#include "gguf/writer.h"
#include "model/memory.h"
#include "model/traffic.h"
#include "support/temp_folder.h"

// Headers of architectures that the catalogue can't make tensors for, against the engine.
namespace velollm::model::engine_header_test {
namespace {

using gguf::Item;
using gguf::types::kF16;
using gguf::types::kF32;

class Made {
public:
    explicit Made(std::string architecture) : architecture_(std::move(architecture)) {
        items_ = {{"general.architecture", architecture_},
                  {"general.type", std::string("model")},
                  {"tokenizer.ggml.model", std::string("none")}};
    }

    template <typename Value>
    void key(std::string_view name, Value value) {
        items_.push_back({architecture_ + "." + std::string(name), std::move(value)});
    }
    void keys(std::initializer_list<std::pair<std::string_view, unsigned>> numbers) {
        for (const auto& [name, number] : numbers) key(name, std::uint32_t{number});
    }
    /// A matrix is in F16, a vector in F32.
    void tensor(std::string name, std::initializer_list<std::int64_t> shape) {
        gguf::Tensor tensor{.name = std::move(name), .type = shape.size() > 1 ? kF16 : kF32};
        std::size_t i = 0;
        for (const std::int64_t size : shape) tensor.shape.at(i++) = size;
        tensors_.push_back(tensor);
    }
    void in_block(int block, std::string_view name, std::initializer_list<std::int64_t> shape) {
        tensor("blk." + std::to_string(block) + "." + std::string(name), shape);
    }
    gguf::HeaderBytes header() const {
        const auto written = gguf::write_header(items_, tensors_);
        EXPECT_TRUE(written);
        return written ? *written : gguf::HeaderBytes();
    }

private:
    std::string architecture_;
    std::vector<Item> items_;
    std::vector<gguf::Tensor> tensors_;
};

ModelShape shape_in(const gguf::HeaderBytes& header) {
    const auto parsed = gguf::parse_header(header.bytes, static_cast<std::uint64_t>(header.file_bytes), "made.gguf");
    EXPECT_TRUE(parsed && *parsed);
    if (!parsed || !*parsed) return {};
    const auto shape = shape_of(**parsed);
    EXPECT_TRUE(shape) << shape.error().message;
    return shape ? *shape : ModelShape();
}

/// GLM-4.5-Air by its published config: 46 blocks and one that predicts a second token.
Made glm_air() {
    Made made("glm4moe");
    made.keys({{"block_count", 47},
               {"context_length", 131072},
               {"embedding_length", 4096},
               {"vocab_size", 151552},
               {"feed_forward_length", 10944},
               {"attention.head_count", 96},
               {"attention.head_count_kv", 8},
               {"attention.key_length", 128},
               {"attention.value_length", 128},
               {"rope.dimension_count", 64},
               {"expert_count", 128},
               {"expert_used_count", 8},
               {"expert_shared_count", 1},
               {"expert_feed_forward_length", 1408},
               {"leading_dense_block_count", 1},
               {"nextn_predict_layers", 1}});
    made.key("attention.layer_norm_rms_epsilon", 1e-5F);
    made.tensor("token_embd.weight", {4096, 151552});
    made.tensor("output_norm.weight", {4096});
    made.tensor("output.weight", {4096, 151552});
    for (int i = 0; i < 47; ++i) {
        for (const char* norm : {"attn_norm.weight", "post_attention_norm.weight"}) made.in_block(i, norm, {4096});
        made.in_block(i, "attn_q.weight", {4096, 12288});
        made.in_block(i, "attn_k.weight", {4096, 1024});
        made.in_block(i, "attn_v.weight", {4096, 1024});
        made.in_block(i, "attn_q.bias", {12288});
        for (const char* bias : {"attn_k.bias", "attn_v.bias"}) made.in_block(i, bias, {1024});
        made.in_block(i, "attn_output.weight", {12288, 4096});
        if (i == 0) {
            for (const char* wide : {"ffn_gate.weight", "ffn_up.weight"}) made.in_block(i, wide, {4096, 10944});
            made.in_block(i, "ffn_down.weight", {10944, 4096});
            continue;
        }
        made.in_block(i, "ffn_gate_inp.weight", {4096, 128});
        made.in_block(i, "exp_probs_b.bias", {128});
        for (const char* wide : {"ffn_gate_exps.weight", "ffn_up_exps.weight"})
            made.in_block(i, wide, {4096, 1408, 128});
        made.in_block(i, "ffn_down_exps.weight", {1408, 4096, 128});
        for (const char* wide : {"ffn_gate_shexp.weight", "ffn_up_shexp.weight"}) made.in_block(i, wide, {4096, 1408});
        made.in_block(i, "ffn_down_shexp.weight", {1408, 4096});
    }
    made.in_block(46, "nextn.eh_proj.weight", {8192, 4096});
    for (const char* norm : {"nextn.enorm.weight", "nextn.hnorm.weight", "nextn.shared_head_norm.weight"})
        made.in_block(46, norm, {4096});
    return made;
}

/// What both small Gemmas of these generations have, with a full block behind every four sliding ones.
void put_gemma(Made& made, int blocks, unsigned embedding, unsigned kv_heads) {
    made.keys({{"block_count", static_cast<unsigned>(blocks)},
               {"context_length", 32768},
               {"embedding_length", embedding},
               {"vocab_size", 262144},
               {"attention.head_count", 8},
               {"attention.head_count_kv", kv_heads},
               {"attention.sliding_window", 512}});
    made.key("attention.layer_norm_rms_epsilon", 1e-6F);
    Item::Flags pattern;
    for (int i = 0; i < blocks; ++i) pattern.push_back(i % 5 != 4);
    made.key("attention.sliding_window_pattern", pattern);
    const std::int64_t width = embedding;
    made.tensor("token_embd.weight", {width, 262144});
    made.tensor("per_layer_token_embd.weight", {256L * blocks, 262144});
    made.tensor("per_layer_model_proj.weight", {width, 256L * blocks});
    made.tensor("per_layer_proj_norm.weight", {256});
    made.tensor("output_norm.weight", {width});
    for (int i = 0; i < blocks; ++i) {
        for (const char* norm : {"attn_norm.weight", "post_attention_norm.weight", "ffn_norm.weight",
                                 "post_ffw_norm.weight", "post_norm.weight"})
            made.in_block(i, norm, {width});
        made.in_block(i, "inp_gate.weight", {width, 256});
        made.in_block(i, "proj.weight", {256, width});
    }
}

/// As Gemma 4 E2B: 35 blocks, the last 20 of which use the keys and values of the two before them.
Made gemma4() {
    Made made("gemma4");
    put_gemma(made, 35, 1536, 1);
    made.keys({{"attention.shared_kv_layers", 20},
               {"attention.key_length", 512},
               {"attention.value_length", 512},
               {"attention.key_length_swa", 256},
               {"attention.value_length_swa", 256},
               {"embedding_length_per_layer_input", 256},
               {"rope.dimension_count", 512},
               {"rope.dimension_count_swa", 256}});
    Item::Numbers widths;
    for (int i = 0; i < 35; ++i) widths.push_back(i < 15 ? 6144 : 12288);
    made.key("feed_forward_length", widths);
    made.tensor("rope_freqs.weight", {256});
    for (int i = 0; i < 35; ++i) {
        const std::int64_t head = i % 5 == 4 ? 512 : 256;
        made.in_block(i, "attn_q.weight", {1536, 8 * head});
        made.in_block(i, "attn_q_norm.weight", {head});
        made.in_block(i, "attn_output.weight", {8 * head, 1536});
        if (i < 15) {
            for (const char* name : {"attn_k.weight", "attn_v.weight"}) made.in_block(i, name, {1536, head});
            made.in_block(i, "attn_k_norm.weight", {head});
        }
        const std::int64_t wide = widths[static_cast<std::size_t>(i)];
        for (const char* name : {"ffn_gate.weight", "ffn_up.weight"}) made.in_block(i, name, {1536, wide});
        made.in_block(i, "ffn_down.weight", {wide, 1536});
    }
    return made;
}

/// As Gemma 3n E2B: 30 blocks, the last 10 of which have no cache of their own.
Made gemma3n() {
    Made made("gemma3n");
    put_gemma(made, 30, 2048, 2);
    made.keys({{"attention.key_length", 256}, {"attention.value_length", 256}, {"feed_forward_length", 8192}});
    for (const char* name : {"altup_proj.weight", "altup_unembd_proj.weight"}) made.tensor(name, {2048, 2048, 3});
    for (int i = 0; i < 30; ++i) {
        made.in_block(i, "attn_q.weight", {2048, 2048});
        for (const char* name : {"attn_k.weight", "attn_v.weight"}) made.in_block(i, name, {2048, 512});
        for (const char* name : {"attn_q_norm.weight", "attn_k_norm.weight"}) made.in_block(i, name, {256});
        made.in_block(i, "attn_output.weight", {2048, 2048});
        for (const char* name : {"ffn_gate.weight", "ffn_up.weight"}) made.in_block(i, name, {2048, 8192});
        made.in_block(i, "ffn_down.weight", {8192, 2048});
        made.in_block(i, "altup_correct_coef.weight", {4, 4});
        made.in_block(i, "altup_correct_scale.weight", {2048});
        made.in_block(i, "altup_predict_coef.weight", {4, 16});
        made.in_block(i, "altup_router.weight", {2048, 4});
        made.in_block(i, "altup_router_norm.weight", {2048});
        made.in_block(i, "laurel_l.weight", {2048, 64});
        made.in_block(i, "laurel_r.weight", {64, 2048});
        made.in_block(i, "laurel_post_norm.weight", {2048});
    }
    return made;
}

/// `twice`: bytes that the engine counts a second time.
void expect_as_the_engine_says(const Made& made, std::int64_t twice = 0) {
    const gguf::HeaderBytes header = made.header();
    const ModelShape shape = shape_in(header);
    const test::TempFolder folder;
    const auto file = folder.path() / "model.gguf";
    ASSERT_TRUE(gguf::write_sparse_file(file, header));
    for (const backend::MemorySettings& settings : {backend::MemorySettings{.context_tokens = 4096, .outputs = 1},
                                                    {.context_tokens = 32768, .sequences = 2, .outputs = 2}}) {
        const MemoryQuestion question{.settings = settings};
        const auto engine = memory_by_engine(file, shape, question);
        ASSERT_TRUE(engine) << engine.error().message;
        const MemoryEstimate formula = memory_by_formula(shape, question);
        EXPECT_EQ(formula.host.weights_bytes + twice, engine->host.weights_bytes);
        EXPECT_EQ(formula.host.cache_bytes, engine->host.cache_bytes);
    }
}

TEST(MadeHeader, OfBlocksThatPredictFurtherTokensNothingIsLoaded) {
    expect_as_the_engine_says(glm_air());
}

TEST(MadeHeader, WithCachesThatBlocksShareTakesWhatTheEngineSays) {
    // It has their tied embedding twice, and that of others once.
    expect_as_the_engine_says(gemma4(), 262144L * 1536 * 2);
    expect_as_the_engine_says(gemma3n(), 262144L * 2048 * 2);
}

std::int64_t weights_read(const ModelShape& shape) {
    return decode_traffic(shape, 0, kF16, kF16).weights_bytes;
}

TEST(MadeHeader, OfBlocksThatPredictFurtherTokensNothingIsReadForAToken) {
    const ModelShape shape = shape_in(glm_air().header());
    EXPECT_EQ(shape.blocks.size(), 46u);
    // Published as 106 billion parameters, 12 of them active: without that block, and the active ones without the
    // output layer.
    const auto kept = static_cast<double>(memory_by_formula(shape, {}).host.weights_bytes);
    EXPECT_NEAR(kept / 2e9, 106.9, 0.3);
    EXPECT_NEAR(static_cast<double>(tensor_bytes(shape.tensors)) / 2e9 - kept / 2e9, 2.4, 0.2);
    EXPECT_NEAR(static_cast<double>(weights_read(shape)) / 2e9, 12.2 + 4096 * 151552 / 1e9, 0.1);
}

TEST(MadeHeader, CachesThatBlocksShareAreReadByEachOfThem) {
    const auto cache_read = [](const ModelShape& shape, std::int64_t depth) {
        return decode_traffic(shape, depth, kF16, kF16).cache_bytes;
    };
    const ModelShape four = shape_in(gemma4().header());
    EXPECT_EQ(cache_read(four, 1), (28 * 256 + 7 * 512) * 2 * 2);  // 28 sliding blocks, 7 full ones
    EXPECT_EQ(cache_read(four, 4097) - cache_read(four, 4096), 7 * 512 * 2 * 2);
    // Of the tables one row each is read for a token, but the embedding is the output layer as well.
    EXPECT_LT(weights_read(four), tensor_bytes(four.tensors) - 262144L * 256 * 35 * 2 + 256 * 35 * 2 + 1);
    EXPECT_EQ(cache_read(shape_in(gemma3n().header()), 1), 30 * 2 * 256 * 2 * 2);
}

}  // namespace
}  // namespace velollm::model::engine_header_test
