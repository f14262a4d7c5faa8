#include "model/fit.h"

#include <gtest/gtest.h>

#include "gguf/tensor_types.h"
#include "model/catalogue.h"

namespace velollm::model::model_fit_test {

constexpr std::int64_t kMib = std::int64_t{1} << 20U;
constexpr std::int64_t kGib = std::int64_t{1} << 30U;

ModelShape named(const char* name) {
    auto shape = named_shape(name);
    EXPECT_TRUE(shape) << name;
    return *shape;
}

double gigabytes(const char* name, std::int64_t depth = 0) {
    return static_cast<double>(decode_traffic(named(name), depth, gguf::types::kF16, gguf::types::kF16).total_bytes()) /
           1e9;
}

TEST(DecodeTraffic, IsAllWeightsButAnEmbeddingThatIsOnlyLookedUp) {
    EXPECT_NEAR(gigabytes("llama3.1:8b"), 4.913 - 0.2955, 0.001);  // without 128256 rows of 4096 in Q4_K
    EXPECT_NEAR(gigabytes("llama3.2:3b"), 2.01, 0.01);             // tied: all of it
}

TEST(DecodeTraffic, OfExpertsIsTheShareThatIsUsed) {
    EXPECT_NEAR(gigabytes("qwen3:30b-a3b"), 1.92, 0.01);
}

TEST(DecodeTraffic, LeavesOutBlocksThatPredictSeveralTokens) {
    ModelShape shape = named("llama3.1:8b");
    const std::int64_t before = decode_traffic(shape, 0, gguf::types::kF16, gguf::types::kF16).total_bytes();
    const double flops = prefill_flops(shape, 0);
    for (const char* name : {"blk.32.nextn.eh_proj.weight", "blk.32.attn_q.weight", "blk.33.ffn_up.weight"}) {
        shape.tensors.push_back(shape.tensors.back());
        shape.tensors.back().name = name;
    }
    EXPECT_EQ(decode_traffic(shape, 0, gguf::types::kF16, gguf::types::kF16).total_bytes(), before);
    EXPECT_EQ(prefill_flops(shape, 0), flops);
    shape.tensors.back().name = "blk.31.ffn_extra.weight";  // of a block of its own
    EXPECT_GT(decode_traffic(shape, 0, gguf::types::kF16, gguf::types::kF16).total_bytes(), before);
}

TEST(DecodeTraffic, GrowsWithTheContextThatABlockCanSee) {
    const ModelShape llama = named("llama3.1:8b");
    const auto cache = [](const ModelShape& shape, std::int64_t depth, std::uint32_t type) {
        return decode_traffic(shape, depth, type, type).cache_bytes;
    };
    EXPECT_EQ(cache(llama, 0, gguf::types::kF16), 0);
    EXPECT_EQ(cache(llama, 1, gguf::types::kF16), 128 * 1024);  // 32 blocks * 2 * 8 heads * 128 * 2 bytes
    EXPECT_EQ(cache(llama, 32768, gguf::types::kF16), 4096 * kMib);
    EXPECT_EQ(cache(llama, 32768, gguf::types::kQ8_0), 2176 * kMib);
    const ModelShape gemma = named("gemma3:1b");
    EXPECT_GT(cache(gemma, 512, gguf::types::kF16), 0);
    // Beyond the window only every sixth block sees more.
    const std::int64_t near = cache(gemma, 512, gguf::types::kF16) - cache(gemma, 511, gguf::types::kF16);
    const std::int64_t far = cache(gemma, 4096, gguf::types::kF16) - cache(gemma, 4095, gguf::types::kF16);
    EXPECT_EQ(near, 26 * 1024);
    EXPECT_EQ(far, 4 * 1024);
}

TEST(LargestContext, IsTheLastThatFits) {
    const ModelShape shape = named("llama3.1:8b");
    MemoryQuestion question;
    question.settings.outputs = 1;
    for (const std::int64_t limit : {5 * kGib, 7 * kGib, 12 * kGib}) {
        const auto most = largest_context(shape, question, limit);
        ASSERT_TRUE(most);
        EXPECT_EQ(*most % 256, 0);
        const auto needed = [&](std::int64_t context) {
            question.settings.context_tokens = context;
            return memory_by_formula(shape, question).host_needed_bytes();
        };
        EXPECT_LE(needed(*most), limit);
        EXPECT_GT(needed(*most + 256), limit);
    }
}

TEST(LargestContext, EndsAtWhatTheModelWasTrainedForAndAtNothing) {
    const ModelShape shape = named("smollm2:135m");
    EXPECT_EQ(largest_context(shape, {}, 100 * kGib), shape.context);
    EXPECT_EQ(largest_context(shape, {}, 50 * kMib), std::nullopt);
}

Hardware machine(std::int64_t available_bytes) {
    Hardware hardware;
    hardware.memory.available_bytes = available_bytes;
    hardware.cpu.features = {"avx2", "avx512f"};
    return hardware;
}

Prediction predicted(const char* name, const Hardware& hardware) {
    MemoryQuestion question;
    question.settings.outputs = 1;
    return predict({}, named(name), question, 0, hardware);
}

TEST(Prediction, SaysWhetherItFitsAndHowFastItCanBeAtMost) {
    Hardware hardware = machine(24 * kGib);
    hardware.memory.bandwidth = BandwidthProbe{.valid = true, .read_gbps = 46.3};
    const Prediction small = predicted("llama3.1:8b", hardware);
    EXPECT_FALSE(small.on_gpu);
    EXPECT_TRUE(small.fits());
    EXPECT_NEAR(*small.most_tps(), 46.3 / 4.617, 0.01);
    EXPECT_EQ(small.question.repacked, repacked_types(true, true));
    EXPECT_FALSE(small.partly_cached);
    hardware.cpu.caches = {{.level = 3, .type = "unified", .size_bytes = 32 * kMib, .instances = 1}};
    EXPECT_TRUE(predicted("smollm2:135m", hardware).partly_cached);
    EXPECT_FALSE(predicted("llama3.1:8b", hardware).partly_cached);
    const Prediction large = predicted("llama3.1:70b", hardware);
    EXPECT_FALSE(large.fits());
    EXPECT_FALSE(large.largest_context);
    EXPECT_FALSE(large.most_tps()) << "what doesn't fit isn't read from memory";
}

TEST(Prediction, WithoutABandwidthThereIsNoSpeed) {
    Hardware hardware = machine(24 * kGib);
    EXPECT_FALSE(predicted("llama3.1:8b", hardware).most_tps());
    hardware.memory.bandwidth = BandwidthProbe{.reason = "other work"};
    const Prediction prediction = predicted("llama3.1:8b", hardware);
    EXPECT_FALSE(prediction.most_tps());
    EXPECT_EQ(prediction.bandwidth_missing, "other work");
}

TEST(Prediction, TakesTheGpuIfAllOfItFitsThere) {
    Hardware hardware = machine(64 * kGib);
    Gpu gpu;
    gpu.usable_bytes = 8 * kGib;
    gpu.theoretical_gbps = 1008.0;
    hardware.gpus = {gpu};
    const Prediction small = predicted("llama3.1:8b", hardware);
    EXPECT_TRUE(small.on_gpu);
    EXPECT_EQ(small.limit_bytes, 8 * kGib);
    EXPECT_GT(small.memory.gpu.weights_bytes, 4 * kGib);
    EXPECT_NEAR(*small.most_tps(), 1008.0 / 4.617, 0.1);
    EXPECT_FALSE(small.bandwidth_measured);
    const Prediction large = predicted("qwen3:30b-a3b", hardware);
    EXPECT_FALSE(large.on_gpu);
    EXPECT_EQ(large.limit_bytes, 64 * kGib);
    EXPECT_EQ(large.question.gpu_layers, 0);
    EXPECT_EQ(large.memory.gpu.total_bytes(), 0);
}

}  // namespace velollm::model::model_fit_test
