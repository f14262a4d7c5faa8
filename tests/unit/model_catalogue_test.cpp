#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "gguf/tensor_types.h"
#include "model/catalogue.h"
#include "model/catalogue_json.h"
#include "model/header.h"

namespace velollm::model::model_catalogue_test {
namespace {

TEST(Catalogue, HasModelsOfEveryKind) {
    const auto count = [](auto is) {
        return std::count_if(catalogue().begin(), catalogue().end(),
                             [&](const serde::CatalogueModel& m) { return is(m); });
    };
    EXPECT_GE(catalogue().size(), 60u);
    EXPECT_GE(count([](const auto& m) { return m.experts > 0; }), 10);
    EXPECT_GE(count([](const auto& m) { return m.sliding_window > 0; }), 8);
    EXPECT_GE(count([](const auto& m) { return m.kv_lora_rank > 0; }), 2);
    EXPECT_GE(count([](const auto& m) { return m.full_attention_interval > 0; }), 1);
    std::set<std::string> architectures;
    for (const serde::CatalogueModel& model : catalogue()) {
        architectures.insert(model.architecture);
        EXPECT_TRUE(is_known(model.architecture)) << model.name;
    }
    EXPECT_GE(architectures.size(), 18u);
}

TEST(Catalogue, ReadsAsWrittenWithoutAnythingThatIsUnknown) {
    const auto models = serde::read_model_catalogue(catalogue_json(), "data/models.json");
    ASSERT_TRUE(models) << models.error().message;
    EXPECT_EQ(models->size(), catalogue().size());
}

/// The vocabulary, which a made file hasn't, takes some bytes for each token: the text, a score, a kind, merges.
constexpr double kBytesPerToken = 45.0;

TEST(Catalogue, FilesAreAsLargeAsThePublishedOnes) {
    std::size_t compared = 0;
    for (const serde::CatalogueModel& model : catalogue())
        for (const serde::PublishedFile& file : model.files) {
            const auto shape = named_shape(model.name, file.quantization);
            ASSERT_TRUE(shape) << shape.error().message;
            const auto header = synthetic_header(*shape);
            ASSERT_TRUE(header) << header.error().message;
            const double made =
                static_cast<double>(header->file_bytes) + kBytesPerToken * static_cast<double>(shape->vocabulary);
            const double published = static_cast<double>(file.bytes);
            const double rounding = static_cast<double>(file.rounded_to) / 2.0;
            EXPECT_LE(std::abs(made - published), 0.015 * published + rounding)
                << model.name << " " << file.quantization << " " << made << " instead of " << published;
            ++compared;
        }
    EXPECT_GE(compared, 60u);
}

TEST(Catalogue, ModelsAreFoundByTheNamesThatPeopleUse) {
    for (const char* name : {"llama3.1:70b", "qwen3:30b-a3b", "Qwen/Qwen3-30B-A3B", "QWEN3:30B", "gpt-oss", "mistral"})
        EXPECT_NE(find_model(name), nullptr) << name;
    EXPECT_EQ(find_model("qwen3:30b"), find_model("qwen3:30b-a3b"));
    EXPECT_EQ(find_model("qwen3:31b"), nullptr);
    EXPECT_EQ(find_model(""), nullptr);
    const auto wrong = named_shape("qwen3:30b-a3");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, ErrorCode::kModelNotFound);
    EXPECT_NE(wrong.error().hint.find("qwen3:30b-a3b"), std::string::npos) << wrong.error().hint;
}

std::string entry(const std::string& more, const std::string& name = "m") {
    return R"({"name": ")" + name +
           R"(", "architecture": "llama", "source": "s", "quantization": "Q8_0", "blocks": 2, "embedding": 64, )"
           R"("heads": 4, "kv_heads": 2, "key_length": 16, "feed_forward": 128, "vocabulary": 100, "context": 512)" +
           more + "}";
}

std::string message(const std::string& models) {
    const auto read =
        serde::read_model_catalogue(R"({"schema": "velollm.models/1.0", "models": [)" + models + "]}", "c");
    return read ? "none" : read.error().message;
}

TEST(CatalogueFile, LeftOutFiguresFollowFromOthers) {
    const auto read =
        serde::read_model_catalogue(R"({"schema": "velollm.models/1.0", "models": [)" + entry("") + "]}", "c");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->front().value_length, 16);
    EXPECT_EQ(read->front().rope_dimensions, 16);
    EXPECT_FALSE(read->front().tied);
}

TEST(CatalogueFile, SaysWhatIsWrongAndWhere) {
    EXPECT_EQ(message(entry("")), "none");
    EXPECT_EQ(message(entry(R"(, "colour": 1)")), R"(c: model 1: unknown key "colour")");
    EXPECT_EQ(message(entry(R"(, "experts": {"kount": 8})")), R"(c: model 1.experts: unknown key "kount")");
    EXPECT_EQ(message(entry("") + "," + entry(R"(, "tied": 1)", "n")), R"(c: model 2: "tied" must be true or false)");
    EXPECT_EQ(message(entry(R"(, "sliding_window": -1)")),
              R"(c: model 1: "sliding_window" must be a whole number from 0 to 268435456)");
    EXPECT_EQ(message(entry(R"(, "sliding_window": 1e30)")),
              R"(c: model 1: "sliding_window" must be a whole number from 0 to 268435456)");
    EXPECT_EQ(message(entry("") + "," + entry(R"(, "aliases": ["M"])", "n")), R"(c: two models have the name "M")");
    EXPECT_EQ(message("1"), "c: model 1: is no object");
    EXPECT_EQ(message(R"({"name": "x"})"),
              R"(c: model 1: "name", "architecture", "source" and "quantization" are needed)");
    EXPECT_FALSE(serde::read_model_catalogue("[]", "c"));
    EXPECT_FALSE(serde::read_model_catalogue(R"({"schema": "other"})", "c"));
    EXPECT_FALSE(serde::read_model_catalogue("{", "c"));
}

TEST(GgufTypes, FileTypesAreFoundByName) {
    EXPECT_EQ(gguf::file_type_number("Q4_K_M"), 15);
    EXPECT_EQ(gguf::file_type_number("q4_k_m"), 15);
    EXPECT_EQ(gguf::file_type_number("MXFP4"), 38);
    EXPECT_EQ(gguf::file_type_number("Q4_K"), std::nullopt);
    EXPECT_EQ(gguf::file_type_number(""), std::nullopt);
}

}  // namespace
}  // namespace velollm::model::model_catalogue_test
