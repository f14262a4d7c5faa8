#include "model/recommend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/header.h"
#include "model/quantise.h"
#include "report/recommend_report.h"
#include "support/approve.h"

namespace velollm::model::recommend_test {

constexpr std::int64_t kGib = std::int64_t{1} << 30U;

Hardware machine(double memory_gib) {
    Hardware hardware;
    hardware.memory.available_bytes = static_cast<std::int64_t>(memory_gib * static_cast<double>(kGib));
    hardware.cpu.features = {"avx2", "avx512f"};
    return hardware;
}

/// Of a card with so much memory, of which a desktop takes 400 MiB.
Hardware with_gpu(std::int64_t gib) {
    Hardware hardware = machine(30);
    Gpu gpu;
    gpu.name = "Card";
    gpu.usable_bytes = gib * kGib - 400 * (kGib / 1024);
    gpu.theoretical_gbps = 400.0;
    hardware.gpus = {gpu};
    return hardware;
}

RecommendQuestion question(std::optional<double> host_gbps = std::nullopt) {
    RecommendQuestion asked{.cache_type = gguf::types::kF16};
    asked.host = {.machine = "here", .threads = 8, .read_gbps = host_gbps};
    asked.gpu = {.machine = "here", .threads = 8, .on_gpu = true, .read_gbps = 400.0};
    return asked;
}

const Candidate* find(const std::vector<Candidate>& list, std::string_view model) {
    const auto found = std::find_if(list.begin(), list.end(), [&](const Candidate& c) { return c.model == model; });
    return found == list.end() ? nullptr : &*found;
}

TEST(Recommend, EveryModelOfTheCatalogueIsJudgedOnce) {
    const Recommendation answer = recommend(question(), {}, machine(24));
    std::set<std::string> names;
    for (const auto* list : {&answer.fitting, &answer.refused})
        for (const Candidate& candidate : *list) {
            EXPECT_TRUE(names.insert(candidate.model).second) << candidate.model;
            EXPECT_GT(candidate.bytes_per_token, 0) << candidate.model;
            EXPECT_FALSE(candidate.released.empty()) << candidate.model;
        }
    EXPECT_EQ(names.size(), catalogue().size());
    EXPECT_FALSE(answer.fitting.empty());
    EXPECT_FALSE(answer.refused.empty());
}

TEST(Recommend, WhatFitsLeavesRoomAndHasTheContext) {
    RecommendQuestion asked = question();
    asked.context_tokens = 32768;
    const Recommendation answer = recommend(asked, {}, machine(24));
    EXPECT_EQ(answer.host_limit_bytes, 23 * kGib);
    for (const Candidate& candidate : answer.fitting) {
        EXPECT_LE(candidate.needed_bytes, 23 * kGib) << candidate.model;
        EXPECT_GE(candidate.largest_context.value_or(0), 32768) << candidate.model;
        EXPECT_EQ(candidate.refusal, Refusal::kNone);
    }
    const Candidate* old = find(answer.refused, "llama3:8b");
    ASSERT_NE(old, nullptr);
    EXPECT_EQ(old->refusal, Refusal::kContext);
    const Candidate* large = find(answer.refused, "llama3.3:70b");
    ASSERT_NE(large, nullptr);
    EXPECT_EQ(large->refusal, Refusal::kMemory);
    EXPECT_EQ(large->quantization, "Q4_K_M") << "the one that came nearest";
    EXPECT_GT(large->needed_bytes, 40 * kGib);
}

TEST(Recommend, SmallMemoryKeepsATenthFree) {
    EXPECT_EQ(host_room(2 * kGib), 2 * kGib - 2 * kGib / 10);
    EXPECT_EQ(host_room(64 * kGib), 63 * kGib);
    EXPECT_EQ(gpu_room(kGib / 2), 0);
}

TEST(Recommend, EachPickIsAtLeastTwiceAsFastAsTheOneBefore) {
    for (const double gbps : {10.0, 40.0, 200.0}) {
        const Picks picks = recommend(question(gbps), {}, machine(64)).picks;
        ASSERT_TRUE(picks.best) << gbps;
        ASSERT_TRUE(picks.balanced) << gbps;
        ASSERT_TRUE(picks.fast) << gbps;
        EXPECT_GE(*picks.best->likely_tps(), kReadingTps);
        EXPECT_GE(*picks.balanced->likely_tps(), 2 * *picks.best->likely_tps());
        EXPECT_GE(*picks.fast->likely_tps(), 4 * *picks.best->likely_tps());
        EXPECT_GE(*picks.fast->likely_tps(), 4 * kReadingTps);
        EXPECT_GE(picks.best->rank, picks.balanced->rank);
        EXPECT_GE(picks.balanced->rank, picks.fast->rank);
    }
}

TEST(Recommend, WithoutABandwidthWhatIsReadForATokenTells) {
    const Picks picks = recommend(question(), {}, machine(24)).picks;
    ASSERT_TRUE(picks.best && picks.balanced && picks.fast);
    EXPECT_FALSE(picks.best->speed.decode);
    EXPECT_LE(2 * picks.balanced->bytes_per_token, picks.best->bytes_per_token);
    EXPECT_LE(4 * picks.fast->bytes_per_token, picks.best->bytes_per_token);
}

TEST(Recommend, WhatIsTooSlowIsRefused) {
    RecommendQuestion asked = question(20.0);
    const Recommendation usual = recommend(asked, {}, machine(64));
    asked.least_tps = 15;
    const Recommendation quick = recommend(asked, {}, machine(64));
    ASSERT_TRUE(usual.picks.best && quick.picks.best);
    EXPECT_GE(*quick.picks.best->likely_tps(), 15);
    EXPECT_LT(quick.fitting.size(), usual.fitting.size());
    const Candidate* slow = find(quick.refused, "llama3.1:8b");
    ASSERT_NE(slow, nullptr);
    EXPECT_EQ(slow->refusal, Refusal::kSpeed);
    asked.least_tps = 1e5;
    EXPECT_FALSE(recommend(asked, {}, machine(64)).picks.best);
}

/// "Under 8 GB: 1B or 3B; 8 to 16: 8B in Q4; above 16: 13B or more", of the guide.
TEST(Recommend, HoldsTheRuleByTheMemoryOfAGpu) {
    const auto on = [](std::int64_t gib) { return recommend(question(), {}, with_gpu(gib)); };
    const auto billions = [](const Recommendation& answer) { return answer.picks.best->parameters / 1e9; };
    const auto on_gpu = [](const Recommendation& answer, std::string_view model) {
        const Candidate* found = find(answer.fitting, model);
        return found != nullptr && found->on_gpu;
    };
    const Recommendation six = on(6);
    ASSERT_TRUE(six.picks.best);
    EXPECT_LE(billions(six), 5);
    EXPECT_TRUE(on_gpu(six, "llama3.2:1b"));
    EXPECT_TRUE(on_gpu(six, "llama3.2:3b"));
    EXPECT_FALSE(on_gpu(six, "llama3.1:8b"));
    for (const std::int64_t gib : {8, 12}) {
        const Recommendation middle = on(gib);
        ASSERT_TRUE(middle.picks.best);
        EXPECT_GE(billions(middle), 7) << gib;
        EXPECT_TRUE(on_gpu(middle, "llama3.1:8b")) << gib;
    }
    EXPECT_FALSE(on_gpu(on(8), "olmo2:13b"));
    const Recommendation large = on(24);
    ASSERT_TRUE(large.picks.best);
    EXPECT_GE(billions(large), 13);
    EXPECT_TRUE(on_gpu(large, "olmo2:13b"));
    EXPECT_TRUE(large.picks.best->on_gpu);
}

TEST(Recommend, MemoryBesideAGpuCountsWhereItsSpeedIsKnown) {
    const Candidate blind = *recommend(question(), {}, with_gpu(6)).picks.best;
    EXPECT_TRUE(blind.on_gpu);
    const Candidate seeing = *recommend(question(80.0), {}, with_gpu(6)).picks.best;
    EXPECT_FALSE(seeing.on_gpu) << "30 billion of which 3 work on a token are fast enough in RAM";
    EXPECT_GT(seeing.rank, blind.rank);
}

TEST(Recommend, WhatIsHereTakesThePlaceOfTheSame) {
    const StoredModel same{"qwen3:8b", *named_shape("qwen3:8b", "Q4_K_M")};
    StoredModel own{"mine:latest", *named_shape("llama3.2:3b", "Q4_0")};
    own.shape.name = "mine";
    const Recommendation answer = recommend(question(), {same, own}, machine(8));
    const Candidate* mine = find(answer.fitting, "mine:latest");
    ASSERT_NE(mine, nullptr);
    EXPECT_TRUE(mine->here);
    EXPECT_EQ(mine->quantization, "Q4_0");
    EXPECT_EQ(answer.fitting.size() + answer.refused.size(), catalogue().size() + 1);
    // 8 GiB: finer ones of it don't fit.
    const Recommendation tight = recommend(question(), {same}, machine(6.5));
    const Candidate* eight = find(tight.fitting, "qwen3:8b");
    ASSERT_NE(eight, nullptr);
    EXPECT_EQ(eight->quantization, "Q4_K_M");
    EXPECT_TRUE(eight->here);
}

TEST(Recommend, AModelOfAKindThatFormulasDontKnowIsRefused) {
    StoredModel strange{"nomic-embed-text:latest", *named_shape("smollm2:135m")};
    strange.shape.architecture = "nomic-bert";
    const Recommendation answer = recommend(question(), {strange}, machine(8));
    const Candidate* found = find(answer.refused, "nomic-embed-text:latest");
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->refusal, Refusal::kArchitecture);
}

TEST(Recommend, NothingFitsNothing) {
    const Recommendation answer = recommend(question(), {}, machine(0.05));
    EXPECT_FALSE(answer.picks.best);
    EXPECT_TRUE(answer.fitting.empty());
    EXPECT_NE(report::recommendation_text(answer, {}, false).find("Nothing that is known fits."), std::string::npos);
}

TEST(Rank, PrefersLargerNewerAndDenser) {
    Candidate candidate{.released = "2024-01", .parameters = 8e9, .active_parameters = 8e9};
    EXPECT_DOUBLE_EQ(rank_of(candidate), 16.0);
    candidate.released = "2025-01";
    EXPECT_DOUBLE_EQ(rank_of(candidate), 32.0);
    candidate.active_parameters = 2e9;
    EXPECT_DOUBLE_EQ(rank_of(candidate), 16.0);
}

/// Three models, so that the approved example is short.
Recommendation example() {
    Recommendation answer{.context_tokens = 4096, .cache_type = gguf::types::kF16, .engine = "embedded", .threads = 8};
    answer.host_limit_bytes = 23 * kGib;
    answer.host_gbps = 40.0;
    Candidate large{.model = "qwen3:30b-a3b", .quantization = "Q4_K_M", .released = "2025-04"};
    large.parameters = 30.5e9;
    large.active_parameters = 3.3e9;
    large.trained_context = 40960;
    large.needed_bytes = 19'500'000'000;
    large.limit_bytes = 23 * kGib;
    large.largest_context = 40960;
    large.bytes_per_token = 1'920'000'000;
    large.speed = {.because = "40 GB/s, of which engines reach 35 to 95 %",
                   .decode = SpeedRange{.low = 3.6, .likely = 9.2, .high = 19.8}};
    large.rank = 46.9;
    Candidate small = large;
    small.model = "llama3.2:1b";
    small.here = true;
    small.parameters = small.active_parameters = 1.24e9;
    small.needed_bytes = 1'300'000'000;
    small.speed.decode = SpeedRange{.low = 16.1, .likely = 28.9, .high = 47.1};
    small.rank = 4.0;
    Candidate huge = large;
    huge.model = "llama3.3:70b";
    huge.parameters = huge.active_parameters = 70.6e9;
    huge.needed_bytes = 44'500'000'000;
    huge.largest_context = std::nullopt;
    huge.speed = {};
    huge.refusal = Refusal::kMemory;
    answer.picks = {.best = large, .balanced = small};
    answer.fitting = {large, small};
    answer.refused = {huge};
    return answer;
}

TEST(RecommendReport, IsAsApproved) {
    const report::RecommendNotes notes{.bandwidth_when = "2026-02-03T10:00:00Z"};
    test::approve(report::recommendation_json(example(), notes, 2) + "\n", "recommendation.json");
    test::approve(report::recommendation_text(example(), notes, false), "recommendation.txt");
    test::approve(report::recommendation_text(example(), notes, true), "recommendation-all.txt");
}

}  // namespace velollm::model::recommend_test
