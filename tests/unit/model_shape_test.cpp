#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/families.h"
#include "model/header.h"
#include "model/quantise.h"
#include "model/tensors.h"

namespace velollm::model::model_shape_test {
namespace {

Result<ModelShape> read_back(const ModelShape& shape) {
    const auto header = synthetic_header(shape);
    if (!header) return header.error();
    const auto parsed = gguf::parse_header(header->bytes, static_cast<std::uint64_t>(header->file_bytes), "made.gguf");
    if (!parsed) return Error{ErrorCode::kFailed, "the header goes on", ""};
    if (!*parsed) return parsed->error();
    return shape_of(**parsed);
}

void expect_same_blocks(const ModelShape& a, const ModelShape& b) {
    ASSERT_EQ(a.blocks.size(), b.blocks.size());
    for (std::size_t i = 0; i < a.blocks.size(); ++i) {
        const Block& x = a.blocks[i];
        const Block& y = b.blocks[i];
        EXPECT_EQ(x.heads, y.heads) << i;
        EXPECT_EQ(x.kv_heads, y.kv_heads) << i;
        EXPECT_EQ(x.key_length, y.key_length) << i;
        EXPECT_EQ(x.value_length, y.value_length) << i;
        EXPECT_EQ(x.feed_forward, y.feed_forward) << i;
        EXPECT_EQ(x.experts, y.experts) << i;
        EXPECT_EQ(x.sliding, y.sliding) << i;
        EXPECT_EQ(x.recurrent, y.recurrent) << i;
    }
}

TEST(ModelShape, OfEveryKnownModelReadsBackFromItsHeader) {
    for (const serde::CatalogueModel& entry : catalogue()) {
        SCOPED_TRACE(entry.name);
        const auto shape = named_shape(entry.name);
        ASSERT_TRUE(shape) << shape.error().message;
        const auto back = read_back(*shape);
        ASSERT_TRUE(back) << back.error().message;
        expect_same_blocks(*shape, *back);
        EXPECT_EQ(back->architecture, shape->architecture);
        EXPECT_EQ(back->embedding, shape->embedding);
        EXPECT_EQ(back->vocabulary, shape->vocabulary);
        EXPECT_EQ(back->context, shape->context);
        EXPECT_EQ(back->tied, shape->tied);
        EXPECT_EQ(back->experts_used, shape->experts_used);
        EXPECT_EQ(back->expert_feed_forward, shape->expert_feed_forward);
        EXPECT_EQ(back->shared_feed_forward, shape->shared_feed_forward);
        EXPECT_EQ(back->sliding_window, shape->sliding_window);
        EXPECT_EQ(back->kv_lora_rank, shape->kv_lora_rank);
        EXPECT_EQ(back->q_lora_rank, shape->q_lora_rank);
        EXPECT_EQ(back->rope_dimensions, shape->rope_dimensions);
        EXPECT_EQ(back->inner_size, shape->inner_size);
        EXPECT_EQ(back->quantization, shape->quantization);
        EXPECT_EQ(back->qkv_bias, shape->qkv_bias);
        EXPECT_EQ(back->expert_biases, shape->expert_biases);
        EXPECT_EQ(back->rope_factors, shape->rope_factors);
        EXPECT_EQ(back->long_factors, shape->long_factors);
        EXPECT_EQ(tensor_bytes(back->tensors), tensor_bytes(shape->tensors));
        EXPECT_EQ(back->tensors.size(), shape->tensors.size());
    }
}

gguf::Header plain_header() {
    gguf::Header header;
    header.architecture = "llama";
    header.blocks = 2;
    header.embedding_length = 64;
    header.vocab_size = 100;
    header.heads = 4;
    header.key_length = header.value_length = 16;
    header.hyperparameters.heads = {4};
    header.hyperparameters.kv_heads = {2};
    header.hyperparameters.feed_forward = {128};
    return header;
}

std::string refusal(const gguf::Header& header) {
    const auto shape = shape_of(header);
    return shape ? "none" : shape.error().message;
}

TEST(ModelShape, FiguresMayDifferFromBlockToBlock) {
    gguf::Header header = plain_header();
    header.hyperparameters.heads = {4, 8};
    header.hyperparameters.feed_forward = {128, 0};
    const auto shape = shape_of(header);
    ASSERT_TRUE(shape) << shape.error().message;
    EXPECT_EQ(shape->blocks[0].heads, 4);
    EXPECT_EQ(shape->blocks[1].heads, 8);
    EXPECT_EQ(shape->blocks[1].kv_heads, 2);
    EXPECT_EQ(shape->blocks[1].feed_forward, 0);
}

TEST(ModelShape, TheWindowOfAnArchitectureThatIgnoresItDoesNotCount) {
    gguf::Header header = plain_header();
    header.sliding_window = 512;
    EXPECT_EQ(shape_of(header)->sliding_window, 0);
    header.architecture = "gemma3";
    header.blocks = 7;
    const auto shape = shape_of(header);
    EXPECT_EQ(shape->sliding_window, 512);
    EXPECT_TRUE(shape->blocks[4].sliding);
    EXPECT_FALSE(shape->blocks[5].sliding);
    EXPECT_TRUE(shape->blocks[6].sliding);
    header.hyperparameters.sliding_pattern = {0, 1, 0, 0, 0, 0, 0};
    EXPECT_FALSE(shape_of(header)->blocks[0].sliding);
    EXPECT_TRUE(shape_of(header)->blocks[1].sliding);
}

TEST(ModelShape, BlocksWithoutKeysKeepAState) {
    gguf::Header header = plain_header();
    header.architecture = "granitehybrid";
    header.hyperparameters.kv_heads = {0, 2};
    header.hyperparameters.inner_size = 128;
    const auto shape = shape_of(header);
    EXPECT_TRUE(shape->blocks[0].recurrent);
    EXPECT_FALSE(shape->blocks[1].recurrent);
}

TEST(ModelShape, AbsurdHeadersAreRefused) {
    const auto with = [](auto change) {
        gguf::Header header = plain_header();
        change(header);
        return refusal(header);
    };
    EXPECT_EQ(with([](gguf::Header&) {}), "none");
    const auto is_refused = [&](auto change) { return with(change) != "none"; };
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.blocks = std::nullopt; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.blocks = std::int64_t{1} << 40U; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.embedding_length = std::nullopt; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.embedding_length = std::int64_t{1} << 40U; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.vocab_size = std::nullopt; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.hyperparameters.heads = {std::int64_t{1} << 40U}; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.hyperparameters.kv_heads = {8}; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.hyperparameters.feed_forward = {std::int64_t{1} << 50U}; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.hyperparameters.state_size = std::int64_t{1} << 50U; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.experts_used = 65; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.parts = 3; }));
    EXPECT_TRUE(is_refused([](gguf::Header& h) { h.hyperparameters.nextn_layers = 2; }));
}

std::size_t count_of(const ModelShape& shape, std::string_view part, std::uint32_t type) {
    return static_cast<std::size_t>(std::count_if(shape.tensors.begin(), shape.tensors.end(), [&](const auto& t) {
        return t.name.find(part) != std::string::npos && t.type == type;
    }));
}

TEST(ModelMix, HalfOfTheValuesGetMoreBits) {
    const auto shape = named_shape("llama3.1:8b", "q4_k_m");
    ASSERT_TRUE(shape);
    EXPECT_EQ(shape->quantization, "Q4_K_M");
    EXPECT_EQ(count_of(*shape, "attn_v.weight", gguf::types::kQ6_K), 16u);
    EXPECT_EQ(count_of(*shape, "attn_v.weight", gguf::types::kQ4_K), 16u);
    EXPECT_EQ(count_of(*shape, "ffn_down", gguf::types::kQ6_K), 16u);
    EXPECT_EQ(count_of(*shape, "output.weight", gguf::types::kQ6_K), 1u);
    EXPECT_EQ(count_of(*shape, "token_embd", gguf::types::kQ4_K), 1u);
    EXPECT_EQ(count_of(*shape, "norm", gguf::types::kF32), 65u);
}

TEST(ModelMix, RowsThatDoNotFitFallBack) {
    const auto shape = named_shape("qwen2.5:0.5b");  // rows of 896
    ASSERT_TRUE(shape);
    EXPECT_EQ(count_of(*shape, "attn_q.weight", gguf::types::kQ5_0), 24u);
    EXPECT_EQ(count_of(*shape, "token_embd", gguf::types::kQ8_0), 1u);
    EXPECT_EQ(count_of(*shape, "ffn_down", gguf::types::kQ6_K), 12u);
}

TEST(ModelMix, EightExpertsKeepTheirAttentionPrecise) {
    const auto shape = named_shape("mixtral:8x7b");
    ASSERT_TRUE(shape);
    EXPECT_EQ(count_of(*shape, "attn_k.weight", gguf::types::kQ8_0), 32u);
    EXPECT_EQ(count_of(*shape, "attn_v.weight", gguf::types::kQ8_0), 32u);
    EXPECT_EQ(count_of(*shape, "attn_output.weight", gguf::types::kQ5_K), 32u);
    EXPECT_EQ(count_of(*shape, "ffn_gate_inp", gguf::types::kF32), 32u);
}

TEST(ModelMix, TheLargeQwen2IsA70BModelToTheQuantiser) {
    const auto shape = named_shape("qwen2.5:72b", "Q4_K_S");
    ASSERT_TRUE(shape);
    EXPECT_EQ(count_of(*shape, "attn_v.weight", gguf::types::kQ5_K), 80u);
}

TEST(ModelMix, AnUnknownOneIsRefusedWithThoseThatAreKnown) {
    const auto shape = named_shape("qwen3:8b", "Q9_X");
    ASSERT_FALSE(shape);
    EXPECT_EQ(shape.error().message, "Unknown quantisation: Q9_X");
    EXPECT_NE(shape.error().hint.find("Q4_K_M"), std::string::npos);
    EXPECT_FALSE(named_shape("qwen3:8b", "Q4_K_Mx"));
}

TEST(ModelTensors, AnUnknownArchitectureHasNone) {
    ModelShape shape = shape_of(*find_model("qwen3:8b"));
    shape.architecture = "mamba";
    EXPECT_FALSE(converted_tensors(shape));
    EXPECT_FALSE(synthetic_header(shape));
    EXPECT_FALSE(is_known("mamba"));
    EXPECT_TRUE(is_known("qwen3"));
}

}  // namespace
}  // namespace velollm::model::model_shape_test
