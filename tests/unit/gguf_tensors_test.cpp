#include <gtest/gtest.h>
#include <malloc.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "gguf/writer.h"
#include "support/gguf_writer.h"
#include "support/temp_folder.h"

namespace velollm::gguf::gguf_tensors_test {
namespace {

using test::GgufWriter;
using test::TempFolder;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4_0 = 2;

GgufWriter named() {
    GgufWriter writer;
    writer.str("general.architecture", "llama");
    return writer;
}

Result<Header> parse(std::string_view bytes, std::uint64_t file_bytes) {
    auto result = parse_header(bytes, file_bytes, "m.gguf");
    if (!result) return Error{ErrorCode::kFailed, "asks for more than the whole file", ""};
    return *result;
}

Result<Header> parse(const std::string& bytes) {
    return parse(bytes, bytes.size());
}

std::string message(const Result<Header>& result) {
    return result ? "no error" : result.error().message;
}

Tensor tensor(std::string name, std::uint32_t type, std::int64_t row, std::int64_t rows = 1,
              std::int64_t matrices = 1) {
    return {.name = std::move(name), .shape = {row, rows, matrices, 1}, .type = type};
}

TEST(GgufTensors, TheListHasEveryTensorInTheOrderOfTheFile) {
    const auto header = parse(
        named().tensor("b", {64, 3}, kF32, 768).tensor("a", {32, 2, 4}, kQ4_0, 144).tensor("s", {}, kF32, 4).file());
    ASSERT_TRUE(header) << message(header);
    ASSERT_EQ(header->tensor_list.size(), 3u);
    EXPECT_EQ(header->tensor_list[0].name, "b");
    EXPECT_EQ(header->tensor_list[0].shape, (std::array<std::int64_t, 4>{64, 3, 1, 1}));
    EXPECT_EQ(header->tensor_list[0].bytes, 768);
    EXPECT_EQ(header->tensor_list[1].name, "a");
    EXPECT_EQ(header->tensor_list[1].shape, (std::array<std::int64_t, 4>{32, 2, 4, 1}));
    EXPECT_EQ(header->tensor_list[1].type, kQ4_0);
    EXPECT_EQ(header->tensor_list[1].offset, 768);
    EXPECT_EQ(header->tensor_list[1].bytes, 144);
    EXPECT_EQ(header->tensor_list[2].shape, (std::array<std::int64_t, 4>{1, 1, 1, 1}));
}

TEST(GgufTensors, DimensionsOfOneAtTheEndDoNotCount) {
    EXPECT_EQ(dimension_count(tensor("t", kF32, 4)), 1u);
    EXPECT_EQ(dimension_count(tensor("t", kF32, 1)), 1u);
    EXPECT_EQ(dimension_count(tensor("t", kF32, 4, 3)), 2u);
    EXPECT_EQ(dimension_count(tensor("t", kF32, 4, 1, 2)), 3u);
}

TEST(GgufTensors, ATensorWithinAnotherIsRefusedEvenWhereThereIsRoom) {
    const auto overlapping = named()
                                 .tensor_at("large", {256}, kF32, 0)
                                 .tensor_at("inside", {8}, kF32, 512)
                                 .tensor_at("far", {8}, kF32, 8192)
                                 .header();
    EXPECT_EQ(message(parse(overlapping + std::string(16384, '\0'))),
              "Corrupt GGUF: m.gguf: tensor \"large\" overlaps tensor \"inside\"");
    const auto apart = named().tensor_at("b", {8}, kF32, 1024).tensor_at("a", {256}, kF32, 0).header();
    EXPECT_TRUE(parse(apart + std::string(16384, '\0')));
}

TEST(GgufTensors, ANameLongerThanAnyIsRefused) {
    EXPECT_TRUE(parse(named().tensor(std::string(255, 'n'), {4}, kF32, 16).file()));
    const auto refused = parse(named().tensor(std::string(256, 'n'), {4}, kF32, 16).file());
    EXPECT_TRUE(message(refused).ends_with("has a name of 256 characters")) << message(refused);
    const auto absurd = named().header() + GgufWriter::number(1ULL << 60U, 8) + std::string(64, '\0');
    std::string one_claimed = absurd;
    one_claimed[8] = 1;
    EXPECT_EQ(message(parse(one_claimed)), "Corrupt GGUF: m.gguf: the name of tensor 1 of 1 is impossibly long");
}

TEST(GgufTensors, TheLargestListTakesLessThan64MiB) {
    constexpr int kMost = 1 << 16;
    GgufWriter writer = named();
    const std::string padding(240, 'n');
    for (int i = 0; i < kMost; ++i) writer.tensor(padding + std::to_string(i), {8}, kF32, 32);
    const std::string bytes = writer.header();
    const auto in_use = [] {
        const auto heap = mallinfo2();
        return heap.uordblks + heap.hblkhd;
    };
    const std::size_t before = in_use();
    const auto header = parse(bytes, bytes.size() + kMost * 32 + 64);
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->tensor_list.size(), static_cast<std::size_t>(kMost));
    EXPECT_LT(in_use() - before, std::size_t{64} << 20U);

    EXPECT_EQ(message(parse(named().start(kMost + 1, 0) + std::string(64, '\0'))),
              "Corrupt GGUF: m.gguf: it claims to have 65537 tensors");
}

TEST(GgufHyperparameters, ReadAsNumbersOrBlockByBlock) {
    GgufWriter writer = named();
    writer.u32s("llama.attention.head_count", {8, 4}).u32("llama.attention.head_count_kv", 2);
    writer.raw("llama.attention.sliding_window_pattern", 9,
               GgufWriter::number(7, 4) + GgufWriter::number(3, 8) + std::string("\1\0\1", 3));
    writer.u32("llama.attention.kv_lora_rank", 512).u32("llama.ssm.state_size", 128);
    writer.str("llama.leading_dense_block_count", "one");
    const auto header = parse(writer.tensor("t", {4}, kF32, 16).file());
    ASSERT_TRUE(header) << message(header);
    const Hyperparameters& h = header->hyperparameters;
    EXPECT_EQ(h.heads, (PerBlock{8, 4}));
    EXPECT_EQ(h.kv_heads, (PerBlock{2}));
    EXPECT_EQ(h.sliding_pattern, (PerBlock{1, 0, 1}));
    EXPECT_EQ(h.kv_lora_rank, 512);
    EXPECT_EQ(h.state_size, 128);
    EXPECT_EQ(h.leading_dense_blocks, std::nullopt);
    EXPECT_EQ(h.q_lora_rank, std::nullopt);
    EXPECT_TRUE(h.feed_forward.empty());
}

TEST(GgufHyperparameters, AListLongerThanAnyModelIsLeftOut) {
    GgufWriter writer = named();
    writer.u32s("llama.feed_forward_length", std::vector<std::uint32_t>(kMaxBlocks + 1, 7));
    const auto header = parse(writer.tensor("t", {4}, kF32, 16).file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_TRUE(header->hyperparameters.feed_forward.empty());
}

TEST(GgufHeaderWriter, WhatItWritesReadsBack) {
    const std::vector<Item> metadata{
        {"general.architecture", std::string("qwen3")},
        {"general.file_type", 15U},
        {"qwen3.block_count", 2U},
        {"qwen3.attention.head_count", Item::Numbers{8, 4}},
        {"qwen3.attention.layer_norm_rms_epsilon", 1e-6F},
        {"qwen3.attention.sliding_window_pattern", Item::Flags{true, false}},
        {"qwen3.rope.scaling.finetuned", true},
    };
    const auto written = write_header(metadata, {tensor("token_embd.weight", kQ4_0, 64, 5), tensor("norm", kF32, 3),
                                                 tensor("blk.0.ffn_up_exps.weight", kQ4_0, 32, 2, 4)});
    ASSERT_TRUE(written) << written.error().message;
    const auto header = parse(written->bytes, static_cast<std::uint64_t>(written->file_bytes));
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->architecture, "qwen3");
    EXPECT_EQ(header->quantization, "Q4_K_M");
    EXPECT_EQ(header->blocks, 2);
    EXPECT_EQ(header->hyperparameters.heads, (PerBlock{8, 4}));
    EXPECT_EQ(header->hyperparameters.sliding_pattern, (PerBlock{1, 0}));
    EXPECT_EQ(header->data_offset, written->data_offset);
    ASSERT_EQ(header->tensor_list.size(), 3u);
    EXPECT_EQ(header->tensor_list[1].offset, 192);  // 5 rows of 2 blocks of 18 bytes, padded to 32
    EXPECT_EQ(header->tensor_list[2].shape, (std::array<std::int64_t, 4>{32, 2, 4, 1}));
    EXPECT_EQ(header->tensor_list[2].offset, 224);
    EXPECT_EQ(written->file_bytes, written->data_offset + 224 + 160);  // llama.cpp pads the last one as well
}

TEST(GgufHeaderWriter, RefusesWhatNoFileCanHold) {
    EXPECT_FALSE(write_header({}, {tensor("t", kQ4_0, 33)}));
    EXPECT_FALSE(write_header({}, {tensor("t", 4000, 32)}));
    EXPECT_FALSE(write_header({}, {tensor("t", kF32, std::int64_t{1} << 40U, std::int64_t{1} << 40U)}));
    EXPECT_FALSE(
        write_header({}, {tensor("a", kF32, std::int64_t{1} << 60U), tensor("b", kF32, std::int64_t{1} << 60U)}));
}

TEST(GgufHeaderWriter, AFileOfManyGigabytesTakesAFewKilobytes) {
    const TempFolder folder;
    const auto path = folder.path() / "large.gguf";
    const auto written = write_header({{"general.architecture", std::string("llama")}},
                                      {tensor("token_embd.weight", kF32, 1 << 20U, 1 << 14U)});
    ASSERT_TRUE(written);
    const auto done = write_sparse_file(path, *written);
    ASSERT_TRUE(done) << done.error().message;
    const auto file = read_model_file(path);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->file_bytes, written->file_bytes);
    EXPECT_EQ(file->header.tensor_bytes, std::int64_t{1} << 36U);
    EXPECT_FALSE(write_sparse_file(folder.path() / "none" / "m.gguf", *written));
}

}  // namespace
}  // namespace velollm::gguf::gguf_tensors_test
