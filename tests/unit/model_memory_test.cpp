#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/compute.h"
#include "model/graph.h"
#include "model/memory.h"

namespace velollm::model::model_memory_test {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20U;

ModelShape named(const std::string& name, std::string_view mix = {}) {
    const auto shape = named_shape(name, mix);
    EXPECT_TRUE(shape) << shape.error().message;
    return shape ? *shape : ModelShape();
}

backend::MemorySettings with_context(std::int64_t tokens) {
    return {.context_tokens = tokens, .outputs = 1};
}

std::int64_t mib(std::int64_t bytes) {
    return std::lround(static_cast<double>(bytes) / static_cast<double>(kMiB));
}

/// A row of what llama.cpp's own accounting gave, in MiB: f16 cache, one sequence, batches of 512. 0: not tried.
struct Row {
    const char* name;
    const char* mix;
    std::int64_t weights, cache_4k, cache_32k, cache_128k;
    std::int64_t at;  ///< context of the following
    std::int64_t server, api, without_flash;
};

class EngineTable : public testing::TestWithParam<Row> {};

TEST_P(EngineTable, IsReachedByFormula) {
    const Row& row = GetParam();
    const ModelShape shape = named(row.name, row.mix);
    EXPECT_EQ(mib(tensor_bytes(shape.tensors)), row.weights);
    const auto cache = [&](std::int64_t tokens) { return mib(cache_bytes(shape, with_context(tokens))); };
    EXPECT_EQ(cache(4096), row.cache_4k);
    if (row.cache_32k > 0) {
        EXPECT_EQ(cache(32768), row.cache_32k);
    }
    if (row.cache_128k > 0) {
        EXPECT_EQ(cache(131072), row.cache_128k);
    }
    backend::MemorySettings settings = with_context(row.at);
    EXPECT_EQ(mib(compute_bytes(shape, settings)), row.server);
    settings.flash_attention = false;
    EXPECT_EQ(mib(compute_bytes(shape, settings)), row.without_flash);
    settings.flash_attention = true;
    settings.outputs = std::nullopt;
    EXPECT_EQ(mib(compute_bytes(shape, settings)), row.api);
}

INSTANTIATE_TEST_SUITE_P(Model, EngineTable,
                         testing::Values(Row{"llama3.2:1b", "Q4_K_M", 763, 128, 1024, 4096, 32768, 96, 259, 2134},
                                         Row{"llama3.2:1b", "Q8_0", 1252, 128, 1024, 4096, 32768, 96, 259, 2134},
                                         Row{"llama3.2:3b", "Q4_K_M", 1918, 448, 3584, 14336, 32768, 104, 263, 1634},
                                         Row{"llama3.1:8b", "Q4_K_M", 4685, 512, 4096, 16384, 32768, 148, 267, 2156},
                                         Row{"llama3.1:8b", "Q4_0", 4438, 512, 4096, 16384, 32768, 148, 267, 2156},
                                         Row{"llama3.1:70b", "Q4_K_M", 40543, 1280, 10240, 40960, 32768, 264, 283,
                                             4244},
                                         Row{"qwen2.5:0.5b", "Q4_K_M", 374, 48, 384, 0, 32768, 68, 300, 969},
                                         Row{"qwen2.5:7b", "Q4_K_M", 4460, 224, 1792, 0, 32768, 171, 311, 1893},
                                         Row{"qwen3:8b", "Q4_K_M", 4789, 576, 4608, 0, 32768, 136, 313, 2156},
                                         Row{"qwen3:30b-a3b", "Q4_K_M", 17691, 384, 3072, 0, 32768, 120, 305, 2142},
                                         Row{"gemma2:9b", "Q4_K_M", 5488, 1344, 0, 0, 8192, 126, 514, 334},
                                         Row{"gemma3:1b", "Q4_K_M", 762, 38, 150, 0, 32768, 82, 517, 335},
                                         Row{"gemma3:12b", "Q4_K_M", 6956, 736, 2528, 8672, 32768, 154, 527, 1146},
                                         Row{"mistral:7b", "Q4_K_M", 4170, 512, 4096, 0, 32768, 148, 148, 2156},
                                         Row{"mixtral:8x7b", "Q4_K_M", 27130, 512, 4096, 0, 32768, 232, 232, 2156},
                                         Row{"phi3.5", "Q4_K_M", 2285, 1536, 12288, 49152, 32768, 98, 98, 2142},
                                         Row{"deepseek-v2:16b", "Q4_K_M", 9884, 122, 972, 3888, 32768, 121, 240, 1174},
                                         Row{"gpt-oss:20b", "MXFP4", 11536, 114, 786, 3090, 32768, 125, 410, 4198},
                                         Row{"smollm2:1.7b", "Q4_K_M", 1005, 768, 0, 0, 8192, 72, 104, 556},
                                         Row{"smollm2:1.7b", "F16", 3264, 768, 0, 0, 8192, 72, 104, 556},
                                         Row{"olmoe:7b", "Q4_K_M", 4017, 512, 0, 0, 4096, 68, 106, 164}),
                         [](const auto& tested) {
                             std::string name = std::string(tested.param.name) + "_" + tested.param.mix;
                             std::replace_if(
                                 name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                             return name;
                         });

TEST(ModelMemory, AQuantisedCacheIsSmallerByItsBlocks) {
    const ModelShape shape = named("llama3.1:8b");
    backend::MemorySettings settings = with_context(32768);
    settings.key_type = settings.value_type = gguf::types::kQ8_0;
    EXPECT_EQ(cache_bytes(shape, settings), 2176 * kMiB);
    settings.key_type = settings.value_type = gguf::types::kQ4_0;
    EXPECT_EQ(cache_bytes(shape, settings), 1152 * kMiB);
    settings.value_type = gguf::types::kF16;
    EXPECT_EQ(cache_bytes(shape, settings), (576 + 2048) * kMiB);
}

TEST(ModelMemory, TheComputeBufferGrowsWithTheBatch) {
    const ModelShape shape = named("llama3.1:8b");
    backend::MemorySettings settings{.context_tokens = 8192};
    const auto at = [&](std::int64_t ubatch) {
        settings.ubatch_tokens = ubatch;
        settings.batch_tokens = std::max<std::int64_t>(ubatch, 2048);
        return mib(compute_bytes(shape, settings));
    };
    EXPECT_EQ(at(128), 67);
    EXPECT_EQ(at(256), 133);
    EXPECT_EQ(at(1024), 533);
    EXPECT_EQ(at(2048), 1066);
    EXPECT_EQ(at(4096), 2132);
    settings.flash_attention = false;
    EXPECT_EQ(at(512), 572);
    settings.context_tokens = 4096;
    EXPECT_EQ(at(512), 308);
}

TEST(ModelMemory, SlidingBlocksKeepTheWindowAndABatch) {
    const ModelShape shape = named("gpt-oss:20b");
    // 12 global blocks of 2 KiB a token, 12 sliding ones of 768 cells.
    EXPECT_EQ(cache_bytes(shape, with_context(8192)), 12 * 2048 * 8192 + 12 * 2048 * 768);
    backend::MemorySettings settings = with_context(131072);
    settings.full_sliding_cache = true;
    EXPECT_EQ(cache_bytes(shape, settings), 6144 * kMiB);
    settings.full_sliding_cache = false;
    settings.context_tokens = 32768;
    settings.sequences = 4;
    EXPECT_EQ(mib(cache_bytes(shape, settings)), 840);
    settings.unified = true;
    EXPECT_EQ(mib(cache_bytes(shape, settings)), 792);
}

TEST(ModelMemory, AContextIsPaddedAndDividedAmongSequences) {
    const ModelShape shape = named("llama3.2:1b");
    const std::int64_t token = 16 * 2 * 8 * 64 * 2;
    EXPECT_EQ(cache_bytes(shape, with_context(1000)), 1024 * token);
    backend::MemorySettings settings = with_context(4096);
    settings.sequences = 3;
    EXPECT_EQ(cache_bytes(shape, settings), 3 * 1536 * token);
    settings.unified = true;
    EXPECT_EQ(cache_bytes(shape, settings), 4096 * token);
}

TEST(ModelMemory, RecurrentStatesDoNotGrowWithTheContext) {
    const ModelShape shape = named("qwen3-next:80b");
    const std::int64_t one = 4 * (3 * (4096 + 2 * 16 * 128) + 128 * 4096);
    EXPECT_EQ(state_bytes(shape, with_context(4096)), 36 * one);
    EXPECT_EQ(state_bytes(shape, with_context(131072)), 36 * one);
    EXPECT_EQ(cache_bytes(shape, with_context(4096)), 12 * 4096 * 2 * 2 * 256 * 2);
}

TEST(ModelMemory, ARepackedCopyIsAnonymousAndTheMappedFileIsNot) {
    const ModelShape shape = named("llama3.2:1b", "Q4_0");
    const MemoryEstimate mapped =
        memory_by_formula(shape, {.settings = with_context(4096), .repacked = repacked_types(true, false)});
    EXPECT_EQ(mapped.mapped_bytes, mapped.host.weights_bytes);
    EXPECT_EQ(mapped.repacked_bytes, 16 * (2 * 2048 * 2048 + 2 * 2048 * 512 + 3 * 2048 * 8192) / 32 * 18);
    EXPECT_EQ(mapped.host_anonymous_bytes(),
              mapped.host_needed_bytes() - mapped.host.weights_bytes + mapped.repacked_bytes);
    const MemoryEstimate read = memory_by_formula(shape, {.settings = with_context(4096), .mapped = false});
    EXPECT_EQ(read.host_anonymous_bytes(), read.host_needed_bytes());
    EXPECT_EQ(read.repacked_bytes, 0);
}

TEST(ModelMemory, LayersOnAGpuTakeTheirPartsAlong) {
    const ModelShape shape = named("llama3.1:8b");
    const auto at = [&](std::int64_t layers) {
        return memory_by_formula(shape, {.settings = with_context(4096), .gpu_layers = layers});
    };
    const MemoryEstimate none = at(0);
    const MemoryEstimate some = at(9);  // the output layer and 8 blocks of 32
    const MemoryEstimate all = at(33);
    EXPECT_EQ(none.gpu.total_bytes(), 0);
    EXPECT_EQ(some.gpu.cache_bytes, none.host.cache_bytes / 4);
    EXPECT_EQ(some.gpu.weights_bytes + some.host.weights_bytes, none.host.weights_bytes);
    EXPECT_EQ(all.host.cache_bytes, 0);
    EXPECT_EQ(all.host.weights_bytes,
              std::int64_t{4096} * 128256 / 256 * 144 + 256);  // the embedding, the rope factors
    EXPECT_EQ(at(100).gpu.weights_bytes, all.gpu.weights_bytes);
    EXPECT_FALSE(all.notes.empty());
    EXPECT_TRUE(none.notes.empty());
}

TEST(ModelMemory, ATiedEmbeddingIsOnBothSides) {
    const ModelShape shape = named("llama3.2:1b");
    const MemoryEstimate none = memory_by_formula(shape, {.settings = with_context(4096)});
    const MemoryEstimate all = memory_by_formula(shape, {.settings = with_context(4096), .gpu_layers = 17});
    const std::int64_t embedding = std::int64_t{2048} * 128256 / 256 * 210;
    EXPECT_EQ(all.host.weights_bytes, embedding + 128);
    EXPECT_EQ(all.gpu.weights_bytes, none.host.weights_bytes - 128);
}

TEST(ModelMemory, AnUnknownArchitectureIsSaidToBe) {
    ModelShape shape = named("llama3.2:1b");
    shape.architecture = "plamo9";
    const MemoryEstimate estimate = memory_by_formula(shape, {.settings = with_context(4096)});
    ASSERT_EQ(estimate.notes.size(), 1u);
    EXPECT_NE(estimate.notes[0].find("plamo9"), std::string::npos);
    EXPECT_GT(estimate.host.compute_bytes, 0);
}

Layout floats(std::int64_t count) {
    return {.shape = {count, 1, 1, 1}};
}

TEST(ModelGraph, AResultIsFreedAfterItsLastUse) {
    Graph graph;
    const Node in = graph.input(floats(8));
    const Node a = graph.operation(floats(16), {in});
    const Node b = graph.operation(floats(16), {a});
    const Node c = graph.operation(floats(16), {b});
    graph.expand(c);
    EXPECT_EQ(graph.buffer_bytes(), 32 + 2 * 64);  // c lies where the input and a part of a were
}

TEST(ModelGraph, InPlaceTakesNoMemoryUnlessSomebodyElseNeedsTheOperand) {
    Graph graph;
    const Node in = graph.input(floats(16));
    const Node a = graph.operation(floats(16), {in});
    const Node b = graph.operation(floats(16), {a}, true);
    graph.expand(b);
    EXPECT_EQ(graph.buffer_bytes(), 2 * 64);
    const Node both = graph.operation(floats(16), {a, b});
    graph.expand(both);
    EXPECT_EQ(graph.buffer_bytes(), 3 * 64);
}

TEST(ModelGraph, AViewKeepsWhatItSees) {
    Graph graph;
    const Node a = graph.operation(floats(64), {graph.constant()});
    const Node seen = graph.view(a, floats(32));
    const Node other = graph.operation(floats(64), {a});
    graph.expand(other);
    const Node late = graph.operation(floats(8), {seen, other});
    graph.expand(late);
    EXPECT_EQ(graph.buffer_bytes(), 2 * 256 + 32);
}

TEST(ModelGraph, WhatIsKeptIsNeverOverwritten) {
    Graph graph;
    const Node a = graph.operation(floats(64), {graph.constant()});
    graph.keep(a);
    const Node b = graph.operation(floats(64), {a}, true);
    graph.expand(graph.operation(floats(64), {b}));
    EXPECT_EQ(graph.buffer_bytes(), 3 * 256);
}

}  // namespace
}  // namespace velollm::model::model_memory_test
