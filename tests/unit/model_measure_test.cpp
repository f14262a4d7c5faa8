#include "model/measure.h"

#include <gtest/gtest.h>

#include "model/blocks.h"
#include "model/catalogue.h"
#include "model/traffic.h"

namespace velollm::model::measure_test {

constexpr std::int64_t kGb = 1'000'000'000;

ModelShape named(const char* name) {
    auto shape = named_shape(name);
    EXPECT_TRUE(shape) << name;
    return *shape;
}

const MeasureLimits kRoomy{.memory_bytes = 24 * kGb, .disk_bytes = 100 * kGb, .cache_bytes = 32 << 20};

TEST(MeasurePlan, TimesASmallModelWhole) {
    const auto plan = plan_measurement(named("llama3.2:1b"), 0, kRoomy);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->whole());
    EXPECT_EQ(plan->files[0].size(), 16U);
    EXPECT_EQ(plan->prefill_tokens, 256);
    EXPECT_NEAR(static_cast<double>(plan->disk_bytes), 799e6, 5e6);
    EXPECT_LT(plan->seconds, 150);
}

TEST(MeasurePlan, TimesTwoFilesOfALargeOne) {
    const ModelShape shape = named("qwen2.5:32b");  // 64 blocks, 19.8 GB: more than 60 % of the memory
    const auto plan = plan_measurement(shape, 0, kRoomy);
    ASSERT_TRUE(plan);
    ASSERT_EQ(plan->files.size(), 2U);
    const std::size_t small = plan->files[0].size();
    const std::size_t large = plan->files[1].size();
    EXPECT_GE(large, 22U);  // a third
    EXPECT_LE(small, large / 2);
    EXPECT_GE(decode_traffic(with_blocks(shape, plan->files[0]), 0, 1, 1).total_bytes(), 2 * kRoomy.cache_bytes);
    EXPECT_EQ(plan->prefill_tokens, 128);
}

TEST(MeasurePlan, TakesMoreBlocksWhereTimeAllows) {
    MeasureLimits quick = kRoomy;
    quick.seconds = 1;
    MeasureLimits patient = kRoomy;
    patient.seconds = 1000;
    const ModelShape shape = named("qwen2.5:32b");
    EXPECT_EQ(plan_measurement(shape, 0, quick)->files[1].size(), 22U);
    EXPECT_GT(plan_measurement(shape, 0, patient)->files[1].size(), 22U);
    EXPECT_LE(plan_measurement(shape, 0, patient)->seconds, 1000);
}

TEST(MeasurePlan, ASmallFileOutgrowsTheCache) {
    MeasureLimits cached = kRoomy;
    cached.seconds = 0;
    const ModelShape shape = named("smollm2:360m");
    const auto plain = plan_measurement(shape, 0, {.memory_bytes = 24 * kGb, .disk_bytes = kGb, .seconds = 0});
    const auto grown = plan_measurement(shape, 0, cached);
    ASSERT_TRUE(plain && grown);
    EXPECT_LE(plain->files[0].size(), grown->files[0].size());
    EXPECT_LT(grown->files[0].size(), grown->files[1].size());
}

TEST(MeasurePlan, SaysWhatIsMissing) {
    MeasureLimits limits = kRoomy;
    limits.memory_bytes = 8 * kGb;
    const auto memory = plan_measurement(named("llama3.1:70b"), 0, limits);
    ASSERT_FALSE(memory);
    EXPECT_NE(memory.error().message.find("GB of memory, and 8.0 GB are free"), std::string::npos);
    limits = kRoomy;
    limits.disk_bytes = kGb;
    const auto disk = plan_measurement(named("llama3.1:8b"), 0, limits);
    ASSERT_FALSE(disk);
    EXPECT_NE(disk.error().message.find("GB of disk, and 1.0 GB are free"), std::string::npos);
}

TEST(MeasurePlan, AModelOfOnePatternIsTimedWhole) {
    ModelShape shape = named("smollm2:135m");
    for (std::size_t i = 0; i < shape.blocks.size(); ++i) shape.blocks[i].sliding = i == 17;  // nothing repeats
    MeasureLimits quick = kRoomy;
    quick.seconds = 0;
    EXPECT_TRUE(plan_measurement(shape, 0, quick)->whole());
}

TEST(MeasurePlan, DepthCostsTime) {
    const ModelShape shape = named("llama3.1:8b");
    EXPECT_GT(plan_measurement(shape, 4096, kRoomy)->seconds, plan_measurement(shape, 0, kRoomy)->seconds);
}

}  // namespace velollm::model::measure_test
