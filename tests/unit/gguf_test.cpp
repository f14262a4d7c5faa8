#include "gguf/gguf.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/gguf_writer.h"

namespace velollm::gguf::gguf_test {
namespace {

using test::GgufWriter;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4_0 = 2;
constexpr std::uint32_t kQ6_K = 14;

GgufWriter named(std::uint32_t version = 3, std::uint64_t alignment = 32) {
    GgufWriter writer(version, alignment);
    writer.str("general.architecture", "llama");
    return writer;
}

GgufWriter small_model(std::uint32_t version = 3) {
    GgufWriter writer = named(version);
    writer.str("general.type", "model").str("general.name", "Tiny").u32("general.file_type", 15);
    writer.u32("llama.block_count", 2).u32("llama.embedding_length", 64).u32("llama.context_length", 128);
    writer.u32("llama.attention.head_count", 4).u32("llama.attention.head_count_kv", 2);
    writer.strs("tokenizer.ggml.tokens", {"<s>", "a", ""}).str("tokenizer.chat_template", "{{ m }}");
    writer.tensor("token_embd.weight", {64, 3}, kF32, 768).tensor("blk.0.attn_q.weight", {64, 64}, kQ4_0, 2304);
    return writer;
}

/// A model of one tensor with this many floats.
GgufWriter one_tensor(std::uint64_t floats) {
    return named().tensor("t", {floats}, kF32, floats * 4);
}

Result<Header> parse(std::string_view bytes) {
    auto result = parse_header(bytes, bytes.size(), "m.gguf");
    if (!result) return Error{ErrorCode::kFailed, "asks for more than the whole file", ""};
    return *result;
}

std::string message(const Result<Header>& result) {
    return result ? "no error" : result.error().message;
}

TEST(Gguf, ReadsTheShapeOfAModel) {
    const auto header = parse(small_model().file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->version, 3u);
    EXPECT_EQ(header->architecture, "llama");
    EXPECT_EQ(header->kind, "model");
    EXPECT_EQ(header->name, "Tiny");
    EXPECT_EQ(header->quantization, "Q4_K_M");
    EXPECT_EQ(header->blocks, 2);
    EXPECT_EQ(header->embedding_length, 64);
    EXPECT_EQ(header->context_length, 128);
    EXPECT_EQ(header->heads, 4);
    EXPECT_EQ(header->kv_heads, 2);
    EXPECT_EQ(header->key_length, 16);
    EXPECT_EQ(header->value_length, 16);
    EXPECT_EQ(header->vocab_size, 3);
    EXPECT_TRUE(header->has_chat_template);
    EXPECT_EQ(header->parts, 1);
    EXPECT_EQ(header->experts, std::nullopt);
    EXPECT_EQ(header->sliding_window, std::nullopt);
}

TEST(Gguf, AddsUpItsTensors) {
    const auto header = parse(small_model().file());
    ASSERT_TRUE(header);
    EXPECT_EQ(header->tensors, 2);
    EXPECT_EQ(header->parameters, 64 * 3 + 64 * 64);
    EXPECT_EQ(header->tensor_bytes, 768 + 64 * 64 / 32 * 18);
    EXPECT_EQ(header->data_offset, static_cast<std::int64_t>(small_model().data_offset()));
    EXPECT_EQ(header->required_bytes, static_cast<std::int64_t>(small_model().file().size()));
}

TEST(Gguf, Version2ReadsAsVersion3) {
    const auto header = parse(small_model(2).file());
    ASSERT_TRUE(header);
    EXPECT_EQ(header->version, 2u);
    EXPECT_EQ(header->parameters, 4288);
}

TEST(Gguf, ADataOffsetHonoursTheAlignment) {
    GgufWriter writer = named(3, 4096);
    writer.u32("general.alignment", 4096).tensor("a", {1}, kF32, 4).tensor("b", {2}, kF32, 8);
    const auto header = parse(writer.file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->data_offset, 4096);
    EXPECT_EQ(header->required_bytes, 4096 + 4096 + 8);
    EXPECT_EQ(header->tensor_bytes, 12);
}

TEST(Gguf, AnUnstatedFileTypeIsTheTypeOfMostBytes) {
    GgufWriter writer = named();
    writer.tensor("a", {512}, kQ6_K, 420).tensor("b", {64}, kF32, 256);
    EXPECT_EQ(parse(writer.file())->quantization, "Q6_K");
    writer.u32("general.file_type", 999);
    EXPECT_EQ(parse(writer.file())->quantization, "Q6_K");
}

TEST(Gguf, AModelWithoutAnOutputLayerIsTied) {
    GgufWriter writer = named();
    writer.tensor("token_embd.weight", {4}, kF32, 16);
    EXPECT_EQ(parse(writer.file())->tied_embeddings, true);
    EXPECT_EQ(parse(writer.tensor("output.weight", {4}, kF32, 16).file())->tied_embeddings, false);
    EXPECT_EQ(parse(one_tensor(4).file())->tied_embeddings, std::nullopt);
}

TEST(Gguf, HeadCountsMayDifferFromBlockToBlock) {
    GgufWriter writer = named();
    writer.u32("llama.block_count", 4).u32s("llama.attention.head_count", {8, 16, 8, 8});
    writer.u32s("llama.attention.head_count_kv", {0, 4, 0, 2}).tensor("t", {4}, kF32, 16);
    const auto header = parse(writer.file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->heads, 16);
    EXPECT_EQ(header->kv_heads, 4);
    EXPECT_EQ(header->key_length, std::nullopt);  // no embedding length to take it from
}

TEST(Gguf, WithoutItsOwnCountEveryHeadHasItsOwnKeys) {
    GgufWriter writer = named();
    writer.u32("llama.block_count", 3).u32("llama.attention.head_count", 8).tensor("t", {4}, kF32, 16);
    EXPECT_EQ(parse(writer.file())->kv_heads, 8);
}

TEST(Gguf, StatedHeadLengthsWinOverTheQuotient) {
    GgufWriter writer = small_model();
    writer.u32("llama.attention.key_length", 128).u32("llama.attention.value_length", 32);
    writer.u32("llama.attention.sliding_window", 512);
    const auto header = parse(writer.file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->key_length, 128);
    EXPECT_EQ(header->value_length, 32);
    EXPECT_EQ(header->sliding_window, 512);
}

TEST(Gguf, ExpertsAreCounted) {
    GgufWriter writer = named();
    writer.u32("llama.expert_count", 8).u32("llama.expert_used_count", 2);
    writer.tensor("blk.0.ffn_up_exps.weight", {32, 2, 8}, kQ4_0, 288)
        .tensor("blk.0.ffn_up_shexp.weight", {4}, kF32, 16);
    const auto header = parse(writer.file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->experts, 8);
    EXPECT_EQ(header->experts_used, 2);
    EXPECT_EQ(header->tensor_bytes, 304);
}

TEST(Gguf, OllamasFirstMxfp4FilesRead) {
    GgufWriter writer = named();
    writer.u32("general.file_type", 4).tensor("t", {64}, 4, 34);
    const auto header = parse(writer.file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->quantization, "MXFP4");
    EXPECT_EQ(header->tensor_bytes, 34);
}

TEST(Gguf, TheFirstPartOfASplitModelReadsAndTheOthersNameIt) {
    GgufWriter first = small_model();
    first.raw("split.count", 2, GgufWriter::number(3, 2)).raw("split.no", 2, GgufWriter::number(0, 2));
    const auto header = parse(first.file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->parts, 3);
    EXPECT_EQ(header->tied_embeddings, std::nullopt);  // the output layer may be in another part

    GgufWriter second;
    second.raw("split.count", 2, GgufWriter::number(3, 2)).raw("split.no", 2, GgufWriter::number(1, 2));
    second.tensor("blk.9.attn_q.weight", {4}, kF32, 16);
    const auto refused = parse(second.file());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "m.gguf is part 2 of a model that is split into 3 files");
    EXPECT_EQ(refused.error().hint, "Give the first part; its name ends in -00001-of-00003.gguf.");
}

TEST(Gguf, TheFirstPartMayHoldNoTensors) {
    GgufWriter writer = named();
    const auto header = parse(writer.u32("split.count", 2).u32("split.no", 0).header());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->parameters, 0);
    EXPECT_EQ(header->quantization, "");
    EXPECT_EQ(header->required_bytes, static_cast<std::int64_t>(writer.header().size()));
}

TEST(Gguf, EveryTruncationIsAnErrorThatSaysSo) {
    const std::string whole = small_model().file();
    for (std::size_t size = 1; size < whole.size(); ++size) {
        const auto header = parse(std::string_view(whole).substr(0, size));
        ASSERT_FALSE(header) << size;
        EXPECT_TRUE(header.error().message.starts_with("Truncated GGUF: m.gguf ")) << size << ": " << message(header);
    }
}

TEST(Gguf, AsksForMoreBytesExactlyWhileTheHeaderGoesOn) {
    const std::string whole = small_model().file();
    const std::size_t header_size = small_model().header().size();
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        const auto result = parse_header(std::string_view(whole).substr(0, size), whole.size(), "m.gguf");
        ASSERT_EQ(result.has_value(), size >= header_size) << size;
        EXPECT_TRUE(!result || *result) << size;
    }
    EXPECT_FALSE(parse_header(std::string_view(whole).substr(0, header_size - 1), header_size, "m.gguf"));
    EXPECT_FALSE(parse_header("<ht", 1000, "m.gguf"));  // what kind of file this is takes more bytes to tell
}

TEST(Gguf, SaysHowMuchOfTheDataIsMissing) {
    const GgufWriter writer = one_tensor(24'600'000);
    const auto result = parse_header(writer.header(), 50'000'000, "m.gguf");
    ASSERT_TRUE(result.has_value());
    ASSERT_FALSE(*result);
    EXPECT_EQ(message(*result), "Truncated GGUF: m.gguf has 50.0 MB of 98.4 MB; the download stopped early");
    EXPECT_EQ(result->error().hint, "Download it again.");
}

TEST(Gguf, RefusesFormatsThatItCannotRead) {
    const auto refusal = [](std::uint32_t version) { return message(parse(small_model(version).file())); };
    EXPECT_EQ(refusal(1), "Unsupported GGUF: m.gguf has version 1, which llama.cpp gave up in 2023");
    EXPECT_EQ(refusal(4), "Unsupported GGUF: m.gguf has version 4; this program reads 2 and 3");
    EXPECT_EQ(refusal(0x03000000), "Unsupported GGUF: m.gguf is big-endian, made for other processors");
    EXPECT_EQ(refusal(0), "Corrupt GGUF: m.gguf: its version is 0");
    EXPECT_EQ(message(parse(GgufWriter().tensor("t", {1}, kF32, 4).file())),
              "Corrupt GGUF: m.gguf: it names no architecture (key \"general.architecture\")");
    EXPECT_EQ(message(parse(named().file())), "m.gguf holds a vocabulary without weights");
    EXPECT_EQ(message(parse(named().tensor("t", {32}, 31, 18).file())),
              "Unsupported GGUF: m.gguf: tensor \"t\" has the type Q4_0_4_4, which llama.cpp has given up");
    EXPECT_EQ(message(parse(named().tensor("t", {32}, 43, 18).file())),
              "Unsupported GGUF: m.gguf: tensor \"t\" has the type 43, which llama.cpp 0.5.0 doesn't know");
}

struct Hostile {
    std::string bytes;
    std::string complaint;  ///< after "Corrupt GGUF: m.gguf: "
};

void expect_corrupt(const std::vector<Hostile>& cases) {
    for (const Hostile& hostile : cases)
        EXPECT_EQ(message(parse(hostile.bytes)), "Corrupt GGUF: m.gguf: " + hostile.complaint);
}

std::string array(std::uint32_t type, std::uint64_t count) {
    return GgufWriter::number(type, 4) + GgufWriter::number(count, 8);
}

TEST(Gguf, HostileCountsAndLengthsAreRefused) {
    const std::string zeros(64, '\0');
    const GgufWriter writer;
    expect_corrupt({
        {writer.start(1ULL << 63U, 0) + zeros, "it claims to have 9223372036854775808 tensors"},
        {writer.start(1, 1ULL << 63U) + zeros, "it claims to have 9223372036854775808 metadata keys"},
        {writer.start(0, 1) + GgufWriter::number(~0ULL, 8) + zeros, "key 1 of 1 is impossibly long"},
        {named().raw("a", 8, GgufWriter::number(~0ULL, 8)).header() + zeros, "key \"a\" is impossibly long"},
        {named().raw("a", 9, array(4, 1ULL << 62U)).header() + zeros, "key \"a\" is impossibly long"},
        {named().raw("a", 9, array(10, 1ULL << 61U)).header() + zeros, "key \"a\" is impossibly long"},
        {named().raw("a", 9, array(9, 2)).header() + zeros, "key \"a\" holds an array of arrays"},
        {named().raw("a", 13, "").header() + zeros, "key \"a\" has the unknown type 13"},
        {named().raw("a", 9, array(77, 2)).header() + zeros, "key \"a\" has the unknown type 77"},
    });
    // 2^64 texts are no length of their own: the bytes end first.
    const auto texts = parse(named().raw("a", 9, array(8, ~0ULL)).header() + zeros);
    EXPECT_TRUE(message(texts).starts_with("Truncated GGUF")) << message(texts);
}

TEST(Gguf, ContradictionsInTheMetadataAreRefused) {
    const auto with = [](GgufWriter writer) { return writer.tensor("t", {4}, kF32, 16).file(); };
    const std::string minus_one = GgufWriter::number(~0ULL, 4);
    expect_corrupt({
        {with(named().u32("general.alignment", 0)), "key \"general.alignment\" is 0, which is no power of two"},
        {with(named().u32("general.alignment", 48)), "key \"general.alignment\" is 48, which is no power of two"},
        {with(named().str("general.alignment", "x")), "key \"general.alignment\" has a value of the wrong kind"},
        {with(named().raw("llama.block_count", 5, minus_one)),
         "key \"llama.block_count\" has a value of the wrong kind"},
        {with(named().u64("llama.block_count", ~0ULL)), "key \"llama.block_count\" has a value of the wrong kind"},
        {with(named().u32("general.name", 1)), "key \"general.name\" has a value of the wrong kind"},
        {with(named().u32("x", 1).u32("x", 1)), "key \"x\" stands there twice"},
        {with(named().u32("", 1)), "key 2 of 2 has no name"},
        {with(named().raw("\x1b[31m", 99, "")), "key \" [31m\" has the unknown type 99"},
    });
}

TEST(Gguf, ContradictionsInTheTensorListAreRefused) {
    const std::string zeros(512, '\0');
    const auto with = [&](const std::vector<std::uint64_t>& shape, std::uint32_t type, std::uint64_t offset) {
        return named().tensor_at("t", shape, type, offset).header() + zeros;
    };
    constexpr std::uint64_t kHalf = 1ULL << 32U;
    std::string one_claimed = named().header();
    one_claimed[8] = 1;  // the low byte of the number of tensors
    expect_corrupt({
        {with({1, 1, 1, 1, 1}, kF32, 0), "tensor \"t\" has 5 dimensions"},
        {with({33}, kQ4_0, 0), "tensor \"t\" has rows of 33 elements, not a multiple of 32 (Q4_0)"},
        {with({kHalf, kHalf}, kF32, 0), "tensor \"t\" is larger than any file"},
        {with({~0ULL}, kF32, 0), "tensor \"t\" is larger than any file"},
        {with({1ULL << 62U}, kF32, 0), "tensor \"t\" is larger than any file"},
        {with({4}, kF32, 16), "tensor \"t\" begins at 16, which isn't a multiple of 32"},
        {with({4}, kF32, ~0ULL - 31), "tensor \"t\" ends beyond the largest file"},
        {with({8}, kF32, (1ULL << 63U) - 32), "tensor \"t\" ends beyond the largest file"},
        {with({4}, kF32, (1ULL << 63U) - 32), "its data ends beyond the largest file"},
        {named().tensor_at("t", {4}, kF32, 0).tensor_at("t", {4}, kF32, 32).header() + zeros,
         "tensor \"t\" stands there twice"},
        {named().tensor_at("a", {4}, kF32, 0).tensor_at("b", {4}, kF32, 0).header() + zeros,
         "tensor \"a\" overlaps tensor \"b\""},
        {one_claimed + GgufWriter::number(~0ULL, 8) + zeros, "the name of tensor 1 of 1 is impossibly long"},
    });
}

TEST(Gguf, AnEmptyTensorAndAScalarAreTensors) {
    GgufWriter writer = named();
    const auto header = parse(writer.tensor("none", {0}, kF32, 0).tensor("scalar", {}, kF32, 4).file());
    ASSERT_TRUE(header) << message(header);
    EXPECT_EQ(header->parameters, 1);
    EXPECT_EQ(header->tensor_bytes, 4);
}

}  // namespace
}  // namespace velollm::gguf::gguf_test
