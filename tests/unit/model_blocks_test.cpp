#include "model/blocks.h"

#include <gtest/gtest.h>

#include "model/catalogue.h"

namespace velollm::model::blocks_test {

ModelShape named(const char* name) {
    auto shape = named_shape(name);
    EXPECT_TRUE(shape) << name;
    return *shape;
}

const gguf::Tensor* find(const ModelShape& shape, const std::string& name) {
    for (const gguf::Tensor& tensor : shape.tensors)
        if (tensor.name == name) return &tensor;
    return nullptr;
}

TEST(Blocks, AreSpreadEvenly) {
    const ModelShape llama = named("llama3.1:8b");  // 32 blocks, all alike
    EXPECT_EQ(block_period(llama), 1);
    EXPECT_EQ(spread_blocks(llama, 2), (std::vector<std::size_t>{8, 24}));
    EXPECT_EQ(spread_blocks(llama, 4), (std::vector<std::size_t>{4, 12, 20, 28}));
    EXPECT_EQ(spread_blocks(llama, 32).size(), 32U);
    EXPECT_EQ(spread_blocks(llama, 99).size(), 32U);
}

TEST(Blocks, ComeInWholeTurnsOfThePattern) {
    const ModelShape gemma = named("gemma3:1b");  // every sixth of 26 sees the whole context
    EXPECT_EQ(block_period(gemma), 6);
    const auto few = spread_blocks(gemma, 7);
    ASSERT_EQ(few.size(), 12U);
    const ModelShape part = with_blocks(gemma, few);
    for (std::size_t i = 0; i < part.blocks.size(); ++i) EXPECT_EQ(part.blocks[i].sliding, i % 6 != 5) << i;
    EXPECT_EQ(block_period(named("qwen3-next:80b")), 4);  // every fourth attends
    EXPECT_EQ(block_period(named("gpt-oss:20b")), 2);
}

TEST(Blocks, KeepTheTypesOfTheWholeModel) {
    // Q4_K_M gives the first and last eighth of the blocks, and every third between them, values in Q6_K. Typed on
    // their own, two blocks of 32 would have other types.
    const ModelShape whole = named("llama3.1:8b");
    for (const std::int64_t count : {2, 4, 11}) {
        const auto blocks = spread_blocks(whole, count);
        const ModelShape part = with_blocks(whole, blocks);
        ASSERT_EQ(part.blocks.size(), blocks.size());
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const gguf::Tensor* mine = find(part, "blk." + std::to_string(i) + ".attn_v.weight");
            const gguf::Tensor* theirs = find(whole, "blk." + std::to_string(blocks[i]) + ".attn_v.weight");
            ASSERT_TRUE(mine != nullptr && theirs != nullptr);
            EXPECT_EQ(mine->type, theirs->type) << i;
            EXPECT_EQ(mine->bytes, theirs->bytes) << i;
        }
        EXPECT_EQ(find(part, "blk." + std::to_string(blocks.size()) + ".attn_v.weight"), nullptr);
        EXPECT_NE(find(part, "token_embd.weight"), nullptr);
        EXPECT_NE(find(part, "output.weight"), nullptr);
    }
}

TEST(Blocks, CountTheDenseOnesInFront) {
    const ModelShape deepseek = named("deepseek-v2:16b");  // the first of 27 is dense
    EXPECT_EQ(deepseek.leading_dense_blocks, 1);
    EXPECT_EQ(spread_blocks(deepseek, 2).size(), 27U);  // the engine takes no fewer
    EXPECT_EQ(with_blocks(deepseek, {0, 13}).leading_dense_blocks, 1);
    EXPECT_EQ(with_blocks(deepseek, {6, 20}).leading_dense_blocks, 0);
}

}  // namespace velollm::model::blocks_test
