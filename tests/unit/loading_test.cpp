#include "benchmark/loading.h"

#include <gtest/gtest.h>
#include <fstream>

#include "support/fakes.h"
#include "support/temp_folder.h"
#include "system/page_cache.h"

namespace velollm {
namespace loading_test {

using benchmark::load_model;
using benchmark::page_cache_of;
using benchmark::PageCache;
using namespace std::chrono_literals;

/// A model that takes 2 s to load, and 1 ms to be found in memory.
struct SlowLoader final : Backend {
    bool in_memory = false;
    int loads = 0;
    int unloads = 0;
    std::optional<Error> failure;

    Result<TargetInfo> describe() override { return TargetInfo{}; }
    Result<LoadedModel> load() override {
        if (failure) return *failure;
        ++loads;
        const bool was = std::exchange(in_memory, true);
        return LoadedModel{.took = was ? 1ms : Ns{2s}, .was_resident = was, .threads = was ? 0 : 4};
    }
    Result<void> unload() override {
        ++unloads;
        in_memory = false;
        return {};
    }
    void start(RequestId, const Prompt&, TokenSink&) override {}
    void cancel(RequestId) override {}
    void poll(TimePoint) override {}
};

TEST(Loading, SharesOfTheFileHaveNames) {
    EXPECT_EQ(page_cache_of(std::nullopt), PageCache::kUnknown);
    EXPECT_EQ(page_cache_of(0.0), PageCache::kCold);
    EXPECT_EQ(page_cache_of(0.02), PageCache::kCold);
    EXPECT_EQ(page_cache_of(0.5), PageCache::kPart);
    EXPECT_EQ(page_cache_of(0.98), PageCache::kWarm);
    EXPECT_EQ(page_cache_of(1.0), PageCache::kWarm);
}

TEST(Loading, WithoutAKnownFileIsOneLoadOfUnknownCacheAndOneOfAResidentModel) {
    SlowLoader backend;
    const auto loading = load_model(backend, "", false);
    ASSERT_TRUE(loading);
    ASSERT_EQ(loading->loads.size(), 1U);
    EXPECT_EQ(loading->loads[0].took, 2s);
    EXPECT_EQ(loading->loads[0].cache, PageCache::kUnknown);
    EXPECT_EQ(loading->resident, 1ms);
    EXPECT_EQ(loading->loaded.took, 2s);
    EXPECT_EQ(loading->loaded.threads, 4);
    EXPECT_EQ(backend.unloads, 0);
}

TEST(Loading, AModelThatWasInMemoryHasNoLoadTime) {
    SlowLoader backend;
    backend.in_memory = true;
    const auto loading = load_model(backend, "", false);
    ASSERT_TRUE(loading);
    EXPECT_TRUE(loading->loads.empty());
    EXPECT_EQ(loading->resident, 1ms);
    EXPECT_EQ(loading->loaded.was_resident, true);
    EXPECT_EQ(backend.loads, 1);
}

TEST(Loading, AReloadOfAFileThatWeMayDropIsColdFirstAndWarmThen) {
    // Beside the build, since a temporary folder may lie in memory, from where nothing can be dropped.
    const std::filesystem::path file =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "loading_test.weights";
    std::ofstream(file) << std::string(1 << 20, 'x');
    EXPECT_EQ(system::cached_share(file), 1.0);  // just written
    SlowLoader backend;
    backend.in_memory = true;
    const auto loading = load_model(backend, file.string(), true);
    ASSERT_TRUE(loading);
    ASSERT_EQ(loading->loads.size(), 2U);
    EXPECT_EQ(loading->loads[0].cache, PageCache::kCold);
    // Nothing has read it in between: this loader is none.
    EXPECT_EQ(loading->loads[1].cache, PageCache::kCold);
    EXPECT_EQ(backend.unloads, 2);
    EXPECT_EQ(backend.loads, 3);
    EXPECT_EQ(system::cached_share(file), 0.0);
    std::filesystem::remove(file);
}

TEST(Loading, AReloadWithoutAFileIsOne) {
    SlowLoader backend;
    const auto loading = load_model(backend, "", true);
    ASSERT_TRUE(loading);
    EXPECT_EQ(loading->loads.size(), 1U);
    EXPECT_EQ(backend.unloads, 1);
}

TEST(Loading, FailuresArePassedOn) {
    SlowLoader backend;
    backend.failure = Error{ErrorCode::kFailed, "out of memory", ""};
    const auto loading = load_model(backend, "", false);
    ASSERT_FALSE(loading);
    EXPECT_EQ(loading.error().message, "out of memory");
}

TEST(PageCache, WhatIsNoFileHasNoShare) {
    const test::TempFolder folder;
    EXPECT_FALSE(system::cached_share(folder.path() / "none"));
    std::ofstream(folder.path() / "empty") << "";
    EXPECT_FALSE(system::cached_share(folder.path() / "empty"));
}

}  // namespace loading_test
}  // namespace velollm
