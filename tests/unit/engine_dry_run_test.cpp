#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "backend/dry_run.h"
#include "gguf/tensor_types.h"
#include "gguf/writer.h"
#include "model/catalogue.h"
#include "model/header.h"
#include "model/memory.h"
#include "support/temp_folder.h"

namespace velollm::model::engine_dry_run_test {
namespace {

using backend::MemorySettings;

ModelShape named(const std::string& name, std::string_view mix = {}) {
    const auto shape = named_shape(name, mix);
    EXPECT_TRUE(shape) << shape.error().message;
    return shape ? *shape : ModelShape();
}

void expect_within(double percent, std::int64_t formula, std::int64_t engine, const char* what) {
    const double error = 100.0 * (static_cast<double>(formula) / static_cast<double>(engine) - 1.0);
    EXPECT_LE(std::abs(error), percent) << what << ": " << formula << " instead of " << engine;
}

class EveryModel : public testing::TestWithParam<std::string> {};

TEST_P(EveryModel, OfTheCatalogueTakesByFormulaWhatTheEngineSays) {
    const ModelShape shape = named(GetParam());
    std::vector<MemorySettings> settings{
        {.context_tokens = 4096, .outputs = 1},
        {.context_tokens = 32768},
        {.context_tokens = 8192, .sequences = 4, .outputs = 4},
        {.context_tokens = 8192, .sequences = 4, .unified = true, .outputs = 4, .flash_attention = false},
        {.context_tokens = 300, .batch_tokens = 128, .ubatch_tokens = 64, .full_sliding_cache = true},
    };
    for (const MemorySettings& setting : settings) {
        const MemoryQuestion question{.settings = setting};
        const auto engine = memory_by_engine(shape, question);
        ASSERT_TRUE(engine) << engine.error().message;
        EXPECT_EQ(engine->basis, MemoryBasis::kEngine);
        const MemoryEstimate formula = memory_by_formula(shape, question);
        EXPECT_EQ(formula.host.weights_bytes, engine->host.weights_bytes);
        EXPECT_EQ(formula.host.cache_bytes, engine->host.cache_bytes) << setting.context_tokens;
        EXPECT_EQ(formula.host.state_bytes, engine->host.state_bytes);
        EXPECT_EQ(engine->gpu.total_bytes(), 0);
        expect_within(5.0, formula.host.compute_bytes, engine->host.compute_bytes, "compute");
    }
}

std::vector<std::string> names() {
    std::vector<std::string> list;
    for (const serde::CatalogueModel& model : catalogue()) list.push_back(model.name);
    return list;
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryModel, testing::ValuesIn(names()), [](const auto& tested) {
    std::string name = tested.param;
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name;
});

std::filesystem::path made(const test::TempFolder& folder, const ModelShape& shape) {
    const auto path = folder.path() / "model.gguf";
    const auto header = synthetic_header(shape);
    EXPECT_TRUE(header);
    EXPECT_TRUE(header && gguf::write_sparse_file(path, *header));
    return path;
}

TEST(DryRun, ASettingOnWhichTheEngineEndsTheProcessCostsItsOwnAnswerOnly) {
    const test::TempFolder folder;
    const auto path = made(folder, named("granite3.1-moe:1b"));
    MemorySettings plain{.context_tokens = 4096};
    MemorySettings fatal =
        plain;  // a quantised cache makes more nodes than the engine provides for in so small a model
    fatal.key_type = fatal.value_type = gguf::types::kQ8_0;
    const auto answers = backend::dry_run(path, 0, {plain, fatal, plain});
    ASSERT_EQ(answers.size(), 3u);
    EXPECT_TRUE(answers[0]);
    ASSERT_FALSE(answers[1]);
    EXPECT_NE(answers[1].error().message.find("error of its own"), std::string::npos) << answers[1].error().message;
    EXPECT_TRUE(answers[2]);
}

TEST(DryRun, WhatTheEngineRefusesHasItsReason) {
    const test::TempFolder folder;
    const auto broken = backend::dry_run(folder.write("broken.gguf", "GGUF and no more"), 0, {{}, {}});
    ASSERT_EQ(broken.size(), 2u);
    EXPECT_FALSE(broken[0]);
    EXPECT_FALSE(broken[1]);
    const auto path = made(folder, named("llama3.2:1b"));
    MemorySettings quantised{.flash_attention = false};
    quantised.value_type = gguf::types::kQ8_0;
    MemorySettings nonsense{.context_tokens = -1};
    const auto refused = backend::dry_run(path, 0, {quantised, nonsense});
    ASSERT_FALSE(refused[0]);
    EXPECT_NE(refused[0].error().message.find("flash"), std::string::npos) << refused[0].error().message;
    EXPECT_FALSE(refused[1]);
    EXPECT_TRUE(backend::dry_run(path, 0, {}).empty());
}

TEST(DryRun, WhereTheEngineFailsFormulasAnswerAndSaySo) {
    const ModelShape shape = named("granite3.1-moe:1b");
    MemoryQuestion question;
    question.settings.key_type = question.settings.value_type = gguf::types::kQ8_0;
    const MemoryEstimate estimate = memory_of({}, shape, question);
    EXPECT_EQ(estimate.basis, MemoryBasis::kFormula);
    ASSERT_FALSE(estimate.notes.empty());
    EXPECT_TRUE(estimate.notes.back().starts_with("By formula: ")) << estimate.notes.back();
    EXPECT_GT(estimate.host.cache_bytes, 0);
    question.settings.key_type = question.settings.value_type = gguf::types::kF16;
    EXPECT_EQ(memory_of({}, shape, question).basis, MemoryBasis::kEngine);
}

TEST(DryRun, LeavesNothingInTheTemporaryFolder) {
    const test::TempFolder folder;
    const char* before = std::getenv("TMPDIR");
    const std::string saved = before == nullptr ? "" : before;
    ::setenv("TMPDIR", folder.path().c_str(), 1);
    EXPECT_TRUE(memory_by_engine(named("llama3.2:1b"), {}));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    if (saved.empty()) {
        ::unsetenv("TMPDIR");
    } else {
        ::setenv("TMPDIR", saved.c_str(), 1);
    }
}

#ifdef VELOLLM_MODEL
TEST(RealFile, HasTheShapeThatTheCatalogueSays) {
    const auto file = gguf::read_model_file(VELOLLM_MODEL);
    ASSERT_TRUE(file) << file.error().message;
    const auto real = shape_of(file->header);
    ASSERT_TRUE(real) << real.error().message;
    const ModelShape known = shape_of(*find_model("smollm2:135m"));
    EXPECT_EQ(real->architecture, known.architecture);
    EXPECT_EQ(real->blocks.size(), known.blocks.size());
    EXPECT_EQ(real->embedding, known.embedding);
    EXPECT_EQ(real->vocabulary, known.vocabulary);
    EXPECT_EQ(real->context, known.context);
    EXPECT_EQ(real->tied, known.tied);
    EXPECT_EQ(real->blocks.front().heads, known.blocks.front().heads);
    EXPECT_EQ(real->blocks.front().kv_heads, known.blocks.front().kv_heads);
    EXPECT_EQ(real->blocks.front().key_length, known.blocks.front().key_length);
    EXPECT_EQ(real->blocks.front().feed_forward, known.blocks.front().feed_forward);

    const MemoryQuestion question{.settings = {.context_tokens = 2048, .outputs = 1}};
    const auto engine = memory_by_engine(VELOLLM_MODEL, *real, question);
    ASSERT_TRUE(engine) << engine.error().message;
    const MemoryEstimate formula = memory_by_formula(*real, question);
    EXPECT_EQ(formula.host.weights_bytes, engine->host.weights_bytes);
    EXPECT_EQ(formula.host.cache_bytes, engine->host.cache_bytes);
    EXPECT_EQ(formula.host.compute_bytes, engine->host.compute_bytes);
    EXPECT_EQ(formula.host.output_bytes, engine->host.output_bytes);
}
#endif

}  // namespace
}  // namespace velollm::model::engine_dry_run_test
