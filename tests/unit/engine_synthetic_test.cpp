#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "backend/engine_pace.h"
#include "backend/noise.h"
#include "gguf/gguf.h"
#include "gguf/tensor_types.h"
#include "model/blocks.h"
#include "model/catalogue.h"
#include "model/memory.h"
#include "model/pace_rounds.h"
#include "model/synthetic_file.h"

namespace velollm::model::synthetic_test {

ModelShape named(const char* name, const char* mix = "") {
    auto shape = named_shape(name, mix);
    EXPECT_TRUE(shape) << name;
    return *shape;
}

TEST(Synthetic, BlocksMakeModelsThatTheEngineTakes) {
    for (const char* name : {"llama3.2:1b", "gemma3:1b", "qwen3:30b-a3b", "deepseek-v3:671b", "gpt-oss:20b",
                             "granite3.1-moe:1b", "qwen3-next:80b", "llama4:scout", "command-r7b", "phi3:mini-4k"}) {
        const ModelShape whole = named(name);
        for (const std::int64_t share : {8, 3}) {
            const auto count = static_cast<std::int64_t>(whole.blocks.size()) / share;
            const ModelShape part = with_blocks(whole, spread_blocks(whole, count));
            ASSERT_LT(part.blocks.size(), whole.blocks.size()) << name;
            const auto asked = memory_by_engine(part, {});
            ASSERT_TRUE(asked) << name << ": " << asked.error().message;
            EXPECT_EQ(asked->host.cache_bytes, cache_bytes(part, {})) << name;
        }
    }
}

TEST(Synthetic, NoiseHasTheSizeOfItsTypeAndTheSameSeedTheSameRows) {
    const auto rows = backend::noise_rows(gguf::types::kQ4_K, 512, 3, 1);
    ASSERT_TRUE(rows);
    EXPECT_EQ(rows->size(), 3U * 2 * 144);
    EXPECT_EQ(*rows, *backend::noise_rows(gguf::types::kQ4_K, 512, 3, 1));
    EXPECT_NE(*rows, *backend::noise_rows(gguf::types::kQ4_K, 512, 3, 2));
    EXPECT_NE(rows->substr(0, 288), rows->substr(288, 288));  // no row like another
    const auto floats = backend::noise_rows(gguf::types::kF32, 1024, 64, 3);
    double squares = 0;
    for (std::size_t i = 0; i < 65536; ++i) {
        float value = 0;
        std::memcpy(&value, floats->data() + 4 * i, 4);
        squares += static_cast<double>(value) * static_cast<double>(value);
    }
    EXPECT_NEAR(squares / 65536 * 1024, 1, 0.03);  // variance 1 / row length
    EXPECT_FALSE(backend::noise_rows(gguf::types::kQ4_K, 500, 1, 1));
    EXPECT_FALSE(backend::noise_rows(16, 512, 1, 1));  // IQ2_XXS needs an importance matrix
    EXPECT_FALSE(backend::noise_rows(9999, 512, 1, 1));
}

TEST(Synthetic, TheFileIsTheModelButForItsWeights) {
    const auto folder = std::filesystem::temp_directory_path();
    for (const char* name : {"smollm2:135m", "granite3.1-moe:1b"}) {
        const ModelShape whole = named(name, "Q8_0");
        const ModelShape shape = with_blocks(whole, spread_blocks(whole, 2));
        const auto file = SyntheticFile::write(shape, folder, {});
        ASSERT_TRUE(file) << name;
        const auto read = gguf::read_model_file(file->path());
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->file_bytes, file->bytes());
        EXPECT_EQ(read->header.tensor_list.size(), shape.tensors.size());
        EXPECT_EQ(read->header.quantization, "Q8_0");
        EXPECT_EQ(read->header.blocks, 2);
    }
}

TEST(Synthetic, StopsWhenAsked) {
    const auto file =
        SyntheticFile::write(named("smollm2:135m"), std::filesystem::temp_directory_path(), [] { return true; });
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, ErrorCode::kInterrupted);
}

TEST(Synthetic, TheEngineRunsIt) {
    const ModelShape whole = named("smollm2:135m", "Q4_0");
    const auto file = SyntheticFile::write(with_blocks(whole, {0, 29}), std::filesystem::temp_directory_path(), {});
    ASSERT_TRUE(file);
    const backend::PaceSpec spec{.file = file->path(), .depth = 40, .prefill_tokens = 16, .decode_time = Ns{1}};
    const auto sample = backend::time_engine(spec, {});
    ASSERT_TRUE(sample) << sample.error().message;
    EXPECT_EQ(sample->prefill.tokens, 16);
    EXPECT_EQ(sample->decode.tokens, 8);  // at least so many, however short the time
    EXPECT_GT(sample->prefill.time, Ns{0});
    EXPECT_GT(sample->decode.time, Ns{0});
    EXPECT_GE(sample->decode.others_cores, 0);
    const auto stopped = backend::time_engine(spec, [] { return true; });
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
}

TEST(Synthetic, WhatTheEngineRefusesIsAnError) {
    const auto sample = backend::time_engine({.file = "/nowhere/model.gguf"}, {});
    ASSERT_FALSE(sample);
    EXPECT_NE(sample.error().message.find("The engine could not run a model of this shape"), std::string::npos);
}

TEST(Rounds, TakeFilesInTurnAndTurnBack) {
    const ModelShape whole = named("smollm2:135m", "Q4_0");
    const auto file = SyntheticFile::write(with_blocks(whole, {0}), std::filesystem::temp_directory_path(), {});
    ASSERT_TRUE(file);
    std::vector<int> told;
    const backend::PaceSpec spec{.prefill_tokens = 4, .decode_time = Ns{1}};
    const auto paces = time_in_rounds({file->path(), file->path()}, spec, {.rounds = 2, .most_others_cores = 1e9},
                                      [&](int done) { told.push_back(done); }, {});
    ASSERT_TRUE(paces);
    EXPECT_EQ(told, (std::vector<int>{0, 1, 2, 3}));
    for (const FilePaces& one : *paces) {
        EXPECT_EQ(one.prefill.size(), 2U);
        EXPECT_EQ(one.decode.size(), 2U);
    }
    // A machine that is never quiet enough is refused.
    const auto busy =
        time_in_rounds({file->path()}, spec, {.rounds = 1, .most_others_cores = -1, .most_tries = 2}, {}, {});
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().message.find("The machine is busy: others used "), 0U);
}

}  // namespace velollm::model::synthetic_test
