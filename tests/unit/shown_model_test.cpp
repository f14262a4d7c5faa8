#include "backend/shown_model.h"

#include <gtest/gtest.h>

#include <string>

#include "gguf/tensor_types.h"
#include "model/memory.h"
#include "model/shape.h"
#include "model/speed.h"
#include "support/gguf_writer.h"
#include "support/trace.h"
#include "wire/ollama_show.h"

namespace velollm::backend::shown_model_test {

std::string recorded(const char* version) {
    std::string body;
    for (const auto& [at, data] : test::read_trace(fmt::format("ollama-{}/show.jsonl", version)).chunks) body += data;
    return body;
}

/// An answer with these members of model_info, and this list of tensors.
std::string answer(const std::string& info, const std::string& tensors) {
    return R"({"model_info":{)" + info + R"(},"tensors":[)" + tensors + "]}";
}

const char* const kInfo =
    R"("general.architecture":"llama","general.file_type":2,"general.alignment":64,"general.languages":null,)"
    R"("llama.block_count":2,)"
    R"("llama.context_length":4096,"llama.embedding_length":64,"llama.attention.head_count":[4,4],)"
    R"("llama.attention.head_count_kv":[2,1],"llama.feed_forward_length":128,"llama.rope.freq_base":10000,)"
    R"("llama.attention.layer_norm_rms_epsilon":1e-05,"general.parameter_count":123456789012,)"
    R"("tokenizer.ggml.tokens":["a","b"],"tokenizer.ggml.scores":[0.5,-1],"tokenizer.ggml.add_bos_token":true)";
const char* const kTensors = R"({"name":"token_embd.weight","type":"Q4_0","shape":[64,2]},)"
                             R"({"name":"blk.0.attn_q.weight","type":"F32","shape":[64,64]},)"
                             R"({"name":"blk.1.attn_norm.weight","type":"F32","shape":[64]})";

TEST(ShownModel, IsTheSameAsItsFile) {
    test::GgufWriter file;
    file.str("general.architecture", "llama").u32("general.file_type", 2).u32("llama.block_count", 2);
    file.u32("llama.context_length", 4096).u32("llama.embedding_length", 64);
    file.u32s("llama.attention.head_count", {4, 4}).u32s("llama.attention.head_count_kv", {2, 1});
    file.u32("llama.feed_forward_length", 128).strs("tokenizer.ggml.tokens", {"a", "b"});
    file.tensor("token_embd.weight", {64, 2}, gguf::types::kQ4_0, 72);
    file.tensor("blk.0.attn_q.weight", {64, 64}, gguf::types::kF32, 4 * 64 * 64);
    file.tensor("blk.1.attn_norm.weight", {64}, gguf::types::kF32, 4 * 64);
    const std::string bytes = file.file();
    const auto read = gguf::parse_header(bytes, bytes.size(), "tiny.gguf");
    ASSERT_TRUE(read && *read) << read->error().message;
    const gguf::Header& of_file = **read;
    const auto shown = shown_header(answer(kInfo, kTensors), "tiny");
    ASSERT_TRUE(shown) << shown.error().message;
    EXPECT_EQ(shown->name, "tiny");
    EXPECT_EQ(shown->quantization, "Q4_0");
    EXPECT_EQ(shown->vocab_size, of_file.vocab_size);
    EXPECT_EQ(shown->parameters, of_file.parameters);
    EXPECT_EQ(shown->tensor_bytes, of_file.tensor_bytes);
    EXPECT_EQ(shown->tied_embeddings, true);
    EXPECT_EQ(shown->hyperparameters.kv_heads, of_file.hyperparameters.kv_heads);
    const auto a = model::shape_of(*shown);
    const auto b = model::shape_of(of_file);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(model::shape_key(*a), model::shape_key(*b));
    const auto x = model::memory_by_formula(*a, {});
    const auto y = model::memory_by_formula(*b, {});
    EXPECT_EQ(x.host.total_bytes(), y.host.total_bytes());
    EXPECT_EQ(x.host.cache_bytes, y.host.cache_bytes);
}

TEST(ShownModel, OfRealServersIsRead) {
    for (const char* version : {"0.24.0", "0.32.15"}) {
        const auto header = shown_header(recorded(version), "smollm2:135m");
        ASSERT_TRUE(header) << header.error().message;
        EXPECT_EQ(header->architecture, "llama");
        EXPECT_EQ(header->quantization, "Q4_1");
        EXPECT_EQ(header->blocks, 30);
        EXPECT_EQ(header->tensors, 272);
        EXPECT_EQ(header->parameters, 134515008);
        EXPECT_EQ(header->vocab_size, 49152);
    }
}

TEST(ShownModel, HasMxfp4ByTheNumberOfItsFile) {
    const std::string tensor = R"({"name":"token_embd.weight","type":"MXFP4","shape":[64,2]})";
    const std::string start = R"("general.architecture":"gptoss","general.file_type":)";
    EXPECT_EQ(shown_header(answer(start + "4", tensor), "m")->tensor_list.front().type, 4U);
    EXPECT_EQ(shown_header(answer(start + "38", tensor), "m")->tensor_list.front().type, gguf::types::kMXFP4);
}

TEST(ShownModel, ThatNoFileCouldHoldIsAnError) {
    const std::string info = kInfo;
    const std::string fine = kTensors;
    const auto tensor = [](const std::string& type, const std::string& shape) {
        return R"({"name":"x","type":")" + type + R"(","shape":)" + shape + "}";
    };
    for (const std::string& bad :
         {std::string(),
          std::string("{}"),
          std::string("[1,2"),
          answer(info, ""),
          answer("", fine),
          answer(R"("general.architecture":7)", fine),
          answer(info + R"(,"llama.expert_count":-1)", fine),
          answer(info + R"(,"llama.expert_count":1e300)", fine),
          answer(info + R"(,"x":{"y":1})", fine),
          answer(info + R"(,"llama.block_count":3)", fine),
          answer(info, tensor("Q9_9", "[64]")),
          answer(info, tensor("F32", "[-1]")),
          answer(info, tensor("F32", "[1,1,1,1,1]")),
          answer(info, tensor("F32", "[4611686018427387904,4]")),
          answer(info, tensor("Q4_K", "[255]")),
          answer(info, tensor("F32", "[1.5]")),
          answer(info, tensor("F32", "7")),
          answer(info, R"({"name":"x"})"),
          answer(info, fine + "," + fine),
          answer(info, "null"),
          answer(info, fine).substr(0, 300),
          answer(info, R"({"name":")" + std::string(300, 'a') + R"(","type":"F32","shape":[1]})"),
          std::string(5000, '[')}) {
        const auto header = shown_header(bad, "m");
        EXPECT_FALSE(header) << bad.substr(0, 200);
        if (header) continue;
        EXPECT_TRUE(header.error().message.starts_with("What Ollama says of m can't be used")) << bad.substr(0, 200);
    }
}

TEST(ShownModel, WithTooManyEntriesIsAnError) {
    std::string tensors = kTensors;
    for (std::size_t i = 0; i < wire::kMaxShownEntries; ++i) tensors += R"(,{"name":"x","type":"F32","shape":[]})";
    EXPECT_FALSE(wire::read_ollama_show(answer(kInfo, tensors)));
}

}  // namespace velollm::backend::shown_model_test
